/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of a reflector
 *
 * What the API server has is known by a list and what has changed since by a watch that continues at the list's resourceVersion
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/).
 *
 *       ┌──────────────────────────── 410, an answer that makes no sense, the server went back ─────────────────────────┐
 *       ▼                                                                                                              │
 *   STREAMING ── bookmark k8s.io/initial-events-end ──────────────────────────────────────────────► WATCHING ──► end ──┤
 *       │ not offered (400, 422)                                                                     ▲    ▲            │
 *       ▼                                                                                            │    └─ normal ───┤
 *    LISTING ── page ── page ── whole ───────────────────────────────────────────────────────────────┘                 │
 *       ▲ 410 between pages: all in one                      ASKING ◄── connection lost, 5xx ──────────────────────────┘
 *       └──────────────────────────────────── older ──────────┘ └── as new ──► WATCHING
 *
 * A list counts when it is whole. Until then it is collected beside what is in force (kube_store.c), so that a list that breaks off,
 * or that makes no sense, has changed nothing; watch events go on into it until its owner takes it.
 *
 * How new a list must be. NetworkPolicies, Namespaces and Nodes are read consistently (no resourceVersion: what was acknowledged to
 * whoever wrote it is in it). Pods are many, and a node of 5,000 that starts must not read them from etcd: theirs come from the watch
 * cache (resourceVersion=0), and later ones are at least as new as what was seen (resourceVersionMatch=NotOlderThan), since API
 * servers behind one address are not equally new. One that cannot be so new twice is read consistently.
 *
 * A server that was restored from a backup has lower resourceVersions than were seen, and would leave a watch that continues at
 * the old one without events until it has caught up, without a word. So after a connection was lost a consistent list of one object says
 * what the server's resourceVersion is now (ASKING); and where that, or a list's, or an event's, is lower than what was seen, it is told
 * and all kinds are listed anew, consistently. Since Kubernetes 1.35 it is documented that resourceVersions of one resource compare as
 * numbers (KEP-5504); they always did. What is no number is not compared.
 */
#include "policyd/source/kube_reflector.h"

#include <stdio.h>
#include <string.h>

#include "moat/log.h"
#include "policyd/source/kube_reflector_internal.h"

#define PAGE_OBJECTS 500       /* as client-go's pager */
#define LIST_SILENCE_S 75      /* a list may wait for a place for 60 s (API priority and fairness) */
#define WATCH_S 300            /* and up to as much again, so that nodes do not come at once */
#define WATCH_GRACE_S 30
#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 30000
#define SHORT_WATCH_MS 1000
#define STALE_ANSWERS_MAX 2

static const struct {
	const char *path, *name;
	const char *filter; /* of the query; NULL: all */
} resources[] = {
	[KIND_NAMESPACE] = {"/api/v1/namespaces", "namespaces", NULL},
	[KIND_NODE] = {"/api/v1/nodes", "nodes", NULL},
	[KIND_POD] = {"/api/v1/pods", "pods", NULL},
	[KIND_POLICY] = {"/apis/networking.k8s.io/v1/networkpolicies", "networkpolicies.networking.k8s.io", NULL},
	/* one Service's of one namespace: objects.h */
	[KIND_ENDPOINTS] = {"/apis/discovery.k8s.io/v1/namespaces/" ENDPOINTS_NAMESPACE "/endpointslices", "endpointslices.discovery.k8s.io",
			    "labelSelector=kubernetes.io%2Fservice-name%3D" ENDPOINTS_SERVICE "&"},
};

const char *kube_resource_name(enum object_kind kind)
{
	return resources[kind].name;
}

const char *kube_state_text(const struct kube_reflector *r)
{
	static const char *const texts[] = {
		[KUBE_PAUSED] = "waits to try again",
		[KUBE_LISTING] = "reads a list",
		[KUBE_STREAMING] = "reads a list as a stream",
		[KUBE_ASKING] = "asks how new the server is",
		[KUBE_WATCHING] = "watches",
	};

	return texts[r->state];
}

static unsigned random_below(unsigned n)
{
	uint32_t x = 0;

	if (uv_random(NULL, NULL, &x, sizeof(x), 0, NULL) < 0)
		x = (uint32_t)uv_hrtime();
	return x % n;
}

/* "" is the newest there is. */
static const char *least_version(const struct kube_reflector *r)
{
	if (r->consistent || r->kind != KIND_POD)
		return "";
	return r->version[0] ? r->version : "0";
}

static char *escape_query(const char *text)
{
	char *out = mem_alloc(strlen(text) * 3 + 1), *p = out;

	for (; *text; text++) {
		bool plain = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			     strchr("-_.~", *text);

		p += plain ? sprintf(p, "%c", *text) : sprintf(p, "%%%02X", (unsigned char)*text);
	}
	*p = '\0';
	return out;
}

static char *list_query(const struct kube_reflector *r)
{
	const char *least = least_version(r);
	CLEAN_FREE char *token = NULL;

	if (r->page_token[0]) {
		token = escape_query(r->page_token);
		return mem_printf("limit=%d&continue=%s", PAGE_OBJECTS, token);
	}
	return mem_printf("%s%s%s%s", r->no_pages ? "" : "limit=500", least[0] && !r->no_pages ? "&" : "",
			  least[0] ? "resourceVersionMatch=NotOlderThan&resourceVersion=" : "", least);
}

static void on_begun(void *arg);
static int on_body(void *arg, const char *bytes, size_t n)
{
	return kube_reflector_read(arg, bytes, n);
}

static void on_done(void *arg, const struct kube_reply *reply);

static void ask(struct kube_reflector *r, enum kube_state state, const char *query, unsigned timeout_s, unsigned silence_s)
{
	const char *filter = resources[r->kind].filter ? resources[r->kind].filter : "";
	CLEAN_FREE char *target = mem_printf("%s?%s%s", resources[r->kind].path, filter, query);
	const struct kube_call call = {
		.target = target,
		.timeout_s = timeout_s,
		.silence_s = silence_s,
		.begun = on_begun,
		.body = on_body,
		.done = on_done,
		.arg = r,
	};

	r->state = state;
	r->page_whole = r->answered = r->abandoned = false;
	r->error_code = 0;
	r->broken = (struct err){0};
	r->asked_at = uv_now(r->http->loop);
	kube_stream_done(&r->stream);
	kube_stream_init(&r->stream, state == KUBE_STREAMING || state == KUBE_WATCHING ? KUBE_WATCH : KUBE_LIST);
	r->request = kube_http_get(r->http, &call);
}

static void ask_page(struct kube_reflector *r)
{
	CLEAN_FREE char *query = list_query(r);

	ask(r, KUBE_LISTING, query, 0, LIST_SILENCE_S);
}

static void ask_stream(struct kube_reflector *r)
{
	unsigned seconds = WATCH_S + random_below(WATCH_S);
	CLEAN_FREE char *query = mem_printf("watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
					    "&resourceVersion=%s&timeoutSeconds=%u",
					    least_version(r), seconds);

	ask(r, KUBE_STREAMING, query, seconds + WATCH_GRACE_S, LIST_SILENCE_S);
}

static void ask_watch(struct kube_reflector *r)
{
	unsigned seconds = WATCH_S + random_below(WATCH_S);
	CLEAN_FREE char *query =
		mem_printf("watch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%u", r->version, seconds);

	ask(r, KUBE_WATCHING, query, seconds + WATCH_GRACE_S, 0);
}

static void begin_list(struct kube_reflector *r)
{
	if (kube_store_begin(&r->store))
		r->changed_fn(r->arg);
	r->listed = false;
	r->page_token[0] = r->list_version[0] = '\0';
	if (r->no_stream)
		ask_page(r);
	else
		ask_stream(r);
}

static void on_timer(uv_timer_t *timer)
{
	struct kube_reflector *r = timer->data;

	kube_http_cancel(r->request);
	r->request = NULL;
	if (r->needs_list)
		begin_list(r);
	else if (r->doubt)
		ask(r, KUBE_ASKING, "limit=1", 0, LIST_SILENCE_S);
	else
		ask_watch(r);
}

static void go_on_in(struct kube_reflector *r, unsigned ms)
{
	uv_timer_start(&r->timer, on_timer, ms, 0);
}

static void end_trouble(struct kube_reflector *r)
{
	if (r->trouble.code)
		log_info("kube-recovered resource=%s", resources[r->kind].name);
	r->trouble = (struct err){0};
}

/* An accepted watch may be silent for a minute; but how often it failed is only forgotten when it did well. */
static void on_begun(void *arg)
{
	struct kube_reflector *r = arg;

	if (r->state == KUBE_WATCHING)
		end_trouble(r);
}

static void is_well(struct kube_reflector *r)
{
	end_trouble(r);
	r->failures = r->refusals = 0;
}

void kube_reflector_complete_list(struct kube_reflector *r, const char *version)
{
	bool older = kube_reflector_compare_versions(version, r->version) < 0;

	if (older)
		log_warn("kube-server-went-back resource=%s version=%s seen=%s in-force=until-complete reason=\"restored from a backup?\"",
			 resources[r->kind].name, version, r->version);
	r->went_back |= older;
	snprintf(r->version, sizeof(r->version), "%s", version);
	r->needs_list = r->consistent = r->no_pages = r->doubt = false;
	r->stale_answers = r->unended_streams = 0;
	r->listed = true;
	is_well(r);
	r->listed_fn(r, r->arg);
}

void kube_reflector_take(struct kube_reflector *r)
{
	kube_store_take(&r->store);
	r->listed = r->went_back = false;
	log_info("kube-listed resource=%s objects=%u version=%s", resources[r->kind].name, HASH_COUNT(r->store.objects), r->version);
}

void kube_reflector_relist(struct kube_reflector *r)
{
	r->needs_list = r->consistent = r->abandoned = true;
	r->listed = false;
	r->version[0] = '\0';
	kube_store_drop(&r->store);
	go_on_in(r, 0);
}

static const char *verb_of(enum kube_state state)
{
	return state == KUBE_WATCHING || state == KUBE_STREAMING ? "watch" : "list";
}

static void fail(struct kube_reflector *r, unsigned least_ms, const char *text)
{
	unsigned shift = r->failures < 8 ? r->failures : 8, ms = r->retry_first_ms << shift;

	ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
	ms = ms / 2 + random_below(ms);
	ms = ms > least_ms ? ms : least_ms + random_below(1000);
	if (strcmp(r->trouble.text, text) != 0)
		log_warn("kube-error resource=%s verb=%s error=\"%s\" retry-ms=%u in-force=what-is-known", resources[r->kind].name,
			 verb_of(r->state), text, ms);
	err_set(&r->trouble, EIO, "%s", text);
	r->failures++;
	r->failed_at = uv_now(r->http->loop);
	if (!r->listed && r->store.listing)
		kube_store_drop(&r->store);
	r->state = KUBE_PAUSED;
	go_on_in(r, ms);
}

static void on_forbidden(struct kube_reflector *r, const char *said)
{
	CLEAN_FREE char *text =
		mem_printf("forbidden: RBAC must let this user %s %s in %s; %s", verb_of(r->state), resources[r->kind].name,
			   r->kind == KIND_ENDPOINTS ? "namespace " ENDPOINTS_NAMESPACE : "all namespaces", said);

	fail(r, 0, text);
}

static void on_unauthorized(struct kube_reflector *r, const char *said)
{
	CLEAN_FREE char *text = mem_printf("unauthorized: the API server does not accept the token or certificate of %s; %s",
					   r->http->config->from, said);

	if (!r->refusals++) { /* it was rotated just now: it is read again for each request */
		r->state = KUBE_PAUSED;
		go_on_in(r, 0);
	} else {
		fail(r, 0, text);
	}
}

static void on_gone(struct kube_reflector *r, const char *said)
{
	log_info("kube-expired resource=%s version=%s answer=\"%s\" in-force=until-a-new-list-is-complete", resources[r->kind].name,
		 r->version, said);
	if (r->state == KUBE_LISTING)
		r->no_pages = true;
	r->needs_list = true;
	r->listed = false;
	fail(r, 0, said);
}

/* The server's answer is no success. */
static void on_status(struct kube_reflector *r, int status, unsigned retry_after, const char *said, bool too_new)
{
	if (status == 410) {
		on_gone(r, said);
	} else if (r->state == KUBE_STREAMING && (status == 400 || status == 422)) {
		r->no_stream = true;
		log_info("kube-no-stream resource=%s answer=\"%s\" instead=pages", resources[r->kind].name, said);
		go_on_in(r, 0);
	} else if (status == 401) {
		on_unauthorized(r, said);
	} else if (status == 403) {
		on_forbidden(r, said);
	} else {
		r->doubt |= status >= 500 && !r->needs_list;
		r->needs_list |= status == 400 && r->state == KUBE_WATCHING;
		if (too_new && ++r->stale_answers >= STALE_ANSWERS_MAX)
			r->consistent = true;
		fail(r, retry_after * 1000, said);
	}
}

static void after_page(struct kube_reflector *r)
{
	if (r->page_token[0]) {
		ask_page(r);
		return;
	}
	kube_reflector_complete_list(r, r->list_version);
	go_on_in(r, 0);
}

static void after_asking(struct kube_reflector *r)
{
	is_well(r);
	r->doubt = false;
	if (kube_reflector_compare_versions(r->list_version, r->version) < 0) {
		log_warn("kube-server-went-back resource=%s version=%s seen=%s in-force=until-complete reason=\"restored from a backup?\"",
			 resources[r->kind].name, r->list_version, r->version);
		r->went_back_fn(r, r->arg);
	}
	go_on_in(r, 0);
}

/* A watch ends when its time is over, and a new one continues; one that ends at once and empty is paused for. */
static void after_watch(struct kube_reflector *r)
{
	bool empty = !r->answered && uv_now(r->http->loop) - r->asked_at < SHORT_WATCH_MS;

	if (r->state == KUBE_STREAMING) {
		r->no_stream = ++r->unended_streams >= 3;
		fail(r, 0, "a streamed list ended before it was complete");
	} else if (empty) {
		fail(r, 0, "a watch ended as soon as it began");
	} else {
		is_well(r);
		go_on_in(r, 0);
	}
}

static void on_done(void *arg, const struct kube_reply *reply)
{
	struct kube_reflector *r = arg;
	bool watch = r->stream.shape == KUBE_WATCH;
	char said[512];
	bool too_new;

	r->request = NULL;
	if (r->abandoned) {
		go_on_in(r, 0);
	} else if (r->error_code) {
		snprintf(said, sizeof(said), "%.400s", r->broken.text);
		on_status(r, r->error_code, 0, said, false);
	} else if (r->broken.code) { /* what came makes no sense: what is in force stays, and is listed anew */
		snprintf(said, sizeof(said), "the API server sent what makes no sense: %.400s", r->broken.text);
		r->needs_list = true;
		r->listed = false;
		if (r->went_back)
			r->went_back_fn(r, r->arg);
		r->went_back = false;
		fail(r, 0, said);
	} else if (reply->status && reply->status != 200) {
		kube_reflector_read_status(reply, said, sizeof(said), &too_new);
		on_status(r, reply->status, reply->retry_after, said, too_new);
	} else if (reply->broken && !(watch && r->state == KUBE_WATCHING && r->answered)) {
		r->doubt = !r->needs_list;
		fail(r, 0, reply->err.text);
	} else if (reply->broken) { /* a watch that did well: its connection ended */
		is_well(r);
		r->doubt = true;
		go_on_in(r, random_below(r->retry_first_ms));
	} else if (watch) {
		after_watch(r);
	} else if (!r->page_whole) {
		fail(r, 0, "a list ended before it was complete");
	} else if (r->state == KUBE_ASKING) {
		after_asking(r);
	} else {
		after_page(r);
	}
}

void kube_reflector_init(struct kube_reflector *r, enum object_kind kind, struct kube_http *http, struct cluster *cluster)
{
	memset(r, 0, sizeof(*r));
	r->kind = kind;
	r->http = http;
	r->needs_list = true;
	r->retry_first_ms = RETRY_FIRST_MS;
	kube_store_init(&r->store, kind, cluster);
	uv_timer_init(http->loop, &r->timer);
	r->timer.data = r;
}

void kube_reflector_start(struct kube_reflector *r)
{
	go_on_in(r, 0);
}

void kube_reflector_close(struct kube_reflector *r)
{
	kube_http_cancel(r->request);
	r->request = NULL;
	uv_close((uv_handle_t *)&r->timer, NULL);
}

void kube_reflector_done(struct kube_reflector *r)
{
	kube_stream_done(&r->stream);
	kube_store_done(&r->store);
}

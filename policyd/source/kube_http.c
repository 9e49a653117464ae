/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi interface on libuv: curl says which sockets and which time it waits for, the loop tells it what happened.
 *
 * Who answers is always verified (chain and name), and HTTP/2 is spoken where TLS offers it, so that four watches share one
 * connection. CA, certificate, key and token are read for each request, because all of them rotate (kube_http_setup.c).
 *
 * A connection whose other end is gone without a word looks like a quiet one. Three things find it:
 *
 *  - The kernel asks the other kernel (keepalive, and the limit for what is not acknowledged): 25 seconds (kube_http_setup.c).
 *  - The other kernel may answer for a server that hangs, or a proxy for one that is gone. So when nothing came for QUIET_S seconds
 *    the server is asked for its version, and when that is not answered either, all that waits for it is broken off.
 *    Over HTTP/2 the question goes over the very connection that is silent. As a rule nothing is asked: bookmarks come each minute.
 *  - A watch has an end in its request, and is broken off somewhat later if the server does not keep to it (kube_reflector.c).
 */
#include "policyd/source/kube_http.h"

#include <string.h>
#include <sys/socket.h>

#include "moat/text.h"
#include "policyd/source/kube_http_internal.h"

#define QUIET_S 75
#define PROBE_S 15
#define WATCHDOG_MS 5000
#define RESOLVED_MS 30000

struct watched_socket {
	uv_poll_t poll;
	struct kube_http *http;
	curl_socket_t fd;
	struct watched_socket *next, **link;
};

static void free_request(struct kube_request *r)
{
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	if (r->http->probe == r)
		r->http->probe = NULL;
	curl_multi_remove_handle(r->http->multi, r->easy); /* does nothing to one that was not added */
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	curl_slist_free_all(r->connect);
	curl_slist_free_all(r->resolve);
	free(r->message);
	free(r);
}

void kube_http_cancel(struct kube_request *r)
{
	if (r)
		free_request(r);
}

void kube_http_let_be_silent(struct kube_request *r)
{
	if (r)
		r->call.silence_s = 0;
}

static void describe(const struct kube_request *r, CURLcode result, struct kube_reply *ret)
{
	long status = 0;
	curl_off_t retry_after = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &retry_after);
	*ret = (struct kube_reply){
		.status = (int)status,
		.broken = result != CURLE_OK,
		.retry_after = retry_after > 0 && retry_after < 3600 ? (unsigned)retry_after : 0,
		.message = r->message,
		.message_len = r->message_len,
	};
	if (result != CURLE_OK && r->doomed)
		err_set(&ret->err, ETIMEDOUT, "%s", r->doomed);
	else if (result != CURLE_OK)
		err_set(&ret->err, EIO, "%s", r->error[0] ? r->error : curl_easy_strerror(result));
}

/* The request is gone before its end is told: who is told may ask anew. */
static void finish(struct kube_request *r, struct kube_reply *reply)
{
	struct kube_call call = r->call;
	char *message = TAKE_PTR(r->message);

	free_request(r);
	call.done(call.arg, reply);
	free(message);
}

static void take_finished(struct kube_http *h)
{
	CURLMsg *m;
	int left;

	while (!h->closing && (m = curl_multi_info_read(h->multi, &left))) {
		struct kube_request *r = NULL;
		struct kube_reply reply;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		describe(r, m->data.result, &reply);
		finish(r, &reply);
	}
	if (!h->closing && h->settled)
		h->settled(h->arg);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct watched_socket *s = poll->data;
	struct kube_http *h = s->http;
	int flags = ((events & UV_READABLE) ? CURL_CSELECT_IN : 0) | ((events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0) |
		    (status < 0 ? CURL_CSELECT_ERR : 0);
	int running;

	curl_multi_socket_action(h->multi, s->fd, flags, &running);
	take_finished(h);
}

static void free_socket(uv_handle_t *handle)
{
	free(handle->data);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct kube_http *h = arg;
	struct watched_socket *s = known;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s) {
			*s->link = s->next;
			if (s->next)
				s->next->link = s->link;
			uv_poll_stop(&s->poll);
			uv_close((uv_handle_t *)&s->poll, free_socket);
			curl_multi_assign(h->multi, fd, NULL);
		}
		return 0;
	}
	if (!s) {
		s = mem_zalloc(sizeof(*s));
		s->http = h;
		s->fd = fd;
		s->poll.data = s;
		s->next = h->sockets;
		s->link = &h->sockets;
		if (s->next)
			s->next->link = &s->next;
		h->sockets = s;
		if (uv_poll_init_socket(h->loop, &s->poll, fd) < 0)
			abort(); /* a socket that curl has just made: only out of memory */
		curl_multi_assign(h->multi, fd, s);
	}
	uv_poll_start(&s->poll, ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0), on_socket);
	return 0;
}

static void on_time(uv_timer_t *timer)
{
	struct kube_http *h = timer->data;
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(h);
}

static int want_time(CURLM *multi, long ms, void *arg)
{
	struct kube_http *h = arg;

	(void)multi;
	if (ms < 0)
		uv_timer_stop(&h->timer);
	else
		uv_timer_start(&h->timer, on_time, (uint64_t)ms, 0);
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct kube_request *r = arg;
	long status = 0;

	n *= size;
	r->heard = uv_now(r->http->loop);
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200) {
		r->unwanted = r->unwanted || r->call.body(r->call.arg, bytes, n) < 0;
		return r->unwanted ? 0 : n;
	}
	if (r->message_len + n > KUBE_MESSAGE_BYTES_MAX)
		return n;
	r->message = mem_realloc(r->message, r->message_len + n, 1);
	memcpy(r->message + r->message_len, bytes, n);
	r->message_len += n;
	return n;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): as libcurl calls it */
static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct kube_request *r = arg;
	long version = 0, status = 0;

	r->heard = uv_now(r->http->loop);
	curl_easy_getinfo(r->easy, CURLINFO_HTTP_VERSION, &version);
	if (version)
		r->http->version = version >= CURL_HTTP_VERSION_2_0 ? 2 : 1;
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200 && r->call.begun && size * n == 2 && bytes[0] == '\r') /* the end of the header */
		r->call.begun(r->call.arg);
	return size * n;
}

/* A request that cannot be made fails from the loop, like any other. */
static void on_later(uv_timer_t *timer)
{
	struct kube_http *h = timer->data;
	struct kube_request *r = h->requests;

	while (r && !h->closing) {
		struct kube_reply reply = {.broken = true, .err = r->failure};

		if (!r->failure.code) {
			r = r->next;
			continue;
		}
		finish(r, &reply);
		r = h->requests; /* who was told may have changed the list */
	}
	if (!h->closing && h->settled)
		h->settled(h->arg);
}

static void fail_later(struct kube_request *r)
{
	uv_timer_start(&r->http->later, on_later, 0, 0);
}

static void start(struct kube_request *r)
{
	curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
	curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(r->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(r->easy, CURLOPT_HEADERDATA, r);
	if (kube_http_set_up(r, &r->failure) < 0)
		fail_later(r);
	else
		curl_multi_add_handle(r->http->multi, r->easy);
}

/* Those that wait go to the addresses that are known now; without any they fail. */
static void on_addresses(const char *addresses, const char *why, void *arg)
{
	struct kube_http *h = arg;

	if (addresses) {
		free(h->addresses);
		h->addresses = mem_strdup(addresses);
	}
	h->resolved_at = uv_now(h->loop);
	for (struct kube_request *r = h->requests; r; r = r->next) {
		if (!r->waits)
			continue;
		r->waits = false;
		r->heard = uv_now(h->loop);
		if (h->addresses) {
			start(r);
		} else {
			err_set(&r->failure, EHOSTUNREACH, "%s is not resolved: %s", h->config->host, TEXT(why));
			fail_later(r);
		}
	}
}

/* Asked anew for each connection that may be made, unless that was a moment ago. */
static bool must_resolve(const struct kube_http *h)
{
	return h->names && (!h->addresses || uv_now(h->loop) - h->resolved_at > RESOLVED_MS);
}

struct kube_request *kube_http_get(struct kube_http *h, const struct kube_call *call)
{
	struct kube_request *r = mem_zalloc(sizeof(*r));
	CLEAN_FREE char *url = mem_printf("%s%s", h->url, call->target);

	r->http = h;
	r->call = *call;
	r->call.target = NULL; /* the caller's */
	r->heard = uv_now(h->loop);
	r->easy = curl_easy_init();
	if (!r->easy)
		abort();
	curl_easy_setopt(r->easy, CURLOPT_URL, url);
	if (h->connect)
		r->connect = curl_slist_append(NULL, h->connect);
	r->next = h->requests;
	r->link = &h->requests;
	if (r->next)
		r->next->link = &r->next;
	h->requests = r;
	r->waits = must_resolve(h);
	if (r->waits)
		kube_names_ask(h->names);
	else
		start(r);
	return r;
}

static int ignore_body(void *arg, const char *bytes, size_t n)
{
	(void)arg;
	(void)bytes;
	(void)n;
	return 0;
}

/*
 * All that waits for a server that does not answer. Its connections go, else they would be used again: shut down, they look to
 * curl as if the other end had closed them, and it ends what is on them.
 */
static void break_off_all(struct kube_http *h, const char *why)
{
	kube_http_cancel(h->probe);
	for (struct kube_request *r = h->requests; r; r = r->next)
		r->doomed = r->waits ? NULL : why;
	for (const struct watched_socket *s = h->sockets; s; s = s->next)
		shutdown(s->fd, SHUT_RDWR);
}

/* Whatever it answered, it lives; but a question that ended without an answer says that it does not. */
static void on_probe(void *arg, const struct kube_reply *reply)
{
	struct kube_http *h = arg;

	if (reply->broken && !reply->status)
		break_off_all(h, "an open connection that answers nothing");
	for (struct kube_request *r = h->requests; r; r = r->next)
		r->heard = r->call.silence_s ? r->heard : uv_now(h->loop);
}

static void ask_whether_alive(struct kube_http *h)
{
	const struct kube_call call = {
		.target = "/version",
		.timeout_s = h->probe_s,
		.body = ignore_body,
		.done = on_probe,
		.arg = h,
	};

	h->probe = kube_http_get(h, &call);
}

static void on_watchdog(uv_timer_t *timer)
{
	struct kube_http *h = timer->data;
	uint64_t now = uv_now(h->loop);
	bool quiet = false, silent = false;

	for (struct kube_request *r = h->requests; r; r = r->next) {
		uint64_t ms = now - r->heard;

		if (r->waits)
			continue;
		if (r->call.silence_s)
			silent |= ms > r->call.silence_s * UINT64_C(1000);
		else
			quiet |= r != h->probe && ms > h->quiet_ms;
	}
	if (silent)
		break_off_all(h, "the server has stopped answering");
	else if (quiet && !h->probe)
		ask_whether_alive(h);
	if (!h->closing && h->settled)
		h->settled(h->arg);
}

/* A certificate's other name becomes the URL's; where to connect and what to call the host then are told apart from it. */
static void name_server(struct kube_http *h)
{
	const struct kube_config *c = h->config;
	const char *open = strchr(c->host, ':') ? "[" : "", *close = *open ? "]" : "";

	h->url = mem_printf("https://%s%s%s:%u%s", c->tls_server_name ? "" : open, c->tls_server_name ? c->tls_server_name : c->host,
			    c->tls_server_name ? "" : close, c->port, c->prefix);
	if (!c->tls_server_name)
		return;
	h->connect = mem_printf("%s:%u:%s%s%s:%u", c->tls_server_name, c->port, open, c->host, close, c->port);
	h->host_header = mem_printf("Host: %s%s%s:%u", open, c->host, close, c->port);
}

static void *new_multi(struct kube_http *h)
{
	CURLM *multi = curl_multi_init();

	if (!multi)
		abort();
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, want_time);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	return multi;
}

int kube_http_init(struct kube_http *h, uv_loop_t *loop, const struct kube_config *config, struct kube_names *names, struct err *err)
{
	memset(h, 0, sizeof(*h));
	if (curl_global_init(CURL_GLOBAL_ALL) != 0)
		return err_set(err, ENOMEM, "libcurl cannot be initialised");
	h->loop = loop;
	h->config = config;
	h->quiet_ms = QUIET_S * 1000;
	h->probe_s = PROBE_S;
	h->names = names && names->fd >= 0 ? names : NULL;
	name_server(h);
	uv_timer_init(loop, &h->timer);
	uv_timer_init(loop, &h->later);
	uv_timer_init(loop, &h->watchdog);
	h->timer.data = h->later.data = h->watchdog.data = h;
	h->multi = new_multi(h);
	uv_timer_start(&h->watchdog, on_watchdog, WATCHDOG_MS, WATCHDOG_MS);
	return h->names ? kube_names_follow(h->names, loop, on_addresses, h, err) : 0;
}

void kube_http_close(struct kube_http *h)
{
	if (!h->multi)
		return;
	h->closing = true;
	while (h->requests)
		free_request(h->requests);
	curl_multi_cleanup(h->multi);
	h->multi = NULL;
	uv_close((uv_handle_t *)&h->timer, NULL);
	uv_close((uv_handle_t *)&h->later, NULL);
	uv_close((uv_handle_t *)&h->watchdog, NULL);
	if (h->names)
		kube_names_close(h->names);
	free(h->addresses);
	free(h->url);
	free(h->connect);
	free(h->host_header);
	curl_global_cleanup();
}

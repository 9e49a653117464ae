/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket's requests mean. Texts from outside are escaped here, on their way out. */
#include <cjson/cJSON.h>
#include <string.h>

#include "moat/clock.h"
#include "moat/dump.h"
#include "moat/ruleset.h"
#include "moat/text.h"
#include "policyd/daemon.h"

struct cJSON *ctl_refuse(const char *why)
{
	cJSON *answer = cJSON_CreateObject();

	cJSON_AddBoolToObject(answer, "ok", false);
	cJSON_AddStringToObject(answer, "error", TEXT(why));
	return answer;
}

static cJSON *accept_request(void)
{
	cJSON *answer = cJSON_CreateObject();

	cJSON_AddBoolToObject(answer, "ok", true);
	return answer;
}

static const char *string_of(const cJSON *request, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, key));
}

/* Answers at once when waiting would be useless: not synced, or nobody says what this pod may do. */
static cJSON *answer_attach(struct daemon *d, const char *key)
{
	struct local_pod *pod;

	attachments_read(&d->attachments, key, true);
	if (!daemon_is_synced(d))
		return ctl_refuse("the source is not synced yet: the pod stays closed");
	daemon_apply(d);
	HASH_FIND_STR(cluster_local_pods(d->cluster), key, pod);
	if (!pod)
		return ctl_refuse("the pod store has no such attachment");
	if (pod->confirmation != POD_CONFIRMED)
		return ctl_refuse("the pod is not known yet: it stays closed");
	return d->trouble[0] ? ctl_refuse(d->trouble) : accept_request();
}

static cJSON *attach(struct daemon *d, const cJSON *request)
{
	const char *key = string_of(request, "key");
	cJSON *answer;

	if (!key)
		return ctl_refuse("attach needs the key of an attachment");
	answer = answer_attach(d, key);
	windows_answered(&d->windows, key, cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")), clock_monotonic_us());
	return answer;
}

static cJSON *detach(struct daemon *d, const cJSON *request)
{
	const char *key = string_of(request, "key");

	if (!key)
		return ctl_refuse("detach needs the key of an attachment");
	if (attachments_read(&d->attachments, key, false))
		daemon_apply(d);
	attachments_release_closed(&d->attachments);
	return accept_request();
}

/* Of adopted pods: one by name, or all. */
static cJSON *enforce(struct daemon *d, const cJSON *request)
{
	const char *pod = string_of(request, "pod");
	bool all = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request, "all"));
	CLEAN_FREE char *ns = mem_strdup(pod);
	char *slash = pod ? strchr(ns, '/') : NULL;
	struct err err;
	cJSON *answer;
	int n;

	if (all ? pod != NULL : !slash)
		return ctl_refuse("enforce needs a pod, namespace/name, or all");
	if (!daemon_is_synced(d))
		return ctl_refuse("the source is not synced yet");
	if (slash)
		*slash++ = '\0';
	n = adopt_enforce(&d->adopt, all ? NULL : ns, slash, &err);
	if (n < 0)
		return ctl_refuse(err.text);
	if (n == 0 && !all)
		return ctl_refuse("no pod of that name was adopted here; one that was attached is enforced already");
	daemon_apply(d);
	if (d->trouble[0])
		return ctl_refuse(d->trouble);
	answer = accept_request();
	cJSON_AddNumberToObject(answer, "enforced", n);
	return answer;
}

static void add_text(cJSON *object, const char *key, const char *text)
{
	char escaped[1024];

	if (text)
		cJSON_AddStringToObject(object, key, text_escape(text, escaped, sizeof(escaped)));
}

static cJSON *texts_of(char *const *texts, size_t n)
{
	cJSON *list = cJSON_CreateArray();
	char escaped[1024];

	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(text_escape(texts[i], escaped, sizeof(escaped))));
	return list;
}

static cJSON *manifests_status(const struct manifest_source *s)
{
	cJSON *status = cJSON_CreateObject(), *files = cJSON_AddArrayToObject(status, "troubled");

	add_text(status, "directory", s->directory);
	add_text(status, "missing", s->missing[0] ? s->missing : NULL);
	cJSON_AddNumberToObject(status, "files", HASH_COUNT(s->files));
	cJSON_AddNumberToObject(status, "objects", (double)manifest_count_objects(s));
	cJSON_AddNumberToObject(status, "waiting", (double)manifest_count_waiting(s));
	for (struct manifest_file *f = s->files; f; f = f->hh.next) {
		cJSON *file;

		if (!f->errors.n && !f->warnings.n)
			continue;
		file = cJSON_CreateObject();
		add_text(file, "file", f->name);
		cJSON_AddStringToObject(file, "inForce", !f->errors.n ? "this version" :
							 f->stale     ? "the last good version" :
									"what is good in it");
		cJSON_AddItemToObject(file, "errors", texts_of(f->errors.v, f->errors.n));
		cJSON_AddItemToObject(file, "warnings", texts_of(f->warnings.v, f->warnings.n));
		cJSON_AddItemToArray(files, file);
	}
	return status;
}

static cJSON *baseline_status(const struct daemon *d)
{
	const struct baseline_file *f = &d->baseline;
	cJSON *status = cJSON_CreateObject();

	add_text(status, "file", f->path);
	cJSON_AddStringToObject(status, "inForce", !f->errors.n ? "this version" : f->in_force ? "the last good version" : "none");
	cJSON_AddNumberToObject(status, "rules", (double)f->rules);
	cJSON_AddBoolToObject(status, "apiserverUnknown", cluster_lacks_apiserver(d->cluster));
	cJSON_AddItemToObject(status, "errors", texts_of(f->errors.v, f->errors.n));
	cJSON_AddItemToObject(status, "warnings", texts_of(f->warnings.v, f->warnings.n));
	return status;
}

static const char *confirmation_text(enum confirmation c)
{
	static const char *const texts[] = {
		[POD_CONFIRMED] = "confirmed",
		[POD_UNKNOWN] = "not known: closed",
		[POD_NAMESPACE_UNKNOWN] = "namespace not known: closed",
		[POD_NOT_KUBERNETES] = "no Kubernetes pod: closed",
	};

	return texts[c];
}

static const char *policy_text(const struct local_pod *pod, enum direction d)
{
	const struct profile *p = pod->profile[d];

	if (!p) /* no source is synced yet */
		return "as it stands";
	if (p->open)
		return "open";
	if (pod->excess[d])
		return p->end == END_OBSERVE ? "observed: see excess" : "closed: see excess";
	if (profile_is_empty(p))
		return p->end == END_OBSERVE ? "observed" : "closed";
	if (!pod->selected[d])
		return p->end == END_OBSERVE ? "baseline, the rest observed" : "closed but for the baseline";
	return p->end == END_OBSERVE ? "policy, observed" : "policy";
}

static cJSON *pod_status(const struct daemon *d, const struct local_pod *pod)
{
	const struct attachment *a = pod->attachment;
	cJSON *status = cJSON_CreateObject(), *addrs = cJSON_AddArrayToObject(status, "addresses");
	struct known_attachment *known;
	char text[ADDR_TEXT_MAX];

	add_text(status, "attachment", pod->key);
	add_text(status, "namespace", a->pod_namespace);
	add_text(status, "pod", a->pod_name);
	add_text(status, "port", a->port);
	for (size_t i = 0; i < a->n_addrs; i++)
		cJSON_AddItemToArray(addrs, cJSON_CreateString(addr_text(&a->addrs[i], text)));
	cJSON_AddStringToObject(status, "mode", mode_name(pod->mode));
	cJSON_AddBoolToObject(status, "labelIgnored", pod->label_ignored);
	if (a->adoption != ADOPTION_NONE)
		cJSON_AddStringToObject(status, "adopted", a->adoption == ADOPTION_HELD ? "held" : "enforced");
	cJSON_AddStringToObject(status, "state", confirmation_text(pod->confirmation));
	cJSON_AddBoolToObject(status, "byNameOnly", pod->by_name_only);
	cJSON_AddStringToObject(status, "ingress", policy_text(pod, INGRESS));
	cJSON_AddStringToObject(status, "egress", policy_text(pod, EGRESS));
	HASH_FIND_STR(d->attachments.known, pod->key, known);
	add_text(status, "trouble", known && known->trouble[0] ? known->trouble : NULL);
	add_text(status, "excess", pod->excess[INGRESS] ? pod->excess[INGRESS] : pod->excess[EGRESS]);
	return status;
}

static cJSON *window_status(const struct windows *w)
{
	cJSON *status = cJSON_CreateObject();

	cJSON_AddNumberToObject(status, "inPlace", (double)w->in_place);
	cJSON_AddNumberToObject(status, "late", (double)w->late);
	cJSON_AddNumberToObject(status, "waiting", HASH_COUNT(w->waiting));
	cJSON_AddNumberToObject(status, "medianMicroseconds", (double)windows_percentile(w, 50));
	cJSON_AddNumberToObject(status, "p99Microseconds", (double)windows_percentile(w, 99));
	cJSON_AddNumberToObject(status, "maxMicroseconds", (double)w->max_us);
	return status;
}

static void add_others(const struct daemon *d, cJSON *answer)
{
	cJSON *list = cJSON_AddArrayToObject(answer, "otherEnforcers");

	for (size_t i = 0; i < d->others.v.n; i++) {
		cJSON *other = cJSON_CreateObject();

		add_text(other, "who", d->others.v.v[i].who);
		add_text(other, "sign", d->others.v.v[i].sign);
		cJSON_AddItemToArray(list, other);
	}
}

struct escape_list {
	const struct adopt *adopt;
	cJSON *list;
};

static void add_escape(const struct object *pod, void *arg)
{
	const struct escape_list *l = arg;
	cJSON *escape = cJSON_CreateObject(), *addrs = cJSON_AddArrayToObject(escape, "addresses");
	char text[ADDR_TEXT_MAX];

	cJSON_AddStringToObject(escape, "namespace", pod->ns);
	cJSON_AddStringToObject(escape, "pod", pod->name);
	for (size_t i = 0; i < pod->pod.addrs.n; i++)
		cJSON_AddItemToArray(addrs, cJSON_CreateString(addr_text(&pod->pod.addrs.v[i], text)));
	add_text(escape, "notAdopted", adopt_why_not(l->adopt, pod));
	cJSON_AddItemToArray(l->list, escape);
}

static cJSON *counters_status(struct nl *nl)
{
	static const char *const chains[] = {CHAIN_DENY_INGRESS,   CHAIN_DENY_EGRESS,	  CHAIN_REJECT_INGRESS,
					     CHAIN_REJECT_EGRESS, CHAIN_OBSERVE_INGRESS, CHAIN_OBSERVE_EGRESS, "lost",
					     CHAIN_UNGUARDED,     CHAIN_UNGUARDED_OBSERVED};
	cJSON *status = cJSON_CreateObject();

	for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
		cJSON_AddNumberToObject(status, chains[i], (double)dump_counter(nl, chains[i]));
	return status;
}

static cJSON *kernel_status(struct daemon *d)
{
	const struct reconcile_stats *stats = &d->reconcile.stats;
	cJSON *status = cJSON_CreateObject();
	struct err damage;
	int code;

	add_text(status, "trouble", d->trouble[0] ? d->trouble : NULL);
	cJSON_AddBoolToObject(status, "upToDate", d->reconcile.built);
	code = ruleset_prove(&d->reconcile.nl, TABLE_INET, &damage);
	if (code == 0 && reconcile_has_bridges(&d->reconcile))
		code = ruleset_prove(&d->reconcile.nl, TABLE_BRIDGE, &damage);
	cJSON_AddStringToObject(status, "ruleset", code == 0 ? "intact" : code == -ENOENT ? "absent" : damage.text);
	cJSON_AddNumberToObject(status, "pendingPods", (double)d->reconcile.pending.n);
	cJSON_AddNumberToObject(status, "runs", (double)stats->runs);
	cJSON_AddNumberToObject(status, "rebuilds", (double)stats->rebuilds);
	cJSON_AddNumberToObject(status, "failures", (double)stats->failures);
	cJSON_AddNumberToObject(status, "lastMicroseconds", (double)stats->last_us);
	cJSON_AddNumberToObject(status, "maxMicroseconds", (double)stats->max_us);
	cJSON_AddNumberToObject(status, "connectionsRevoked", (double)d->reconcile.revoke.revoked);
	cJSON_AddBoolToObject(status, "revoking", !revoke_is_done(&d->reconcile.revoke));
	cJSON_AddNumberToObject(status, "doubledAddresses", (double)cluster_doubled_addresses(d->cluster));
	cJSON_AddItemToObject(status, "packets", counters_status(&d->reconcile.nl));
	return status;
}

static cJSON *ranges_status(const struct pod_ranges *p)
{
	static const char *const sources[] = {
		[RANGES_UNKNOWN] = "unknown", [RANGES_GIVEN] = "--pod-ranges", [RANGES_OF_NODE] = "the Node's podCIDRs"};
	cJSON *status = cJSON_CreateObject(), *ranges = cJSON_AddArrayToObject(status, "ranges");
	char text[BLOCK_TEXT_MAX];

	for (size_t i = 0; i < p->blocks.n; i++)
		cJSON_AddItemToArray(ranges, cJSON_CreateString(addr_block_text(&p->blocks.v[i], text)));
	cJSON_AddStringToObject(status, "source", sources[p->source]);
	cJSON_AddStringToObject(status, "unguarded", p->deny ? "lost" : "counted");
	add_text(status, "why", p->why_not);
	return status;
}

static cJSON *tamper_status(const struct watch *w)
{
	const struct tamper *t = &w->tamper;
	cJSON *status = cJSON_CreateObject();

	cJSON_AddNumberToObject(status, "foundByEvent", (double)t->by_event);
	cJSON_AddNumberToObject(status, "foundByCheck", (double)t->by_checks);
	cJSON_AddNumberToObject(status, "exposedMedianMicroseconds", tamper_median_us(t));
	cJSON_AddNumberToObject(status, "exposedMaxMicroseconds", t->max_us);
	cJSON_AddNumberToObject(status, "unnoticedMaxMicroseconds", t->max_unnoticed_us);
	cJSON_AddNumberToObject(status, "lastCheckMicroseconds", (double)w->check_us);
	add_text(status, "underWay", t->open ? t->what : NULL);
	add_text(status, "last", t->last[0] ? t->last : NULL);
	return status;
}

static cJSON *status(struct daemon *d)
{
	cJSON *answer = accept_request(), *pods, *strays, *unreadable;
	struct escape_list escapes = {.adopt = &d->adopt};

	cJSON_AddBoolToObject(answer, "synced", daemon_is_synced(d));
	add_text(answer, "node", d->node);
	if (d->options.manifests)
		cJSON_AddItemToObject(answer, "manifests", manifests_status(&d->manifests));
	else
		cJSON_AddItemToObject(answer, "kube", ctl_kube_status(&d->kube));
	if (d->conflist.path) {
		cJSON *conflist = cJSON_AddObjectToObject(answer, "conflist");

		add_text(conflist, "file", d->conflist.path);
		add_text(conflist, "trouble", d->conflist.trouble[0] ? d->conflist.trouble : NULL);
	}
	if (d->baseline.path)
		cJSON_AddItemToObject(answer, "baseline", baseline_status(d));
	cJSON_AddItemToObject(answer, "kernel", kernel_status(d));
	cJSON_AddItemToObject(answer, "podRanges", ranges_status(&d->reconcile.net.ranges));
	cJSON_AddItemToObject(answer, "tampering", tamper_status(&d->watch));
	pods = cJSON_AddArrayToObject(answer, "pods");
	for (struct local_pod *pod = cluster_local_pods(d->cluster); pod; pod = pod->hh.next)
		cJSON_AddItemToArray(pods, pod_status(d, pod));
	escapes.list = cJSON_AddArrayToObject(answer, "escapes");
	cluster_each_escape(d->cluster, add_escape, &escapes);
	add_others(d, answer);
	cJSON_AddItemToObject(answer, "denyWindow", window_status(&d->windows));
	unreadable = cJSON_AddArrayToObject(answer, "unreadable");
	strays = cJSON_AddArrayToObject(answer, "strays");
	for (size_t i = 0; i < d->watch.strays.told.n; i++)
		cJSON_AddItemToArray(strays, cJSON_CreateString(d->watch.strays.told.v[i]));
	for (size_t i = 0; i < d->attachments.unreadable.n; i++)
		cJSON_AddItemToArray(unreadable, cJSON_CreateString(d->attachments.unreadable.v[i].error));
	return answer;
}

struct cJSON *ctl_answer(struct daemon *d, const char *line)
{
	cJSON *request = cJSON_ParseWithOpts(line, NULL, true), *answer;
	const char *op = string_of(request, "op");

	if (!op)
		answer = ctl_refuse("a request is one JSON object with \"op\"");
	else if (!strcmp(op, "attach"))
		answer = attach(d, request);
	else if (!strcmp(op, "detach"))
		answer = detach(d, request);
	else if (!strcmp(op, "status"))
		answer = status(d);
	else if (!strcmp(op, "enforce"))
		answer = enforce(d, request);
	else if (!strcmp(op, "explain"))
		answer = ctl_explain(d->cluster, request);
	else
		answer = ctl_refuse("unknown op; there are attach, detach, status, enforce, explain");
	cJSON_Delete(request);
	return answer;
}

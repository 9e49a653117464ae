/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod. What decides whom policies select (labels, identity, hostNetwork) must be readable, else the object is not
 * used: a pod that is not known is closed. Addresses, ports and times only give, so one that is unreadable is told, left
 * out, and the rest of the pod stands.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "moat/text.h"
#include "policyd/model/bounds.h"
#include "policyd/decode/decode_internal.h"

#define ADDRS_MAX 32 /* the API server takes one per family */

static bool two_digits(const char *s, int low, int high, int *ret)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return false;
	*ret = (s[0] - '0') * 10 + s[1] - '0';
	return *ret >= low && *ret <= high;
}

/* What follows the seconds: a fraction, then Z or an offset from UTC. */
static bool parse_zone(const char *s, int64_t *ret_offset)
{
	int hours, minutes;

	if (*s == '.') {
		size_t digits = strspn(++s, "0123456789");

		if (!digits)
			return false;
		s += digits;
	}
	*ret_offset = 0;
	if (!strcmp(s, "Z"))
		return true;
	if ((*s != '+' && *s != '-') || strlen(s) != 6 || s[3] != ':')
		return false;
	if (!two_digits(s + 1, 0, 23, &hours) || !two_digits(s + 4, 0, 59, &minutes))
		return false;
	*ret_offset = (int64_t)(*s == '-' ? -60 : 60) * (hours * 60 + minutes);
	return true;
}

/* RFC 3339, section 5.6, as Kubernetes writes times; seconds since 1970. */
static bool parse_time(const char *s, int64_t *ret)
{
	struct tm tm = {0};
	int century, year, day, second;
	int64_t offset;

	if (strlen(s) < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':')
		return false;
	if (!two_digits(s, 0, 99, &century) || !two_digits(s + 2, 0, 99, &year) || !two_digits(s + 5, 1, 12, &tm.tm_mon) ||
	    !two_digits(s + 8, 1, 31, &tm.tm_mday) || !two_digits(s + 11, 0, 23, &tm.tm_hour) ||
	    !two_digits(s + 14, 0, 59, &tm.tm_min) || !two_digits(s + 17, 0, 60, &tm.tm_sec) || !parse_zone(s + 19, &offset))
		return false;
	tm.tm_year = century * 100 + year - 1900;
	tm.tm_mon--;
	day = tm.tm_mday;
	second = tm.tm_sec;
	*ret = (int64_t)timegm(&tm) - offset;
	return tm.tm_mday == day || second == 60; /* a leap second may move the day, the 30th of February may not */
}

static bool decode_time(struct decode *d, const struct doc *map, const char *field, int64_t *ret)
{
	const struct doc *doc = decode_field(d, map, field, DOC_STRING);
	size_t mark;
	bool good;

	if (!doc)
		return false;
	good = parse_time(doc->text, ret);
	if (!good) {
		*ret = 0;
		mark = decode_enter(d, field);
		decode_error(d, doc, "\"%s\" is not a time; write it as 2006-01-02T15:04:05Z", TEXT(doc->text));
		decode_leave(d, mark);
	}
	return good;
}

static void decode_started(struct decode *d, const struct doc *root, const struct doc *status, struct pod *pod)
{
	size_t mark = decode_enter(d, "status");
	bool found = decode_time(d, status, "startTime", &pod->started);

	decode_leave(d, mark);
	if (found)
		return;
	mark = decode_enter(d, "metadata");
	decode_time(d, doc_get(root, "metadata"), "creationTimestamp", &pod->started);
	decode_leave(d, mark);
}

static void decode_pod_ip(struct decode *d, const struct doc *doc, struct pod *pod)
{
	struct addr addr;
	struct err err;

	if (!decode_expect(d, doc, DOC_STRING))
		return;
	if (addr_parse(doc->text, &addr, &err) < 0) {
		decode_error(d, doc, "%s", err.text);
		return;
	}
	if (!addr_is_pod_address(&addr)) {
		decode_error(d, doc, "%s is not an address a pod can have", TEXT(doc->text));
		return;
	}
	for (size_t i = 0; i < pod->addrs.n; i++)
		if (addr_equal(&pod->addrs.v[i], &addr))
			return;
	if (pod->addrs.n >= ADDRS_MAX)
		decode_error(d, doc, "is one address too many; a pod has at most %d", ADDRS_MAX);
	else
		VEC_PUSH(&pod->addrs, addr);
}

static void decode_pod_ips(struct decode *d, const struct doc *status, struct pod *pod)
{
	const struct doc *list = decode_field(d, status, "podIPs", DOC_LIST);
	const struct doc *single = doc_get(status, "podIP");
	size_t mark;

	if (!list || list->n == 0) {
		mark = decode_enter(d, "podIP");
		if (single && !(single->kind == DOC_STRING && !single->text[0]))
			decode_pod_ip(d, single, pod);
		decode_leave(d, mark);
		return;
	}
	mark = decode_enter(d, "podIPs");
	for (size_t i = 0; i < list->n; i++) {
		size_t inner = decode_enter_item(d, i);
		const struct doc *ip = NULL;

		if (decode_expect(d, &list->items[i], DOC_MAP))
			ip = doc_get(&list->items[i], "ip");
		decode_enter(d, "ip");
		if (ip)
			decode_pod_ip(d, ip, pod);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

/* Only a port with a name can be asked for. */
static void decode_container_port(struct decode *d, const struct doc *item, struct pod *pod)
{
	struct named_port port = {0};
	const struct doc *name, *number;
	size_t mark;

	if (!decode_expect(d, item, DOC_MAP))
		return;
	name = decode_field(d, item, "name", DOC_STRING);
	if (!name || !name->text[0])
		return;
	if (!text_is_port_name(name->text)) {
		mark = decode_enter(d, "name");
		decode_error(d, name, "\"%s\" is not a port name; use at most 15 of a-z, 0-9 and '-', with a letter",
			     TEXT(name->text));
		decode_leave(d, mark);
		return;
	}
	number = doc_get(item, "containerPort");
	mark = decode_enter(d, "containerPort");
	if (!number)
		decode_error(d, item, "is missing; use 1 to 65535");
	if (number && decode_port_number(d, number, &port.number)) {
		decode_leave(d, mark);
		if (decode_protocol(d, item, &port.protocol)) {
			if (pod->ports.n < POD_NAMED_PORTS_MAX) {
				port.name = mem_strdup(name->text);
				VEC_PUSH(&pod->ports, port);
			} else {
				decode_warn(d, item, "is one named port too many, at most %d are read: it is left out", POD_NAMED_PORTS_MAX);
			}
		}
		return;
	}
	decode_leave(d, mark);
}

/* An init container that restarts serves as long as the pod lives (sidecar); others are gone before it is ready. */
static void decode_containers(struct decode *d, const struct doc *spec, const char *field, bool only_restartable,
			      struct pod *pod)
{
	const struct doc *list = decode_field(d, spec, field, DOC_LIST);
	size_t mark = decode_enter(d, field);

	for (size_t i = 0; list && i < list->n; i++) {
		size_t inner = decode_enter_item(d, i);
		const struct doc *container = &list->items[i], *ports = NULL;
		const char *restart = NULL;

		if (decode_expect(d, container, DOC_MAP)) {
			restart = decode_string(d, container, "restartPolicy");
			ports = decode_field(d, container, "ports", DOC_LIST);
		}
		if (only_restartable && (!restart || strcmp(restart, "Always") != 0))
			ports = NULL;
		decode_enter(d, "ports");
		for (size_t k = 0; ports && k < ports->n; k++) {
			size_t innermost = decode_enter_item(d, k);

			decode_container_port(d, &ports->items[k], pod);
			decode_leave(d, innermost);
		}
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

static void decode_static_id(struct decode *d, const struct doc *metadata, struct pod *pod)
{
	const struct doc *annotations = decode_field(d, metadata, "annotations", DOC_MAP);
	size_t mark = decode_enter(d, "annotations");
	const char *id = decode_string(d, annotations, "kubernetes.io/config.hash");

	if (!id)
		id = decode_string(d, annotations, "kubernetes.io/config.mirror");
	decode_leave(d, mark);
	pod->static_id = mem_strdup(id);
}

static void decode_pod_identity(struct decode *d, const struct doc *root, const struct doc *spec,
				const struct doc *status, struct pod *pod)
{
	const struct doc *metadata = doc_get(root, "metadata"), *host;
	size_t mark = decode_enter(d, "metadata");
	const char *phase;

	decode_static_id(d, metadata, pod);
	decode_leave(d, mark);

	mark = decode_enter(d, "spec");
	pod->node = mem_strdup(decode_string(d, spec, "nodeName"));
	host = decode_field(d, spec, "hostNetwork", DOC_BOOL);
	pod->host_network = host && decode_is_true(host);
	decode_leave(d, mark);

	mark = decode_enter(d, "status");
	phase = decode_string(d, status, "phase");
	pod->running = phase && !strcmp(phase, "Running");
	pod->finished = phase && (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"));
	decode_leave(d, mark);
}

void decode_pod(struct decode *d, const struct doc *root, struct object *obj)
{
	const struct doc *spec = decode_field(d, root, "spec", DOC_MAP);
	const struct doc *status = decode_field(d, root, "status", DOC_MAP);
	struct pod *pod = &obj->pod;
	size_t mark;
	bool failed;

	decode_labels(d, root, &pod->labels);
	decode_pod_identity(d, root, spec, status, pod);

	failed = d->failed;
	decode_started(d, root, status, pod);
	mark = decode_enter(d, "spec");
	decode_containers(d, spec, "containers", false, pod);
	decode_containers(d, spec, "initContainers", true, pod);
	decode_leave(d, mark);
	mark = decode_enter(d, "status");
	decode_pod_ips(d, status, pod);
	decode_leave(d, mark);
	d->failed = failed;
}

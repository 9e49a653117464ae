/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/health.h"

#include <stdio.h>
#include <string.h>

#include "moat/bridge.h"
#include "moat/link.h"
#include "moat/log.h"
#include "policyd/compile.h"

struct links {
	VEC(struct link) v;
};

static void add_link(const struct link *link, void *arg)
{
	struct links *l = arg;

	VEC_PUSH(&l->v, *link);
}

static const struct link *by_index(const struct links *l, uint32_t index)
{
	for (size_t i = 0; i < l->v.n; i++)
		if (l->v.v[i].index == index)
			return &l->v.v[i];
	return NULL;
}

static void judge(const struct attachment *a, const struct links *l, char *ret, size_t size)
{
	const struct link *link = by_index(l, a->port_index);

	ret[0] = '\0';
	if (!link)
		snprintf(ret, size, "its interface %s is gone: what it had stays closed until DEL or GC", TEXT(a->port));
	else if (strcmp(link->name, a->port) != 0)
		snprintf(ret, size, "its interface %s is called %s now: nothing passes that", TEXT(a->port), TEXT(link->name));
	else if (a->bridge[0] && link->master_index != a->bridge_index)
		snprintf(ret, size, "its interface %s is no port of bridge %s any more: nothing passes it", TEXT(a->port), TEXT(a->bridge));
	else if (!a->n_addrs)
		snprintf(ret, size, "all its addresses are a newer attachment's: nothing passes it");
}

void health_look(struct attachments *a)
{
	struct links links = {.v = {0}};
	struct err err;

	if (link_each(add_link, &links, &err) < 0) {
		log_warn("interfaces-not-listed error=\"%s\"", err.text);
		VEC_DONE(&links.v);
		return;
	}
	for (struct local_pod *pod = cluster_local_pods(a->cluster); pod; pod = pod->hh.next) {
		struct known_attachment *known;
		char trouble[sizeof(known->trouble)];

		HASH_FIND_STR(a->known, pod->key, known);
		if (!known)
			continue;
		judge(pod->attachment, &links, trouble, sizeof(trouble));
		if (trouble[0] && strcmp(trouble, known->trouble) != 0)
			log_warn("attachment-troubled attachment=%s reason=\"%s\"", TEXT(pod->key), trouble);
		memcpy(known->trouble, trouble, sizeof(trouble));
	}
	VEC_DONE(&links.v);
}

struct holding {
	struct cluster *cluster;
	struct tamper *tamper;
	bool delays; /* those too: they cost a dump of every interface's */
	VEC(struct addr) proxied;
};

static void tell(struct holding *h, const char *what, const char *bridge, int code, const struct err *err)
{
	char text[128];

	snprintf(text, sizeof(text), "%s of bridge %s", what, TEXT(bridge));
	if (code < 0) {
		log_warn("bridge-not-held what=\"%s\" error=\"%s\"", text, err->text);
		return;
	}
	if (h->tamper->open) { /* something else is being put right */
		log_warn("bridge-held what=\"%s\"", text);
		return;
	}
	tamper_found(h->tamper, true, h->tamper->bridges_us, text, "");
	tamper_repaired(h->tamper, clock_monotonic_us());
}

static void add_proxied(const struct addr *addr, void *arg)
{
	struct holding *h = arg;

	VEC_PUSH(&h->proxied, *addr);
}

static bool is_proxied(const struct holding *h, const struct addr *addr)
{
	for (size_t i = 0; i < h->proxied.n; i++)
		if (addr_equal(&h->proxied.v[i], addr))
			return true;
	return false;
}

static void hold_proxies(struct holding *h, const struct bridge *b)
{
	struct err err;

	h->proxied.n = 0;
	if (bridge_each_proxy(b->index, add_proxied, h, NULL) < 0)
		return;
	for (struct local_pod *pod = cluster_local_pods(h->cluster); pod; pod = pod->hh.next) {
		const struct attachment *a = pod->attachment;

		for (size_t i = 0; a->bridge_index == b->index && a->bridge[0] && i < a->n_addrs; i++)
			if (a->addrs[i].family == AF_INET6 && !is_proxied(h, &a->addrs[i]))
				tell(h, "proxy neighbour", b->name, bridge_proxy(b->index, &a->addrs[i], true, &err), &err);
	}
}

static void hold_bridge(const struct bridge_record *r, void *arg)
{
	struct holding *h = arg;
	struct bridge b;
	struct err err;

	if (bridge_look(r->bridge.index, &b, NULL) < 0 || strcmp(b.name, r->bridge.name) != 0)
		return; /* its pods are told */
	if (h->delays)
		bridge_read_delays(&b, NULL);
	for (int s = 0; s < BRIDGE_SETTING_COUNT; s++)
		if (b.now.has[s] && b.now.v[s] != bridge_setting_wanted((enum bridge_setting)s))
			tell(h, bridge_setting_name((enum bridge_setting)s), b.name,
			     bridge_set(&b, (enum bridge_setting)s, bridge_setting_wanted((enum bridge_setting)s), &err), &err);
	if (memcmp(b.mac, r->bridge.mac, sizeof(b.mac)) != 0)
		tell(h, "MAC", b.name, bridge_pin_mac(&b, r->bridge.mac, &err), &err);
	hold_proxies(h, &b);
}

void health_hold_bridges(struct cluster *c, struct tamper *t, bool delays)
{
	struct holding h = {.cluster = c, .tamper = t, .delays = delays};
	uint64_t now = clock_monotonic_us();

	for (struct local_pod *pod = cluster_local_pods(c); pod; pod = pod->hh.next) {
		if (pod->attachment->bridge[0]) {
			bridge_record_each(hold_bridge, &h);
			break;
		}
	}
	VEC_DONE(&h.proxied);
	t->bridges_us = now;
}

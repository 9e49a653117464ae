/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of health
 *
 * What guards a pod leans on things of the node that are not in moat's tables. Each is either put right or told.
 *
 *	settings of bridges   moat's own: it made them, recorded what was, and puts them right when somebody turns them back
 *	interfaces, routes    the primary plugin's: told. A veth that was down loses its pod's routes and the node's address on it, and
 *	                      nobody puts them again. moat does not: their metric, source, table and protocol are the primary's, and
 *	                      two that make the same routes undo each other's at the pod's end. The pod stays guarded meanwhile: what
 *	                      goes to its address is judged by the address, whichever way it takes, and when the routes are back
 *	                      everything is as it was.
 *
 * Found by event, as far as the kernel tells (tried on 6.18): a bridge's MAC, no_linklocal_learn and its link that flaps, which
 * takes all proxy neighbours away, are told by RTM_NEWLINK; proxy_ndp by RTM_NEWNETCONF. Nobody is told of proxy_arp_pvlan,
 * send_redirects and proxy_delay, nor of one proxy neighbour that is deleted, and inotify knows nothing of /proc/sys: these are looked
 * at each second, the delays each tenth.
 */
#include "policyd/kernel/health.h"

#include <stdio.h>
#include <string.h>

#include "moat/bridge.h"
#include "moat/link.h"
#include "moat/log.h"
#include "policyd/model/compile.h"

#define LOOKUPS_MAX 64 /* of addresses without a route of their own, in one look */

struct host_route {
	struct addr addr;
	uint32_t index;
};

struct links {
	VEC(struct link) v;
	VEC(struct host_route) routes; /* sorted */
	unsigned lookups;              /* left */
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

static void add_route(const struct addr *addr, uint32_t index, void *arg)
{
	struct links *l = arg;
	const struct host_route route = {.addr = *addr, .index = index};

	VEC_PUSH(&l->routes, route);
}

static int by_route(const void *a, const void *b)
{
	const struct host_route *x = a, *y = b;
	int order = addr_cmp(&x->addr, &y->addr);

	return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Most primaries give each address a route of its own, and one dump has them all. */
static bool is_routed(struct links *l, const struct addr *addr, uint32_t index)
{
	const struct host_route wanted = {.addr = *addr, .index = index};

	if (l->routes.n && bsearch(&wanted, l->routes.v, l->routes.n, sizeof(wanted), by_route))
		return true;
	if (!l->lookups)
		return true; /* in another look */
	l->lookups--;
	return link_towards(addr) == index;
}

/* The first that nothing leads to; NULL: none. */
static const struct addr *unrouted(struct links *l, const struct attachment *a)
{
	for (size_t i = 0; !a->bridge[0] && i < a->n_addrs; i++)
		if (!is_routed(l, &a->addrs[i], a->port_index))
			return &a->addrs[i];
	return NULL;
}

static void judge(const struct attachment *a, struct links *l, char *ret, size_t size)
{
	const struct link *link = by_index(l, a->port_index);
	const struct addr *lost;
	char buf[ADDR_TEXT_MAX];

	ret[0] = '\0';
	if (!link)
		snprintf(ret, size, "its interface %s is gone: what it had stays closed until DEL or GC", TEXT(a->port));
	else if (strcmp(link->name, a->port) != 0)
		snprintf(ret, size, "its interface %s is called %s now: nothing passes that", TEXT(a->port), TEXT(link->name));
	else if (a->bridge[0] && link->master_index != a->bridge_index)
		snprintf(ret, size, "its interface %s is no port of bridge %s any more: nothing passes it", TEXT(a->port), TEXT(a->bridge));
	else if (!a->n_addrs)
		snprintf(ret, size, "all its addresses are a newer attachment's: nothing passes it");
	else if ((lost = unrouted(l, a)))
		snprintf(ret, size, "no route leads to %s by %s (was it down?): nothing reaches it there until somebody puts the route again",
			 addr_text(lost, buf), TEXT(a->port));
}

static void links_done(struct links *l)
{
	VEC_DONE(&l->v);
	VEC_DONE(&l->routes);
}

void health_look(struct attachments *a)
{
	struct links links = {.lookups = LOOKUPS_MAX};
	struct err err;

	if (link_each(add_link, &links, &err) < 0 || link_each_host_route(add_route, &links, &err) < 0) {
		log_warn("interfaces-not-listed error=\"%s\"", err.text);
		links_done(&links);
		return;
	}
	if (links.routes.n)
		qsort(links.routes.v, links.routes.n, sizeof(links.routes.v[0]), by_route);
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
	links_done(&links);
}

struct holding {
	struct cluster *cluster;
	struct tamper *tamper;
	uint64_t event_us; /* when the kernel told; 0: it did not */
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
	tamper_found(h->tamper, !h->event_us, h->event_us ? h->event_us : h->tamper->bridges_us, text, "");
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

void health_hold_bridges(struct cluster *c, struct tamper *t, bool delays, uint64_t event_us)
{
	struct holding h = {.cluster = c, .tamper = t, .delays = delays, .event_us = event_us};
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

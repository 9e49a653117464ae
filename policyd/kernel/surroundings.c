/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/kernel/surroundings.h"

#include <string.h>

#include "moat/dump.h"
#include "moat/ruleset.h"

struct wanted_nodes {
	VEC(struct addr) addrs;
	VEC(struct block) pod_cidrs;
	struct txn *t;
	int f;
};

static void collect(const struct object *object, void *arg)
{
	struct wanted_nodes *w = arg;

	for (size_t i = 0; i < object->node.addrs.n; i++)
		VEC_PUSH(&w->addrs, object->node.addrs.v[i]);
	for (size_t i = 0; i < object->node.pod_cidrs.n; i++) {
		const struct block *cidr = &object->node.pod_cidrs.v[i];

		VEC_PUSH(&w->pod_cidrs, *cidr);
		VEC_PUSH(&w->addrs, cidr->base); /* the tunnel's own address, as flannel gives it */
	}
}

/* An element that stands and is nobody's any more. Others are not touched: a set that is emptied and filled misses lookups meanwhile. */
static void discard_stale(const void *key, size_t len, void *arg)
{
	struct wanted_nodes *w = arg;
	struct addr a = {.family = w->f ? AF_INET6 : AF_INET};

	if (len != addr_len(&a))
		return;
	memcpy(a.bytes, key, len);
	for (size_t i = 0; i < w->addrs.n; i++)
		if (addr_equal(&w->addrs.v[i], &a))
			return;
	txn_discard_element(w->t, &set_nodes[w->f], key_of_addr(&a), NULL);
}

static int by_base(const void *a, const void *b)
{
	const struct block *ba = a, *bb = b;
	int order = addr_cmp(&ba->base, &bb->base);

	return order ? order : (int)ba->prefix - (int)bb->prefix;
}

/*
 * Ranges of one family; nested ones count once. No Node, or none with ranges: every address may be a pod's to come. A lookup
 * that misses while the set is edited only answers a peer that would have been left waiting.
 */
static void put_unsettled(struct txn *t, struct wanted_nodes *w, int f)
{
	struct addr zero = {.family = f ? AF_INET6 : AF_INET};
	struct block all = {.base = zero};
	const struct block *last = NULL;

	for (size_t i = 0; i < w->pod_cidrs.n; i++) {
		const struct block *b = &w->pod_cidrs.v[i];
		struct addr end = addr_block_last(b);

		if (FAMILY_INDEX(&b->base) != f || (last && addr_in_block(&b->base, last)))
			continue;
		txn_add_range(t, &set_unsettled[f], key_of_addr(&b->base), key_of_addr(&end), NULL);
		last = b;
	}
	if (!last) {
		struct addr end = addr_block_last(&all);

		txn_add_range(t, &set_unsettled[f], key_of_addr(&zero), key_of_addr(&end), NULL);
	}
}

static void prepare_tunnels(struct surroundings *s, struct txn *t, struct cluster *c, struct nl *nl)
{
	const struct tunnel_ports *ports;

	if (!cluster_take_tunnels_changed(c) && s->tunnels_stand)
		return;
	ports = cluster_tunnel_ports(c);
	if (!ports->n && s->changed_by_others)
		ports = &tunnel_ports_default;
	if (ports->n)
		ruleset_put_tunnel_ports(t, nl, ports, false);
	s->tunnels_stand = true;
	s->changed_by_others = false;
}

static void collect_all(const struct cluster *c, struct wanted_nodes *w)
{
	cluster_each_node(c, collect, w);
	if (w->pod_cidrs.n)
		qsort(w->pod_cidrs.v, w->pod_cidrs.n, sizeof(w->pod_cidrs.v[0]), by_base);
}

static void put_nodes(struct txn *t, const struct wanted_nodes *w)
{
	for (size_t i = 0; i < w->addrs.n; i++)
		txn_add_element(t, &set_nodes[FAMILY_INDEX(&w->addrs.v[i])], key_of_addr(&w->addrs.v[i]), NULL);
}

void surroundings_prepare(struct surroundings *s, struct txn *t, struct cluster *c, struct nl *nl)
{
	struct wanted_nodes w = {.t = t};
	bool all = true;

	prepare_tunnels(s, t, c, nl);

	if (!cluster_take_nodes_changed(c) && s->nodes_stand)
		return;
	collect_all(c, &w);
	put_nodes(t, &w);
	for (w.f = 0; w.f < 2; w.f++) {
		all &= dump_elements(nl, set_nodes[w.f].name, discard_stale, &w) == 0;
		txn_flush_set(t, &set_unsettled[w.f]);
		put_unsettled(t, &w, w.f);
	}
	VEC_DONE(&w.addrs);
	VEC_DONE(&w.pod_cidrs);
	s->nodes_stand = all; /* else what is stale is looked for again */
}

static void add_known(const struct member *m, void *t)
{
	txn_add_element(t, &set_known[FAMILY_INDEX(&m->addr)], key_of_addr(&m->addr), NULL);
}

bool surroundings_want_known(struct surroundings *s, struct txn *t, struct cluster *c, const struct local_pod *pod)
{
	bool rejects = false;

	for (int d = 0; d < DIRECTION_COUNT; d++)
		rejects |= !pod->profile[d]->open && pod->profile[d]->end == END_REJECT;
	if (!rejects || s->every_pod)
		return false;
	s->every_pod = cluster_every_pod(c);
	for (int f = 0; f < 2; f++)
		txn_flush_set(t, &set_known[f]);
	group_members(s->every_pod, add_known, t);
	return true;
}

void surroundings_put(struct txn *t, const struct cluster *c)
{
	const struct tunnel_ports *ports = cluster_tunnel_ports(c)->n ? cluster_tunnel_ports(c) : &tunnel_ports_default;
	struct wanted_nodes w = {.t = t};

	for (size_t i = 0; i < ports->n; i++)
		txn_add_element(t, &set_tunnel_ports, key_with_port((struct key){.len = 0}, ports->port[i]), NULL);
	collect_all(c, &w);
	put_nodes(t, &w);
	for (int f = 0; f < 2; f++)
		put_unsettled(t, &w, f);
	VEC_DONE(&w.addrs);
	VEC_DONE(&w.pod_cidrs);
}

void surroundings_put_known(const struct surroundings *s, struct txn *t)
{
	if (s->every_pod)
		group_members(s->every_pod, add_known, t);
}

void surroundings_change_known(struct txn *t, const struct member_change *change)
{
	const struct set_spec *set = &set_known[FAMILY_INDEX(&change->member.addr)];

	if (change->added)
		txn_add_element(t, set, key_of_addr(&change->member.addr), NULL);
	else
		txn_discard_element(t, set, key_of_addr(&change->member.addr), NULL);
}

void surroundings_distrust(struct surroundings *s)
{
	s->nodes_stand = s->tunnels_stand = false;
	s->changed_by_others = true;
}

void surroundings_forget(struct surroundings *s, struct cluster *c)
{
	s->nodes_stand = s->tunnels_stand = false;
	if (s->every_pod)
		cluster_put_group(c, s->every_pod);
	s->every_pod = NULL;
}

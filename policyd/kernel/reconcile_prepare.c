/* SPDX-License-Identifier: Apache-2.0 */
/* The first transaction: sets, maps and empty chains; and the rules of those chains, which go with the swap. Theory: reconcile.c. */
#include "moat/log.h"
#include "policyd/kernel/reconcile_internal.h"

static void prepare_group(struct reconcile *r, struct txn *t, struct group *g)
{
	if (g->installed)
		return;
	g->number = r->epoch.numbers++;
	g->chains = 0;
	program_add_group(t, g, &r->epoch);
	group_changes_clear(g);
	g->installed = true;
}

static void prepare_group_chain(struct reconcile *r, struct txn *t, struct group *g, unsigned variant, struct unfilled *u)
{
	struct unfilled_chain chain = {.group = g, .variant = variant};

	prepare_group(r, t, g);
	if (g->chains & 1u << variant)
		return;
	program_add_group_chain(t, g, variant, &r->epoch);
	g->chains |= (uint8_t)(1u << variant);
	VEC_PUSH(&u->chains, chain);
}

static void prepare_profile(struct reconcile *r, struct txn *t, struct profile *p, struct unfilled *u)
{
	if (p->installed || !program_needs_chain(p))
		return;
	for (size_t i = 0; i < p->entries.n; i++)
		if (p->entries.v[i].group)
			prepare_group_chain(r, t, p->entries.v[i].group, program_variant(p), u);
	if (p->portless)
		prepare_group_chain(r, t, p->portless, program_variant(p), u);
	if (p->endpoints)
		prepare_group(r, t, p->endpoints);
	p->number = r->epoch.numbers++;
	program_add_profile(t, p, &r->epoch);
	p->installed = true;
	VEC_PUSH(&u->profiles, p);
}

/* Who left a group may have lost something: as a peer of ingress it opens connections, of egress it answers them. */
static void note_member(struct reconcile *r, const struct group *g, const struct addr *addr)
{
	bool egress = g->kind == GROUP_ENDPOINTS, ingress = false;

	for (unsigned v = 0; v < PROGRAM_VARIANTS; v++) {
		ingress |= g->chains & 1u << v && v / END_COUNT == INGRESS;
		egress |= g->chains & 1u << v && v / END_COUNT == EGRESS;
	}
	if (ingress)
		revoke_note(&r->revoke, addr, CONNTRACK_SOURCE);
	if (egress)
		revoke_note(&r->revoke, addr, CONNTRACK_REPLY_SOURCE);
}

static void prepare_members(struct reconcile *r, struct txn *t)
{
	struct group_list changed = {0};

	cluster_take_changed_groups(r->cluster, &changed);
	for (size_t i = 0; i < changed.n; i++) {
		struct group *g = changed.v[i];

		for (size_t j = 0; g->installed && j < g->changes.n; j++) {
			program_change_member(t, g, &r->epoch, &g->changes.v[j]);
			if (g == r->surroundings.every_pod)
				surroundings_change_known(t, &g->changes.v[j]);
			if (!g->changes.v[j].added)
				note_member(r, g, &g->changes.v[j].member.addr);
		}
		group_changes_clear(g);
	}
	free(changed.v);
}

/* Sets that rules use already: elements that come and go, one by one. */
static int prepare_standing(struct reconcile *r, const struct local_pod_list *pods, struct err *err)
{
	struct txn *t = txn_new();

	prepare_members(r, t);
	surroundings_prepare(&r->surroundings, t, r->cluster, &r->nl);
	for (size_t i = 0; i < pods->n; i++)
		reconcile_node_open(t, pods->v[i], false);
	return reconcile_commit(r, t, err);
}

/* What no rule uses yet, and so may go in parts. */
static int prepare_new(struct reconcile *r, const struct local_pod_list *pods, struct unfilled *u, struct err *err)
{
	struct txn *t = txn_new();

	txn_allow_parts(t, &r->nl);
	for (size_t i = 0; i < pods->n; i++) {
		if (surroundings_want_known(&r->surroundings, t, r->cluster, pods->v[i]))
			prepare_group(r, t, r->surroundings.every_pod);
		for (int d = 0; d < DIRECTION_COUNT; d++)
			prepare_profile(r, t, pods->v[i]->profile[d], u);
	}
	net_prepare(&r->net, t, r->cluster, &r->epoch);
	return reconcile_commit(r, t, err);
}

int reconcile_prepare(struct reconcile *r, const struct local_pod_list *pods, struct unfilled *u, struct err *err)
{
	int code = prepare_standing(r, pods, err);

	return code < 0 ? code : prepare_new(r, pods, u, err);
}

void reconcile_fill(struct reconcile *r, struct txn *t, const struct unfilled *u)
{
	txn_allow_parts(t, &r->nl);
	for (size_t i = 0; i < u->chains.n; i++)
		program_fill_group_chain(t, u->chains.v[i].group, u->chains.v[i].variant, &r->epoch);
	for (size_t i = 0; i < u->profiles.n; i++)
		program_fill_profile(t, u->profiles.v[i], &r->epoch);
	txn_allow_parts(t, NULL);
	net_fill(&r->net, t, &r->epoch);
}

void unfilled_done(struct unfilled *u)
{
	VEC_DONE(&u->chains);
	VEC_DONE(&u->profiles);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer groups: who is in them, and what changed.
 *
 * A group is a union of terms, and its name is the hash of what the terms say ("pods [role in (frontend)] of namespace
 * shop"), not of who matches today. So a pod that comes or goes changes no name, no rule and no map: it is one element in
 * each group that selects it, put in place. Only a change of a policy makes another group, and equal terms in many
 * policies make one.
 *
 *	term ──users──► part ──► group ──► members: key → how many parts select it
 *
 * A member is counted once per part that selects it, since two terms of one group may both mean a pod: it leaves when the
 * last one lets go. The counts stay right because what was added is taken away with the same arguments: a change of a pod
 * first counts the former object at the former addresses down, then the present one up (subject_update). Nothing
 * remembers which terms matched; the selectors are asked again, which costs two evaluations and no memory per pod and term.
 *
 * Changes are netted: a member that went and came back between two takes is no change. Before a group is installed nothing
 * is recorded; whoever installs it reads the members, which is what changes count from (a group that lost its sets may have
 * some pending that its new sets know already), and sets `installed` in the same breath.
 *
 * Blocks take no part in this. They are ranges, fixed by the definition: each block minus its own excepts, then the union
 * (an except never takes away what another peer gives). Only egress to a named port has to know which pods are behind a
 * block, since each may number the port differently: there a block is a term that selects pods by address.
 */
#include <string.h>

#include "policyd/model/definition.h"
#include "policyd/model/model.h"
#include "policyd/model/ranges.h"

#define WORK_OF_UNION 5000 /* of the kernel for a set and a chain, in selectors asked: 200 µs and 25 ns */

static int compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int order = (int)x->protocol - (int)y->protocol;

	if (!order && x->port_name)
		order = strcmp(x->port_name, y->port_name);
	return order ? order : strcmp(x->term->text, y->term->text);
}

static void sort_parts(struct part_list *l)
{
	size_t kept = 0;

	if (l->n > 1)
		qsort(l->v, l->n, sizeof(l->v[0]), compare_parts);
	for (size_t i = 0; i < l->n; i++)
		if (!kept || compare_parts(&l->v[kept - 1], &l->v[i]))
			l->v[kept++] = l->v[i];
	l->n = kept;
}

static void part_ranges(const struct part_list *parts, struct range_list *ret, bool any[2])
{
	for (size_t i = 0; i < parts->n; i++) {
		const struct term *t = parts->v[i].term;

		if (t->kind == TERM_BLOCK)
			ranges_add_block(ret, &t->block, t->excepts.v, t->excepts.n);
	}
	ranges_merge(ret);
	ranges_take_whole_families(ret, any);
}

bool parts_are_everyone(const struct part_list *parts)
{
	struct range_list ranges = {0};
	bool any[2], families[2] = {false, false};

	for (size_t i = 0; i < parts->n; i++) {
		const struct term *t = parts->v[i].term;

		if (t->kind == TERM_ANY)
			return true;
		if (t->kind == TERM_BLOCK)
			families[addr_len(&t->block.base) == 16] = true;
	}
	if (!families[0] || !families[1])
		return false;
	part_ranges(parts, &ranges, any);
	VEC_DONE(&ranges);
	return any[0] && any[1];
}

/* A member's count changed from or to zero. */
static void note(struct cluster *c, struct group *g, struct member_state *m)
{
	struct group_state *s = g->state;

	if (!g->installed && !m->touched) {
		m->told = m->refs > 0;
		if (!m->refs) {
			HASH_DEL(s->members, m);
			free(m);
		}
		return;
	}
	if (m->touched)
		return;
	m->touched = true;
	if (!s->queued)
		VEC_PUSH(&c->changed, g);
	s->queued = true;
	VEC_PUSH(&s->touched, m);
}

static void group_count(struct cluster *c, struct group *g, const struct member *key, int delta)
{
	struct group_state *s = g->state;
	struct member_state *m;

	if (g->kind == GROUP_ADDRS && g->any[addr_len(&key->addr) == 16])
		return;
	HASH_FIND(hh, s->members, key, sizeof(*key), m);
	if (!m) {
		m = mem_zalloc(sizeof(*m));
		m->key = *key;
		HASH_ADD(hh, s->members, key, sizeof(m->key), m);
	}
	if (delta > 0 ? m->refs++ == 0 : --m->refs == 0) {
		s->n_members = delta > 0 ? s->n_members + 1 : s->n_members - 1;
		note(c, g, m);
	}
}

/* Counts what one address of a pod is in the group of p. */
static void part_count(struct cluster *c, const struct part *p, const struct object *object, const struct addr *addr,
		       int delta)
{
	struct member key = {.addr = *addr};

	if (p->group->kind == GROUP_ADDRS) {
		group_count(c, p->group, &key, delta);
		return;
	}
	for (size_t i = 0; i < object->pod.ports.n; i++) {
		const struct named_port *port = &object->pod.ports.v[i];

		if (port->protocol != p->protocol || strcmp(port->name, p->port_name) != 0)
			continue;
		key.protocol = port->protocol;
		key.port = port->number;
		group_count(c, p->group, &key, delta);
	}
}

static void term_count(struct cluster *c, const struct term *t, const struct object *object, const struct addr *addr,
		       int delta)
{
	for (size_t i = 0; i < t->users.n; i++)
		part_count(c, t->users.v[i], object, addr, delta);
}

static void term_count_pod(struct cluster *c, const struct term *t, const struct object *object,
			   const struct addr_list *addrs, int delta)
{
	c->evaluations++;
	if (!selector_matches(&t->pods, &object->pod.labels))
		return;
	for (size_t i = 0; i < addrs->n; i++)
		term_count(c, t, object, &addrs->v[i], delta);
}

/* Adds (1) or takes away (-1) what `object`, as the pod of s, is at addrs: only terms that can select it are asked. */
void members_count(struct cluster *c, const struct subject *s, const struct object *object, const struct addr_list *addrs,
		   int delta)
{
	if (!object || !addrs->n)
		return;
	for (size_t i = 0; i < s->space->terms.n; i++)
		term_count_pod(c, s->space->terms.v[i], object, addrs, delta);
	for (size_t i = 0; i < c->selecting.n; i++) {
		c->evaluations++;
		if (term_selects_space(c->selecting.v[i], s->space, s->space->object))
			term_count_pod(c, c->selecting.v[i], object, addrs, delta);
	}
	for (size_t i = 0; i < c->by_address.n; i++)
		for (size_t j = 0; j < addrs->n; j++)
			if (term_has_addr(c, c->by_address.v[i], &addrs->v[j]))
				term_count(c, c->by_address.v[i], object, &addrs->v[j], delta);
}

void members_count_node(struct cluster *c, const struct addr *addr, int delta)
{
	struct member key = {.addr = *addr};

	for (size_t i = 0; i < c->of_nodes.n; i++)
		for (size_t j = 0; j < c->of_nodes.v[i]->users.n; j++)
			group_count(c, c->of_nodes.v[i]->users.v[j]->group, &key, delta);
}

/* The Namespace of s changed from former (NULL: unknown) to s->object: only terms that it enters or leaves walk its pods. */
void members_move_space(struct cluster *c, struct space *s, const struct object *former)
{
	for (size_t i = 0; i < c->selecting.n; i++) {
		const struct term *t = c->selecting.v[i];
		bool before = term_selects_space(t, s, former);
		bool now = term_selects_space(t, s, s->object);

		c->evaluations += 2;
		if (before == now)
			continue;
		for (struct subject *pod = s->subjects; pod; pod = pod->hh.next)
			if (pod->object)
				term_count_pod(c, t, pod->object, &pod->addrs, now ? 1 : -1);
	}
}

static void fill_from_subject(struct cluster *c, const struct part *p, const struct subject *s)
{
	bool by_pod = p->term->kind == TERM_PODS;

	if (!s->object || !s->addrs.n)
		return;
	c->evaluations++;
	if (by_pod && !selector_matches(&p->term->pods, &s->object->pod.labels))
		return;
	for (size_t i = 0; i < s->addrs.n; i++)
		if (by_pod || term_has_addr(c, p->term, &s->addrs.v[i]))
			part_count(c, p, s->object, &s->addrs.v[i], 1);
}

/* The pods that p selects now, for a new group. */
static void fill(struct cluster *c, const struct part *p)
{
	for (const struct space *s = p->term->fixed ? p->term->fixed : c->spaces; s; s = s->hh.next) {
		c->evaluations++;
		if (p->term->kind != TERM_PODS || term_selects_space(p->term, s, s->object))
			for (const struct subject *pod = s->subjects; pod; pod = pod->hh.next)
				fill_from_subject(c, p, pod);
		if (p->term->fixed)
			break;
	}
}

static void fill_nodes(struct cluster *c, const struct part *p)
{
	for (const struct node_addr *n = c->node_addrs; n; n = n->hh.next) {
		struct member key = {.addr = n->addr};

		group_count(c, p->group, &key, 1);
	}
}

static void group_define(const struct part_list *parts, enum group_kind kind, struct definition *ret)
{
	definition_add(ret, kind == GROUP_ADDRS ? "addresses\n" : "endpoints\n");
	for (size_t i = 0; i < parts->n; i++) {
		const struct part *p = &parts->v[i];

		if (kind == GROUP_ENDPOINTS) {
			definition_add(ret, protocol_name(p->protocol));
			definition_add(ret, " ");
			definition_add(ret, p->port_name);
			definition_add(ret, " ");
		}
		definition_add(ret, p->term->text);
		definition_add(ret, "\n");
	}
}

static struct group *group_new(struct cluster *c, enum group_kind kind, struct part_list *parts, struct definition *d)
{
	struct group *g = mem_zalloc(sizeof(*g));
	struct range_list ranges = {0};

	g->kind = kind;
	g->definition = TAKE_PTR(d->v);
	g->state = mem_zalloc(sizeof(*g->state));
	g->state->parts = *parts;
	*parts = (struct part_list){0};
	if (kind == GROUP_ADDRS) {
		part_ranges(&g->state->parts, &ranges, g->any);
		g->ranges.v = ranges.v;
		g->ranges.n = ranges.n;
		g->ranges.cap = ranges.cap;
	}
	for (size_t i = 0; i < g->state->parts.n; i++) {
		struct part *p = &g->state->parts.v[i];

		p->group = g;
		p->port_name = mem_strdup(p->port_name);
		term_ref(p->term);
		term_use(c, p);
		if (p->term->kind == TERM_PODS || kind == GROUP_ENDPOINTS)
			fill(c, p);
		else if (p->term->kind == TERM_NODES)
			fill_nodes(c, p);
	}
	c->handled += WORK_OF_UNION + g->state->parts.n + g->ranges.n + group_size(g);
	return g;
}

static void note_idle(struct cluster *c, struct group *g)
{
	if (g->refs || g->idle)
		return;
	g->idle = true;
	VEC_PUSH(&c->idle_groups, g);
}

void cluster_put_group(struct cluster *c, struct group *g)
{
	g->refs--;
	note_idle(c, g);
}

void cluster_take_unused_groups(struct cluster *c, struct group_list *ret)
{
	*ret = (struct group_list){0};
	for (size_t i = 0; i < c->idle_groups.n; i++) {
		struct group *g = c->idle_groups.v[i];

		g->idle = false;
		if (!g->refs)
			VEC_PUSH(ret, g);
	}
	c->idle_groups.n = 0;
}

struct group *group_get(struct cluster *c, enum group_kind kind, struct part_list *parts)
{
	struct definition d = {0};
	char name[DEFINITION_NAME_MAX];
	struct group *g;

	sort_parts(parts);
	group_define(parts, kind, &d);
	definition_name(&d, name);
	HASH_FIND_STR(c->groups, name, g);
	if (!g && budget_affords(c, parts)) {
		g = group_new(c, kind, parts, &d);
		memcpy(g->name, name, sizeof(name));
		HASH_ADD_STR(c->groups, name, g);
		note_idle(c, g); /* until somebody refers to it */
	}
	definition_done(&d);
	VEC_DONE(parts);
	return g;
}

struct group *cluster_every_pod(struct cluster *c)
{
	struct policy_peer everyone = {.kind = PEER_PODS, .any_namespace_selector = true};
	struct part_list parts = {0};
	struct part part = {.term = term_get(c, "", &everyone)};
	struct group *g;

	VEC_PUSH(&parts, part);
	g = group_get(c, GROUP_ADDRS, &parts); /* has references to its terms of its own */
	term_put(c, part.term);
	if (!g)
		abort(); /* asked for while pods were compiled: a budget is in force then */
	g->refs++;
	return g;
}

void group_free(struct cluster *c, struct group *g)
{
	struct group_state *s = g->state;
	struct member_state *m, *next;

	HASH_ITER (hh, s->members, m, next) {
		HASH_DEL(s->members, m);
		free(m);
	}
	for (size_t i = 0; i < s->parts.n; i++) {
		term_unuse(c, &s->parts.v[i]);
		term_put(c, s->parts.v[i].term);
		free((char *)s->parts.v[i].port_name);
	}
	VEC_DONE(&s->parts);
	VEC_DONE(&s->touched);
	VEC_DONE(&g->ranges);
	VEC_DONE(&g->changes);
	free(g->definition);
	free(s);
	free(g);
}

struct group *cluster_groups(struct cluster *c)
{
	return c->groups;
}

void cluster_forget_group(struct cluster *c, struct group *g)
{
	if (g->refs)
		abort();
	for (size_t i = 0; g->state->queued && i < c->changed.n; i++) {
		if (c->changed.v[i] == g) {
			c->changed.v[i] = c->changed.v[--c->changed.n];
			break;
		}
	}
	HASH_DEL(c->groups, g);
	group_free(c, g);
}

/* The touched members are told: as changes of g, or (NULL) by being read. Those that are as they were are no change. */
static void settle(struct group_state *s, struct group *g)
{
	for (size_t i = 0; i < s->touched.n; i++) {
		struct member_state *m = s->touched.v[i];
		struct member_change change = {.member = m->key, .added = m->refs > 0};

		if (g && change.added != m->told)
			VEC_PUSH(&g->changes, change);
		m->touched = false;
		m->told = change.added;
		if (!m->refs) {
			HASH_DEL(s->members, m); /* NOLINT(clang-analyzer-core.NullDereference): m is in that table */
			free(m);
		}
	}
	s->touched.n = 0;
}

void cluster_take_changed_groups(struct cluster *c, struct group_list *ret)
{
	*ret = (struct group_list){0};
	for (size_t i = 0; i < c->changed.n; i++) {
		struct group *g = c->changed.v[i];

		settle(g->state, g->installed ? g : NULL);
		g->state->queued = false;
		if (g->changes.n)
			VEC_PUSH(ret, g);
	}
	c->changed.n = 0;
}

void group_changes_clear(struct group *g)
{
	VEC_DONE(&g->changes);
}

void group_members(const struct group *g, group_member_fn fn, void *arg)
{
	if (!g->installed)
		settle(g->state, NULL);
	for (const struct member_state *m = g->state->members; m; m = m->hh.next)
		if (m->refs)
			fn(&m->key, arg);
}

size_t group_size(const struct group *g)
{
	return g->state->n_members;
}

bool group_has(const struct group *g, const struct member *key)
{
	struct member_state *m;

	if (g->kind == GROUP_ADDRS && (g->any[addr_len(&key->addr) == 16] ||
				       ranges_contain(g->ranges.v, g->ranges.n, &key->addr)))
		return true;
	HASH_FIND(hh, g->state->members, key, sizeof(*key), m);
	return m && m->refs;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands for every namespace: the baseline in the model, with the nodes and the API server that it speaks of.
 *
 * A baseline rule is compiled as a policy's are, and a peer without namespaceSelector means the pod's own namespace: so each namespace
 * that has pods here gets rulings of its own, made when the first of them is compiled. Their terms are shared by name like all others,
 * and what speaks of no namespace is one group for all.
 *
 * Nodes are members of the groups that name them, edited in place: a cluster that grows changes no rule. The API server's endpoints
 * are blocks, each set with its ports, so they are part of definitions: they change when a control plane does.
 */
#include <string.h>

#include "policyd/model/model.h"

static void push(struct cluster *c, struct space *s, struct baseline_rule *rule)
{
	VEC_PUSH(&s->standing, ruling_new(c, rule->policy, s->name, rule));
}

void space_make_standing(struct cluster *c, struct space *s)
{
	if (s->has_standing || !c->baseline)
		return;
	s->has_standing = true;
	for (size_t i = 0; i < c->baseline->rules.n; i++)
		push(c, s, &c->baseline->rules.v[i]);
	if (c->apiserver.policy)
		push(c, s, &c->apiserver);
}

void space_drop_standing(struct cluster *c, struct space *s)
{
	s->term_refs++; /* the last term must not take s away here */
	for (size_t i = 0; i < s->standing.n; i++)
		ruling_free(c, s->standing.v[i]);
	s->term_refs--;
	VEC_DONE(&s->standing);
	s->has_standing = false;
}

bool ruling_holds_in(const struct ruling *r, const struct space *s)
{
	return s->object && selector_matches(&r->baseline->namespaces, &s->object->namespace.labels);
}

static bool holds(const struct baseline_rule *rule, const struct object *space)
{
	return space && selector_matches(&rule->namespaces, &space->namespace.labels);
}

bool standing_differs(const struct cluster *c, const struct object *former, const struct object *now)
{
	for (size_t i = 0; c->baseline && i < c->baseline->rules.n; i++)
		if (holds(&c->baseline->rules.v[i], former) != holds(&c->baseline->rules.v[i], now))
			return true;
	return false;
}

/* Before the rules change that spaces refer to. */
static void drop_all(struct cluster *c)
{
	for (struct space *s = c->spaces; s; s = s->hh.next)
		space_drop_standing(c, s);
	if (c->apiserver.policy)
		baseline_rule_done(&c->apiserver);
}

static void make_apiserver(struct cluster *c)
{
	if (!c->baseline || !c->baseline->apiserver)
		return;
	c->apiserver = baseline_apiserver();
	for (const struct slice_state *s = c->slices; s; s = s->hh.next) {
		const struct endpoints *e = &s->object->endpoints;

		baseline_apiserver_add(&c->apiserver, e->addrs.v, e->addrs.n, e->ports.v, e->ports.n);
	}
}

void cluster_set_baseline(struct cluster *c, struct baseline *take)
{
	drop_all(c);
	baseline_free(c->baseline);
	c->baseline = take;
	make_apiserver(c);
	local_mark_all(c);
}

static bool same_endpoints(const struct endpoints *a, const struct endpoints *b)
{
	if (a->addrs.n != b->addrs.n || a->ports.n != b->ports.n)
		return false;
	for (size_t i = 0; i < a->addrs.n; i++)
		if (!addr_equal(&a->addrs.v[i], &b->addrs.v[i]))
			return false;
	return !a->ports.n || !memcmp(a->ports.v, b->ports.v, a->ports.n * sizeof(a->ports.v[0]));
}

void endpoints_put(struct cluster *c, const char *name, struct object *object)
{
	struct slice_state *s;
	bool same;

	HASH_FIND_STR(c->slices, name, s);
	if (!s && !object)
		return;
	same = s && object && same_endpoints(&s->object->endpoints, &object->endpoints);
	if (s) {
		HASH_DEL(c->slices, s);
		object_free(s->object);
		free(s);
	}
	if (object) {
		s = mem_zalloc(sizeof(*s));
		s->object = object;
		HASH_ADD_KEYPTR(hh, c->slices, object->name, strlen(object->name), s);
	}
	if (same || !c->baseline || !c->baseline->apiserver)
		return;
	drop_all(c);
	make_apiserver(c);
	local_mark_all(c);
}

bool cluster_lacks_apiserver(const struct cluster *c)
{
	return c->apiserver.policy && !c->apiserver.policy->policy.rules[EGRESS].n;
}

static void count(struct cluster *c, const struct addr *addr, int delta)
{
	struct node_addr *n;

	HASH_FIND(hh, c->node_addrs, addr, sizeof(*addr), n);
	if (!n) {
		n = mem_zalloc(sizeof(*n));
		n->addr = *addr;
		HASH_ADD(hh, c->node_addrs, addr, sizeof(n->addr), n);
	}
	if (delta > 0 ? n->refs++ > 0 : --n->refs > 0)
		return;
	members_count_node(c, &n->addr, delta);
	if (!n->refs) {
		HASH_DEL(c->node_addrs, n);
		free(n);
	}
}

/* The network address of a range is the tunnel's own address, as flannel gives it: what the node sends to pods elsewhere comes from there. */
void node_count(struct cluster *c, const struct object *node, int delta)
{
	for (size_t i = 0; i < node->node.addrs.n; i++)
		count(c, &node->node.addrs.v[i], delta);
	for (size_t i = 0; i < node->node.pod_cidrs.n; i++)
		count(c, &node->node.pod_cidrs.v[i].base, delta);
}

bool cluster_is_node(const struct cluster *c, const struct addr *addr)
{
	struct node_addr *n;

	HASH_FIND(hh, c->node_addrs, addr, sizeof(*addr), n);
	return n != NULL;
}

void standing_free(struct cluster *c)
{
	struct slice_state *s, *next;

	HASH_ITER(hh, c->slices, s, next) {
		HASH_DEL(c->slices, s);
		object_free(s->object);
		free(s);
	}
}

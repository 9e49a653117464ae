/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For clusters whose nodes are neighbours (kind): a pod's packet to another node's pod is routed to that node and comes with the pod's own
 * address, by which policies know it. Only routes of our protocol are changed. One that somebody else has stays, and that is told. A
 * range so wide that it would take more than pods (a default route), or in which the node that has it or this one is itself, is left
 * out: traffic between nodes would go astray.
 */
#include "policyd/kernel/node_routes.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "moat/log.h"
#include "moat/masquerade.h"
#include "policyd/model/objects.h"

static int by_route(const void *a, const void *b)
{
	return route_cmp(a, b);
}

static int by_block(const void *a, const void *b)
{
	const struct block *x = a, *y = b;
	int order = addr_cmp(&x->base, &y->base);

	return order ? order : x->prefix - y->prefix;
}

struct making {
	struct node_plan *plan;
	const char *own;
	const struct node *own_node; /* NULL: not known yet */
};

static bool contains_any(const struct block *b, const struct node *node)
{
	for (size_t i = 0; node && i < node->addrs.n; i++)
		if (addr_in_block(&node->addrs.v[i], b))
			return true;
	return false;
}

static bool is_plausible(const struct block *b, const struct node *node, const struct making *m)
{
	return b->prefix >= (b->base.family == AF_INET ? 8 : 32) && !contains_any(b, node) && !contains_any(b, m->own_node);
}

static void find_own(const struct object *o, void *arg)
{
	struct making *m = arg;

	if (m->own && !strcmp(o->name, m->own))
		m->own_node = &o->node;
}

static void add_route(struct node_plan *plan, const struct block *b, const struct node *node)
{
	for (size_t i = 0; i < node->addrs.n; i++) {
		struct route route = {.to = *b, .via = node->addrs.v[i]};

		if (route.via.family != b->base.family)
			continue;
		VEC_PUSH(&plan->routes, route);
		return;
	}
}

static void add_node(const struct object *o, void *arg)
{
	struct making *m = arg;

	for (size_t i = 0; i < o->node.pod_cidrs.n; i++) {
		const struct block *b = &o->node.pod_cidrs.v[i];

		if (!is_plausible(b, &o->node, m))
			continue;
		VEC_PUSH(&m->plan->cluster, *b);
		if (&o->node == m->own_node)
			VEC_PUSH(&m->plan->own, *b);
		else
			add_route(m->plan, b, &o->node);
	}
	for (size_t i = 0; i < o->node.addrs.n; i++) {
		struct block host = {.base = o->node.addrs.v[i], .prefix = addr_bits(&o->node.addrs.v[i])};

		VEC_PUSH(&m->plan->cluster, host);
	}
}

/* Sorted by base and then by prefix, a block within another follows it. */
static size_t drop_nested(struct block *v, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(v, n, sizeof(*v), by_block);
	for (size_t i = 0; i < n; i++)
		if (!kept || !addr_in_block(&v[i].base, &v[kept - 1]))
			v[kept++] = v[i];
	return kept;
}

void node_plan_make(const struct cluster *c, const char *node, struct node_plan *ret)
{
	struct making m = {.plan = ret, .own = node};
	size_t kept = 0;

	memset(ret, 0, sizeof(*ret));
	cluster_each_node(c, find_own, &m);
	if (!m.own_node)
		return; /* which ranges are others' is not known */
	cluster_each_node(c, add_node, &m);
	ret->own.n = drop_nested(ret->own.v, ret->own.n);
	ret->cluster.n = drop_nested(ret->cluster.v, ret->cluster.n);
	if (ret->routes.n)
		qsort(ret->routes.v, ret->routes.n, sizeof(ret->routes.v[0]), by_route);
	for (size_t i = 0; i < ret->routes.n; i++) /* two Nodes with one range: the first has it */
		if (!kept || by_block(&ret->routes.v[i].to, &ret->routes.v[kept - 1].to) != 0)
			ret->routes.v[kept++] = ret->routes.v[i];
	ret->routes.n = kept;
}

void node_plan_done(struct node_plan *p)
{
	VEC_DONE(&p->routes);
	VEC_DONE(&p->own);
	VEC_DONE(&p->cluster);
}

static bool same_blocks(const struct block *a, size_t n, const struct block *b, size_t m)
{
	bool same = n == m;

	for (size_t i = 0; same && i < n; i++)
		same = by_block(&a[i], &b[i]) == 0;
	return same;
}

static bool plans_equal(const struct node_plan *a, const struct node_plan *b)
{
	bool same = a->routes.n == b->routes.n && same_blocks(a->own.v, a->own.n, b->own.v, b->own.n) &&
		    same_blocks(a->cluster.v, a->cluster.n, b->cluster.v, b->cluster.n);

	for (size_t i = 0; same && i < a->routes.n; i++)
		same = route_cmp(&a->routes.v[i], &b->routes.v[i]) == 0;
	return same;
}

struct seen {
	VEC(struct route) v;
};

static void keep(const struct route *r, void *arg)
{
	struct seen *seen = arg;

	VEC_PUSH(&seen->v, *r);
}

static bool among(const struct route *r, const struct route *v, size_t n)
{
	return n && bsearch(r, v, n, sizeof(*v), by_route);
}

/* Stale ones first: a node may have got another's range. What one route meets does not keep the others from being made. */
static int bring_routes(const struct node_plan *p, struct err *err)
{
	struct seen seen = {.v = {0}};
	struct err one;
	int code = route_each(keep, &seen, err);

	if (code == 0 && seen.v.n)
		qsort(seen.v.v, seen.v.n, sizeof(seen.v.v[0]), by_route);
	for (size_t i = 0; code >= 0 && i < seen.v.n; i++)
		if (!among(&seen.v.v[i], p->routes.v, p->routes.n) && route_remove(&seen.v.v[i], &one) < 0)
			*err = one;
	for (size_t i = 0; code >= 0 && i < p->routes.n; i++)
		if (!among(&p->routes.v[i], seen.v.v, seen.v.n) && route_add(&p->routes.v[i], &one) < 0)
			*err = one;
	VEC_DONE(&seen.v);
	return -err->code;
}

static int bring(const struct node_plan *p, struct nl *nl, struct err *err)
{
	struct err nat = {.code = 0};
	int code = bring_routes(p, err);

	if (masquerade_put(nl, p->own.v, p->own.n, p->cluster.v, p->cluster.n, &nat) < 0 && code == 0) {
		*err = nat;
		code = -nat.code;
	}
	return code;
}

static void count_one(const struct route *r, void *arg)
{
	(void)r;
	++*(size_t *)arg;
}

static bool stands(const struct node_plan *p, struct nl *nl)
{
	size_t n = 0;
	struct err err;

	return route_each(count_one, &n, &err) == 0 && n == p->routes.n && masquerade_stands(nl);
}

void node_routes_look(struct node_routes *n, const struct cluster *c, const char *node, struct nl *nl, bool verify)
{
	struct err err = {.code = 0};
	struct node_plan plan;

	node_plan_make(c, node, &plan);
	if (n->stands && plans_equal(&plan, &n->plan) && (!verify || stands(&plan, nl))) {
		node_plan_done(&plan);
		return;
	}
	node_plan_done(&n->plan);
	n->plan = plan;
	if (!plan.cluster.n) { /* the own Node is not known: what stands stands */
		n->stands = false;
		return;
	}
	n->stands = bring(&plan, nl, &err) == 0;
	if (n->stands)
		log_info("node-routes routes=%zu pod-ranges=%zu", plan.routes.n, plan.own.n);
	else if (strcmp(n->trouble, err.text) != 0)
		log_warn("node-routes-incomplete error=\"%s\" action=tried-again-each-second", err.text);
	snprintf(n->trouble, sizeof(n->trouble), "%s", n->stands ? "" : err.text);
}

void node_routes_done(struct node_routes *n)
{
	node_plan_done(&n->plan);
}

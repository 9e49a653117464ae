/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/model/pod_ranges.h"

#include <string.h>

#include "policyd/model/model.h"

void cluster_give_pod_range(struct cluster *c, const struct block *block)
{
	VEC_PUSH(&c->given_ranges, *block);
}

static int by_base(const void *a, const void *b)
{
	const struct block *ba = a, *bb = b;
	int order = addr_cmp(&ba->base, &bb->base);

	return order ? order : (int)ba->prefix - (int)bb->prefix;
}

/* Blocks nest or are disjoint: what begins within its forerunner is within it. */
static void take(struct pod_ranges *p, const struct block *blocks, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		VEC_PUSH(&p->blocks, blocks[i]);
	if (n)
		qsort(p->blocks.v, p->blocks.n, sizeof(p->blocks.v[0]), by_base);
	for (size_t i = 0; i < n; i++)
		if (!kept || !addr_in_block(&p->blocks.v[i].base, &p->blocks.v[kept - 1]))
			p->blocks.v[kept++] = p->blocks.v[i];
	p->blocks.n = kept;
}

/* What the conflist says, if there is one; else what the attachments had at their ADD. */
static bool is_strict(const struct cluster *c)
{
	for (const struct network *n = c->networks; n; n = n->hh.next)
		if (n->mode == MODE_STRICT)
			return true;
	for (const struct local *l = c->locals; !c->networks && l; l = l->hh.next)
		if (l->attachment->mode == MODE_STRICT)
			return true;
	return false;
}

static bool is_inside(const struct addr *addr, const struct pod_ranges *p)
{
	bool family = false;

	for (size_t i = 0; i < p->blocks.n; i++) {
		family |= p->blocks.v[i].base.family == addr->family;
		if (addr_in_block(addr, &p->blocks.v[i]))
			return true;
	}
	return !family; /* nothing is said of it */
}

static bool all_inside(const struct cluster *c, const struct pod_ranges *p)
{
	for (const struct local *l = c->locals; l; l = l->hh.next)
		for (size_t i = 0; i < l->attachment->n_addrs; i++)
			if (!is_inside(&l->attachment->addrs[i], p))
				return false;
	return true;
}

void cluster_pod_ranges(const struct cluster *c, struct pod_ranges *ret)
{
	struct node_state *own = NULL;

	memset(ret, 0, sizeof(*ret));
	if (c->given_ranges.n) {
		ret->source = RANGES_GIVEN;
		take(ret, c->given_ranges.v, c->given_ranges.n);
	} else {
		if (c->node)
			HASH_FIND_STR(c->nodes, c->node, own);
		if (!own || !own->object->node.pod_cidrs.n)
			return;
		ret->source = RANGES_OF_NODE;
		take(ret, own->object->node.pod_cidrs.v, own->object->node.pod_cidrs.n);
	}
	if (!is_strict(c))
		ret->why_not = "no network is in mode strict";
	else if (ret->source == RANGES_OF_NODE && !all_inside(c, ret))
		ret->why_not = "a pod of this node has an address outside, so that the Node's podCIDRs are not believed (--pod-ranges says it)";
	ret->deny = !ret->why_not;
}

void pod_ranges_done(struct pod_ranges *p)
{
	VEC_DONE(&p->blocks);
}

bool pod_ranges_equal(const struct pod_ranges *a, const struct pod_ranges *b)
{
	if (a->source != b->source || a->why_not != b->why_not || a->blocks.n != b->blocks.n)
		return false;
	for (size_t i = 0; i < a->blocks.n; i++)
		if (by_base(&a->blocks.v[i], &b->blocks.v[i]) != 0)
			return false;
	return true;
}

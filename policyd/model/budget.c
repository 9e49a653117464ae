/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policies of one namespace come to on this node, counted while its pods are compiled. A union or a profile that several of them
 * have counts once, so a deployment costs what one of its pods does; that of a pod that is not compiled now is taken off first.
 */
#include <string.h>

#include "policyd/model/bounds.h"
#include "policyd/model/model.h"

static void exceed(struct budget *b, const char *what, unsigned long long most)
{
	if (!b->exceeded)
		b->exceeded = mem_printf("the policies of its namespace come to more than %llu %s on this node", most, what);
}

static bool take(size_t *left, size_t n)
{
	bool enough = n <= *left;

	*left -= enough ? n : *left;
	return enough;
}

/* Pods that are asked to find the members of a union. */
static uint64_t asked_by(const struct cluster *c, const struct part_list *parts)
{
	uint64_t asked = 0;

	for (size_t i = 0; i < parts->n; i++) {
		const struct part *p = &parts->v[i];

		if (p->term->fixed)
			asked += HASH_COUNT(p->term->fixed->subjects);
		else if (p->term->kind == TERM_PODS || p->port_name)
			asked += c->n_subjects > ASKED_OF_ALL_MIN ? c->n_subjects : ASKED_OF_ALL_MIN;
	}
	return asked;
}

bool budget_affords(struct cluster *c, const struct part_list *parts)
{
	struct budget *b = c->budget;

	if (!b)
		return true;
	if (!b->unions)
		exceed(b, "unions of peers", SPACE_UNIONS_MAX);
	else if (parts->n > b->peers)
		exceed(b, "peers in unions", SPACE_PEERS_MAX);
	else if (asked_by(c, parts) > b->asked)
		exceed(b, "pods asked for the members of unions", SPACE_ASKED_MAX);
	return !b->exceeded;
}

void budget_take_group(struct cluster *c, struct group *g)
{
	struct budget *b = c->budget;
	uint64_t asked;

	if (!b || !g || g->counted == b->round)
		return;
	g->counted = b->round;
	asked = asked_by(c, &g->state->parts);
	if (!take(&b->unions, 1))
		exceed(b, "unions of peers", SPACE_UNIONS_MAX);
	if (!take(&b->peers, g->state->parts.n))
		exceed(b, "peers in unions", SPACE_PEERS_MAX);
	if (!take(&b->members, g->ranges.n + group_size(g)))
		exceed(b, "addresses and ranges in unions", SPACE_MEMBERS_MAX);
	if (asked > b->asked)
		exceed(b, "pods asked for the members of unions", SPACE_ASKED_MAX);
	b->asked -= asked > b->asked ? b->asked : asked;
}

void budget_take_profile(struct cluster *c, struct profile *p)
{
	struct budget *b = c->budget;

	if (!b || p->counted == b->round)
		return;
	p->counted = b->round;
	if (!take(&b->intervals, p->entries.n))
		exceed(b, "port intervals", SPACE_INTERVALS_MAX);
}

static void take_standing(struct cluster *c, struct profile *p)
{
	if (!p)
		return;
	budget_take_profile(c, p);
	budget_take_group(c, p->portless);
	budget_take_group(c, p->endpoints);
	for (size_t i = 0; i < p->entries.n; i++)
		budget_take_group(c, p->entries.v[i].group);
}

void budget_begin(struct cluster *c, struct budget *b, const struct space *s)
{
	*b = (struct budget){.round = ++c->budget_rounds,
			     .unions = SPACE_UNIONS_MAX,
			     .peers = SPACE_PEERS_MAX,
			     .members = SPACE_MEMBERS_MAX,
			     .intervals = SPACE_INTERVALS_MAX,
			     .asked = SPACE_ASKED_MAX};
	c->budget = b;
	for (size_t i = 0; i < s->locals.n; i++)
		for (int d = 0; d < DIRECTION_COUNT; d++)
			if (s->locals.v[i]->view && !s->locals.v[i]->dirty)
				take_standing(c, s->locals.v[i]->view->profile[d]);
}

void budget_end(struct cluster *c)
{
	free(c->budget->exceeded);
	c->budget = NULL;
}

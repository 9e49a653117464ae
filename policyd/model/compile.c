/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies to profiles.
 *
 * Policies only ever add: a packet is allowed if some rule of some policy that selects the pod names both its peer and its
 * port. A rule is a product (peers × ports), so the sum of rules cut along the ports is, for each port, a union of peers:
 *
 *	port     0 ........ 80 ..... 443 ......... 8000 ..... 9000 ..... 65535
 *	rule 1            [ a ]
 *	rule 2            [ b        b ]
 *	rule 3   c        c     c    c    c        c          c          c      (no ports: everything, ICMP too)
 *	profile           {abc}{ bc  bc }                                       rest, and other protocols: {c}
 *
 * A sweep over the ends of the intervals makes these unions: disjoint, so that one lookup finds the whole answer, and each
 * with a group that includes the portless peers, so that no second lookup is needed behind a hit. Neighbours with the
 * same group are one entry, and an entry that would say what `portless` says anyway is none.
 *
 * Who everyone is: a rule without peers, or blocks that together hold both families. Such an interval has no group
 * (NULL); portless for everyone is an open profile.
 *
 * A named port is a number only in a pod that defines it. For ingress that pod is this one, so the name is resolved here: to
 * as many intervals as it has numbers with that protocol. For egress it is each destination's own matter: all named ports of
 * all rules make one group of endpoints, address . protocol . port.
 *
 * The baseline's rules that are about the pod are added to those of its policies, and select nothing: without a policy the pod
 * is unselected, and what its mode does with the rest stays.
 *
 * What is beyond a bound allows nothing, and is told (bounds.h): a policy, a namespace, or the profile of one pod.
 * Overlapping intervals multiply: 3,000 rules of 80 bytes, each with a block and a range inside the former's, are 6,000 unions of
 * up to 3,000 blocks (seen: 20 s and 500 MB, and every other pod's changes wait).
 *
 * What nobody understands adds nothing: a peer of no known kind makes no term, and a rule that has only such peers is a
 * product with the empty set.
 */
#include "policyd/model/compile.h"

#include <string.h>

#include "policyd/model/bounds.h"
#include "policyd/model/model.h"

#define PROFILE_GROUPS_MAX 500   /* unions of peers, half of what its namespace may have */
#define PROFILE_PARTS_MAX 100000 /* peers in all of them, likewise */
#define PROFILE_ENTRIES_MAX 2000 /* port intervals: the kernel takes 40 ms for as many ranges, and 7 s for 30,000 */

/* One interval of ports of a rule that is in `rules`. */
struct edge {
	uint32_t at; /* protocol << 17 | port, and for an end the port behind it: 65536 stays within the protocol */
	bool starts;
	size_t rule;
};

/* What the policies of a pod say for one direction, before the sweep. */
struct wanted {
	VEC(const struct ruling_rule *) rules; /* with ports */
	VEC(struct edge) edges;
	struct part_list portless;
	bool portless_everyone;
	struct part_list endpoints;
	struct term *anyone; /* a reference, if endpoints have it */
	bool named;          /* a port of the pod itself was looked up by its name */
	size_t groups, parts, entries; /* what the sweep has cost */
};

static void add_terms(struct part_list *l, const struct term_list *terms)
{
	for (size_t i = 0; i < terms->n; i++)
		VEC_PUSH(l, ((struct part){.term = terms->v[i]}));
}

static void add_parts(struct part_list *l, const struct part_list *parts)
{
	for (size_t i = 0; i < parts->n; i++)
		VEC_PUSH(l, parts->v[i]);
}

static void want_interval(struct wanted *w, size_t rule, uint8_t protocol, uint16_t first, uint16_t last)
{
	uint32_t base = (uint32_t)protocol << 17;

	VEC_PUSH(&w->edges, ((struct edge){.at = base + first, .starts = true, .rule = rule}));
	VEC_PUSH(&w->edges, ((struct edge){.at = base + last + 1, .rule = rule}));
}

static void want_endpoints(struct cluster *c, struct wanted *w, const struct ruling_rule *rule,
			   const struct policy_port *port)
{
	struct part part = {.port_name = port->name, .protocol = port->protocol};

	if (rule->rule->any_peer) {
		if (!w->anyone)
			w->anyone = term_get_any(c);
		part.term = w->anyone;
		VEC_PUSH(&w->endpoints, part);
	}
	for (size_t i = 0; i < rule->terms.n; i++) {
		part.term = rule->terms.v[i];
		if (part.term->kind != TERM_NODES) /* a node names no ports */
			VEC_PUSH(&w->endpoints, part);
	}
}

static void want_port(struct cluster *c, struct wanted *w, enum direction d, const struct pod *pod,
		      const struct ruling_rule *rule, const struct policy_port *port)
{
	size_t index = w->rules.n - 1;

	if (!port->name) {
		want_interval(w, index, port->protocol, port->first, port->last);
	} else if (d == EGRESS) {
		want_endpoints(c, w, rule, port);
	} else {
		w->named = true;
		for (size_t i = 0; i < pod->ports.n; i++) {
			const struct named_port *own = &pod->ports.v[i];

			if (own->protocol == port->protocol && !strcmp(own->name, port->name))
				want_interval(w, index, own->protocol, own->number, own->number);
		}
	}
}

static void want_rule(struct cluster *c, struct wanted *w, enum direction d, const struct pod *pod,
		      const struct ruling_rule *rule)
{
	if (rule->rule->any_port) {
		w->portless_everyone = w->portless_everyone || rule->rule->any_peer;
		add_terms(&w->portless, &rule->terms);
		return;
	}
	if (!rule->rule->any_peer && !rule->terms.n)
		return;
	VEC_PUSH(&w->rules, rule);
	c->handled += rule->rule->ports.n;
	for (size_t i = 0; i < rule->rule->ports.n; i++)
		want_port(c, w, d, pod, rule, &rule->rule->ports.v[i]);
}

static void wanted_done(struct cluster *c, struct wanted *w)
{
	if (w->anyone)
		term_put(c, w->anyone);
	VEC_DONE(&w->rules);
	VEC_DONE(&w->edges);
	VEC_DONE(&w->portless);
	VEC_DONE(&w->endpoints);
}

static int compare_edges(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* The rules whose intervals hold the present port. */
struct sweep {
	unsigned *counts;   /* intervals of each rule */
	VEC(size_t) active; /* rules with a count */
	VEC(size_t) last;   /* active as it was resolved last, */
	struct group *group; /* to this */
};

static void sweep_step(struct sweep *s, const struct edge *e)
{
	if (e->starts) {
		if (!s->counts[e->rule]++)
			VEC_PUSH(&s->active, e->rule);
		return;
	}
	if (--s->counts[e->rule])
		return;
	for (size_t i = 0; i < s->active.n; i++) {
		if (s->active.v[i] == e->rule) {
			s->active.v[i] = s->active.v[--s->active.n];
			return;
		}
	}
}

/* A rule with thousands of single ports asks for the same union again and again. */
static bool sweep_is_resolved(const struct sweep *s)
{
	return s->active.n == s->last.n && !memcmp(s->active.v, s->last.v, s->active.n * sizeof(s->active.v[0]));
}

static bool is_over_budget(const struct cluster *c)
{
	return c->budget && c->budget->exceeded;
}

static bool is_too_large(const struct wanted *w)
{
	return w->groups > PROFILE_GROUPS_MAX || w->parts > PROFILE_PARTS_MAX || w->entries > PROFILE_ENTRIES_MAX;
}

/* The group of the active rules, of which there are some, and the portless peers; NULL: everyone. */
static struct group *sweep_group(struct cluster *c, struct sweep *s, struct wanted *w)
{
	struct part_list parts = {0};
	bool everyone = false;

	if (sweep_is_resolved(s))
		return s->group;
	s->last.n = 0;
	for (size_t i = 0; i < s->active.n; i++) {
		const struct ruling_rule *rule = w->rules.v[s->active.v[i]];

		everyone = everyone || rule->rule->any_peer;
		add_terms(&parts, &rule->terms);
		VEC_PUSH(&s->last, s->active.v[i]);
	}
	add_parts(&parts, &w->portless);
	everyone = everyone || parts_are_everyone(&parts);
	if (!everyone) {
		w->groups++;
		w->parts += parts.n;
		c->handled += parts.n;
	}
	if (everyone || is_too_large(w))
		s->group = NULL; /* too large: nobody reads it */
	else
		s->group = group_get(c, GROUP_ADDRS, &parts);
	budget_take_group(c, s->group);
	VEC_DONE(&parts);
	return s->group;
}

static void emit(struct profile *p, uint32_t from, uint32_t behind, struct group *group)
{
	struct profile_entry e = {.protocol = (uint8_t)(from >> 17),
				  .first = (uint16_t)(from & 0x1ffff),
				  .last = (uint16_t)((behind & 0x1ffff) - 1),
				  .group = group};
	struct profile_entry *before = p->entries.n ? &p->entries.v[p->entries.n - 1] : NULL;

	if (group && group == p->portless)
		return;
	if (before && before->protocol == e.protocol && before->last + 1 == e.first && before->group == group)
		before->last = e.last;
	else
		VEC_PUSH(&p->entries, e); /* NOLINT(clang-analyzer-core.NullDereference): v is there when n < cap */
}

static void sweep(struct cluster *c, struct wanted *w, struct profile *p)
{
	struct sweep s = {.counts = mem_zalloc((w->rules.n + 1) * sizeof(*s.counts))};

	if (w->edges.n > 1)
		qsort(w->edges.v, w->edges.n, sizeof(w->edges.v[0]), compare_edges);
	for (size_t i = 0; i < w->edges.n && !is_too_large(w) && !is_over_budget(c); i++) {
		sweep_step(&s, &w->edges.v[i]);
		/* every edge at one port is passed before the interval that begins there is judged */
		if (s.active.n && w->edges.v[i + 1].at != w->edges.v[i].at)
			emit(p, w->edges.v[i].at, w->edges.v[i + 1].at, sweep_group(c, &s, w));
		w->entries = p->entries.n;
	}
	free(s.counts);
	VEC_DONE(&s.active);
	VEC_DONE(&s.last);
}

static bool selects(struct cluster *c, const struct ruling *r, enum direction d, const struct object *pod)
{
	if (!r->object->policy.isolates[d])
		return false;
	c->evaluations++;
	return selector_matches(&r->object->policy.pods, &pod->pod.labels);
}

static void compile_wanted(struct cluster *c, struct wanted *w, struct profile *p)
{
	struct part_list portless = {0};

	if (w->portless_everyone || parts_are_everyone(&w->portless)) {
		p->open = true;
		return;
	}
	w->parts = w->portless.n + w->endpoints.n;
	if (is_too_large(w))
		return;
	if (w->portless.n) {
		add_parts(&portless, &w->portless);
		p->portless = group_get(c, GROUP_ADDRS, &portless);
		budget_take_group(c, p->portless);
	}
	if (w->endpoints.n) {
		p->endpoints = group_get(c, GROUP_ENDPOINTS, &w->endpoints);
		budget_take_group(c, p->endpoints);
	}
	sweep(c, w, p);
}

static void allow_nothing(struct profile *p)
{
	VEC_DONE(&p->entries);
	p->open = false;
	p->portless = p->endpoints = NULL;
}

static char *excess_of_policy(const struct object *policy)
{
	return mem_printf("NetworkPolicy %s %s", policy->name, policy->policy.excess);
}

static char *excess_of_profile(void)
{
	return mem_printf("its policies come to more than %d unions of peers, %d peers in them or %d port intervals", PROFILE_GROUPS_MAX,
			  PROFILE_PARTS_MAX, PROFILE_ENTRIES_MAX);
}

static char *excess_of_space(const struct space *s)
{
	unsigned n = HASH_COUNT(s->rulings);

	return n > SPACE_POLICIES_MAX ? mem_printf("its namespace has %u policies, at most %d are read", n, SPACE_POLICIES_MAX) : NULL;
}

static void copy_profile(struct profile *to, const struct profile *from)
{
	to->open = from->open;
	to->portless = from->portless;
	to->endpoints = from->endpoints;
	VEC_DONE(&to->entries);
	for (size_t i = 0; i < from->entries.n; i++)
		VEC_PUSH(&to->entries, from->entries.v[i]);
}

/* What the pod before had from the same policies; named ports are each pod's own. */
static bool recall(const struct compile_memo *m, const struct compile_memo *asked, struct profile *p, char **ret_excess)
{
	if (!m->rulings.n || m->rulings.n != asked->rulings.n || m->named ||
	    memcmp(m->rulings.v, asked->rulings.v, m->rulings.n * sizeof(m->rulings.v[0])) != 0)
		return false;
	copy_profile(p, &m->profile);
	*ret_excess = mem_strdup(m->excess);
	return true;
}

/* Takes over what was asked. */
static void remember(struct compile_memo *m, struct compile_memo *asked, const struct profile *p, const char *excess)
{
	copy_profile(&m->profile, p);
	VEC_DONE(&m->rulings);
	m->rulings = asked->rulings;
	asked->rulings = (struct ruling_list){0};
	m->named = asked->named;
	free(m->excess);
	m->excess = mem_strdup(excess);
}

void compile_forget(struct cluster *c)
{
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		VEC_DONE(&c->memo[d].rulings);
		VEC_DONE(&c->memo[d].profile.entries);
		free(c->memo[d].excess);
		c->memo[d] = (struct compile_memo){.named = false};
	}
}

/* What the rulings come to, into p; the excess of the profile, or NULL. */
static char *compile_rulings(struct cluster *c, struct compile_memo *asked, const struct pod *pod, struct profile *p)
{
	struct wanted w = {0};
	char *excess;

	for (size_t i = 0; i < asked->rulings.n; i++)
		for (size_t k = 0; k < asked->rulings.v[i]->rules[p->direction].n; k++)
			want_rule(c, &w, p->direction, pod, &asked->rulings.v[i]->rules[p->direction].v[k]);
	compile_wanted(c, &w, p);
	asked->named = w.named;
	excess = is_too_large(&w) ? excess_of_profile() : NULL;
	wanted_done(c, &w);
	return excess;
}

static void add_standing(struct cluster *c, const struct subject *s, enum direction d, struct ruling_list *to)
{
	for (size_t i = 0; i < s->space->standing.n; i++)
		if (ruling_holds_in(s->space->standing.v[i], s->space) && selects(c, s->space->standing.v[i], d, s->object))
			VEC_PUSH(to, s->space->standing.v[i]);
}

bool compile_policies(struct cluster *c, const struct subject *s, struct profile *p, bool open_unselected, char **ret_excess)
{
	struct compile_memo asked = {.named = false}, *memo = &c->memo[p->direction];
	bool selected;

	*ret_excess = excess_of_space(s->space);
	if (*ret_excess)
		return true;
	for (const struct ruling *r = s->space->rulings; r; r = r->hh.next) {
		if (!selects(c, r, p->direction, s->object))
			continue;
		VEC_PUSH(&asked.rulings, r);
		if (r->object->policy.excess && !*ret_excess)
			*ret_excess = excess_of_policy(r->object);
	}
	selected = asked.rulings.n > 0;
	p->open = !selected && open_unselected;
	if (!p->open)
		add_standing(c, s, p->direction, &asked.rulings);
	if (asked.rulings.n && !*ret_excess && !recall(memo, &asked, p, ret_excess)) {
		*ret_excess = compile_rulings(c, &asked, &s->object->pod, p);
		remember(memo, &asked, p, *ret_excess);
	}
	if (*ret_excess)
		allow_nothing(p);
	VEC_DONE(&asked.rulings);
	return selected;
}

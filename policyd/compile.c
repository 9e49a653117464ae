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
 * Overlapping intervals multiply: 3,000 rules of 80 bytes, each with a block and a range inside the former's, are 6,000 unions of
 * up to 3,000 blocks (seen: 20 s and 500 MB, and every other pod's changes wait). Who writes such policies closes the pods that they
 * select, and nobody else: beyond a bound a profile allows nothing, and it is told. Thousands of separate ports are bounded likewise.
 *
 * What nobody understands adds nothing: a peer of no known kind makes no term, and a rule that has only such peers is a
 * product with the empty set.
 */
#include "policyd/compile.h"

#include <string.h>

#include "policyd/model.h"

#define PROFILE_GROUPS_MAX 1000   /* unions that are made; the kernel finds a set by its name one by one: 10,000 take it 40 s */
#define PROFILE_PARTS_MAX 500000 /* peers in all of them */
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
	}
	if (everyone || is_too_large(w))
		s->group = NULL; /* too large: nobody reads it */
	else
		s->group = group_get(c, GROUP_ADDRS, &parts);
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
		VEC_PUSH(&p->entries, e);
}

static void sweep(struct cluster *c, struct wanted *w, struct profile *p)
{
	struct sweep s = {.counts = mem_zalloc((w->rules.n + 1) * sizeof(*s.counts))};

	if (w->edges.n > 1)
		qsort(w->edges.v, w->edges.n, sizeof(w->edges.v[0]), compare_edges);
	for (size_t i = 0; i < w->edges.n && !is_too_large(w); i++) {
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
	}
	if (w->endpoints.n)
		p->endpoints = group_get(c, GROUP_ENDPOINTS, &w->endpoints);
	sweep(c, w, p);
	if (is_too_large(w)) {
		VEC_DONE(&p->entries);
		p->portless = p->endpoints = NULL;
	}
}

/* Fills p with what the policies that select the pod allow; returns whether there are any. */
static bool compile_policies(struct cluster *c, const struct subject *s, struct profile *p, bool *ret_too_large)
{
	struct wanted w = {0};
	bool selected = false;

	for (const struct ruling *r = s->space->rulings; r; r = r->hh.next) {
		if (!selects(c, r, p->direction, s->object))
			continue;
		selected = true;
		for (size_t i = 0; i < r->rules[p->direction].n; i++)
			want_rule(c, &w, p->direction, &s->object->pod, &r->rules[p->direction].v[i]);
	}
	compile_wanted(c, &w, p);
	*ret_too_large = is_too_large(&w);
	wanted_done(c, &w);
	return selected;
}

enum confirmation local_confirmation(const struct local *l, bool *ret_by_name_only)
{
	const struct attachment *a = l->attachment;

	*ret_by_name_only = false;
	if (!a->pod_namespace || !a->pod_name)
		return POD_NOT_KUBERNETES;
	if (!subject_is(l->subject, a, ret_by_name_only))
		return POD_UNKNOWN;
	return l->subject->space->object ? POD_CONFIRMED : POD_NAMESPACE_UNKNOWN;
}

/* The mode of v, with the label of its Namespace; returns what a denied sender sees. */
static enum deny settle_mode(struct cluster *c, const struct local *l, struct local_pod *v)
{
	const struct object *space = l->subject->space->object;
	const char *text = space ? labels_get(&space->namespace.labels, MODE_LABEL) : NULL;
	enum deny deny = l->attachment->deny;
	struct network *n;
	enum mode label;

	HASH_FIND_STR(c->networks, l->attachment->network, n);
	v->mode = n ? n->mode : l->attachment->mode;
	if (n)
		deny = n->deny;
	v->label_ignored = false;
	if (!text)
		return deny;
	/* an attachment that is no pod of the source may tighten, and has nothing to loosen by */
	if (mode_parse(text, &label) && (label == v->mode || mode_is_tighter(label, v->mode) ||
					 (c->loosening[label] && v->confirmation == POD_CONFIRMED)))
		v->mode = label;
	else
		v->label_ignored = true;
	return deny;
}

/* What happens to what nothing allowed. A peer that is not known yet must not be told off: it retries. */
static enum profile_end end_of(const struct local_pod *v, bool selected, enum deny deny)
{
	bool observed = v->mode == MODE_AUDIT || (v->mode == MODE_PREVIEW && !selected);

	if (observed)
		return END_OBSERVE;
	return v->confirmation == POD_CONFIRMED && deny == DENY_REJECT ? END_REJECT : END_DROP;
}

static struct profile *local_profile(struct cluster *c, const struct local *l, enum direction d, enum deny deny)
{
	struct local_pod *v = l->view;
	struct profile draft = {.direction = d};
	bool was_open = !l->fresh && v->profile[d] && v->profile[d]->open && !v->selected[d];

	v->too_large[d] = false;
	v->selected[d] = v->confirmation == POD_CONFIRMED && compile_policies(c, l->subject, &draft, &v->too_large[d]);
	draft.end = end_of(v, v->selected[d], deny);
	if (v->confirmation != POD_CONFIRMED || v->selected[d] || v->mode != MODE_STANDARD)
		return profile_get(c, &draft);
	/* unselected, standard: what could not be read may hold the policy that selects it */
	draft.open = !c->incomplete || was_open;
	if (!draft.open)
		draft.end = END_DROP;
	return profile_get(c, &draft);
}

/* Returns whether something changed that the kernel has to know. */
static bool local_compile(struct cluster *c, struct local *l)
{
	struct local_pod *v = l->view;
	bool changed = l->fresh, node_open = v->node_open;
	enum deny deny;

	v->confirmation = local_confirmation(l, &v->by_name_only);
	deny = settle_mode(c, l, v);
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		struct profile *now = local_profile(c, l, (enum direction)d, deny);

		changed = changed || now != v->profile[d];
		profile_put(c, v->profile[d]);
		v->profile[d] = now;
	}
	v->node_open = v->confirmation == POD_CONFIRMED && v->mode == MODE_STANDARD;
	l->fresh = false;
	return changed || v->node_open != node_open;
}

void cluster_compile(struct cluster *c, struct local_pod_list *ret)
{
	*ret = (struct local_pod_list){0};
	for (size_t i = 0; i < c->dirty.n; i++) {
		struct local *l = c->dirty.v[i];

		l->dirty = false;
		if (l->view && local_compile(c, l))
			VEC_PUSH(ret, l->view);
	}
	c->dirty.n = 0;
}

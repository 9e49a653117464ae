/* SPDX-License-Identifier: Apache-2.0 */
/* What the attached pods should have: their policies compiled in their modes, within what their namespace may cost. */
#include <string.h>

#include "policyd/model/model.h"

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

	if (l->attachment->adoption != ADOPTION_NONE)
		n = c->followed; /* no conflist had a part in it: the node's counts */
	else
		HASH_FIND_STR(c->networks, l->attachment->network, n);
	v->mode = n ? n->mode : l->attachment->adoption == ADOPTION_NONE ? l->attachment->mode : MODE_STRICT;
	if (n)
		deny = n->deny;
	v->label_ignored = false;
	if (l->attachment->adoption == ADOPTION_HELD) { /* whatever a label says: somebody has to look first */
		if (mode_is_tighter(v->mode, MODE_PREVIEW))
			v->mode = MODE_PREVIEW;
		return deny;
	}
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

static void set_excess(struct local_pod *v, enum direction d, char *take)
{
	if (take && (!v->excess[d] || strcmp(take, v->excess[d]) != 0))
		v->excess_told = false;
	free(v->excess[d]);
	v->excess[d] = take;
}

static struct profile *local_profile(struct cluster *c, const struct local *l, enum direction d, enum deny deny)
{
	struct local_pod *v = l->view;
	struct profile draft = {.direction = d};
	bool was_open = !l->fresh && v->profile[d] && v->profile[d]->open && !v->selected[d];
	/* else what could not be read may hold the policy that selects it */
	bool open = v->mode == MODE_STANDARD && (!c->incomplete || was_open);
	char *excess = NULL;

	/* who was isolated stays so when nobody says any more who it is: preview would open what policies denied */
	if (v->confirmation == POD_CONFIRMED)
		v->selected[d] = compile_policies(c, l->subject, &draft, open, &excess);
	else
		v->selected[d] = !l->fresh && v->selected[d];
	set_excess(v, d, excess);
	draft.end = end_of(v, v->selected[d], deny);
	if (v->confirmation == POD_CONFIRMED && !v->selected[d] && v->mode == MODE_STANDARD && !draft.open)
		draft.end = END_DROP;
	return profile_get(c, &draft);
}

/* The first profiles in a round are kept, so that what is compiled, and closed after all, is compared with what there was. */
static void take_profile(struct cluster *c, struct local *l, enum direction d, struct profile *now)
{
	struct local_pod *v = l->view;

	budget_take_profile(c, now);
	if (l->settled)
		profile_put(c, v->profile[d]);
	else
		l->former[d] = v->profile[d];
	v->profile[d] = now;
}

static void local_compile(struct cluster *c, struct local *l)
{
	struct local_pod *v = l->view;
	enum deny deny;

	v->confirmation = local_confirmation(l, &v->by_name_only);
	deny = settle_mode(c, l, v);
	for (int d = 0; d < DIRECTION_COUNT; d++)
		take_profile(c, l, (enum direction)d, local_profile(c, l, (enum direction)d, deny));
	l->settled = true;
}

static void local_close(struct cluster *c, struct local *l, const char *excess)
{
	struct local_pod *v = l->view;
	enum deny deny;

	v->confirmation = local_confirmation(l, &v->by_name_only);
	deny = settle_mode(c, l, v);
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		struct profile draft = {.direction = (enum direction)d, .end = end_of(v, true, deny)};

		v->selected[d] = true;
		set_excess(v, (enum direction)d, mem_strdup(excess));
		take_profile(c, l, (enum direction)d, profile_get(c, &draft));
	}
	l->settled = true;
}

/* Could connections pass by this profile? Before the first one, by what ADD left: nothing, unless it only observes. */
static bool lets_any_through(const struct profile *p, enum mode added)
{
	if (!p)
		return added == MODE_AUDIT || added == MODE_PREVIEW;
	return !profile_is_empty(p) || p->end == END_OBSERVE;
}

/* Returns whether something changed that the kernel has to know. */
static bool local_settle(struct cluster *c, struct local *l)
{
	struct local_pod *v = l->view;
	bool changed = l->fresh, node_open = v->confirmation == POD_CONFIRMED && v->mode == MODE_STANDARD;

	for (int d = 0; d < DIRECTION_COUNT; d++) {
		/* what was open when the pod was adopted stays so */
		bool spared = !l->former[d] && l->attachment->adoption != ADOPTION_NONE;

		if (l->former[d] != v->profile[d]) {
			changed = true;
			v->lost[d] |= !spared && lets_any_through(l->former[d], l->attachment->mode);
		}
		profile_put(c, TAKE_PTR(l->former[d]));
	}
	changed = changed || v->node_open != node_open;
	v->lost[EGRESS] |= v->node_open && !node_open;
	v->node_open = node_open;
	l->fresh = l->settled = false;
	return changed;
}

/* A pod more makes what is too much no less. */
static bool worth_a_try(const struct space *s)
{
	for (size_t i = 0; s->excess && i < s->locals.n; i++)
		if (s->locals.v[i]->dirty && !s->locals.v[i]->fresh)
			return true;
	return !s->excess;
}

static void close_dirty(struct cluster *c, const struct space *s)
{
	for (size_t i = 0; i < s->locals.n; i++)
		if (s->locals.v[i]->view && s->locals.v[i]->dirty)
			local_close(c, s->locals.v[i], s->excess);
}

static void mark_all(struct space *s)
{
	for (size_t i = 0; i < s->locals.n; i++)
		s->locals.v[i]->dirty = true;
}

/* All pods of a namespace whose policies come to too much are closed: which of them came first must not matter. */
static void space_try(struct cluster *c, struct space *s)
{
	struct budget budget;

	if (s->excess)
		mark_all(s);
	free(TAKE_PTR(s->excess));
	space_make_standing(c, s);
	budget_begin(c, &budget, s);
	for (size_t i = 0; i < s->locals.n && !budget.exceeded; i++)
		if (s->locals.v[i]->dirty && s->locals.v[i]->view)
			local_compile(c, s->locals.v[i]);
	if (budget.exceeded) {
		s->excess = mem_strdup(budget.exceeded);
		mark_all(s);
		close_dirty(c, s);
	}
	budget_end(c);
	compile_forget(c);
}

static void space_compile(struct cluster *c, struct space *s, struct local_pod_list *ret)
{
	uint64_t before = cluster_work(c);

	if (worth_a_try(s))
		space_try(c, s);
	else
		close_dirty(c, s);
	for (size_t i = 0; i < s->locals.n; i++) {
		struct local *l = s->locals.v[i];

		l->dirty = false;
		if (l->settled && local_settle(c, l))
			VEC_PUSH(ret, l->view);
	}
	s->compiled = false;
	space_work(c, s, before);
}

void cluster_compile(struct cluster *c, struct local_pod_list *ret)
{
	struct space_list spaces = {0};

	*ret = (struct local_pod_list){0};
	for (size_t i = 0; i < c->dirty.n; i++) {
		struct space *s = c->dirty.v[i]->subject->space;

		if (!s->compiled)
			VEC_PUSH(&spaces, s);
		s->compiled = true;
	}
	for (size_t i = 0; i < spaces.n; i++)
		space_compile(c, spaces.v[i], ret);
	c->dirty.n = 0;
	VEC_DONE(&spaces);
}

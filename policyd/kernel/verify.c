/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of the survey
 *
 * Everything that the kernel should have, beside what it has, is a second of work for 10,000 pods, and in the loop everybody else
 * would wait for it. So it is done in turns. What is wanted is asked of the model a few objects at a time, by their names, since the
 * model goes on changing meanwhile. Then the kernel's tables are read and compared, which needs no model: by a thread.
 *
 * If the model was applied in between, something may differ that is as it should be: wanted when it was asked for and gone when
 * the kernel was read, or the other way round. Then a second survey is made, and if the model does not hold still for that either,
 * what differs is what differed in both: nothing that is as it should be is found missing twice by chance alone, and if
 * it is (a policy that goes to and fro), what follows is work for nothing and does no harm. So two surveys are always enough.
 */
#include "policyd/kernel/verify.h"

#include <stdio.h>
#include <string.h>

#include "moat/ruleset.h"
#include "moat/text.h"
#include "policyd/kernel/tamper.h"
#include "policyd/kernel/verify_internal.h"

/* One thing to ask the model for. */
enum step_kind { STEP_STATIC, STEP_SURROUNDINGS, STEP_KNOWN, STEP_CLOSING, STEP_GROUP, STEP_PROFILE, STEP_POD };

struct step {
	enum step_kind kind;
	char *name; /* of the group or profile, key of the pod: it may be gone when it is its turn */
};

/* An object that only one side has. The name is ours; the element is in `stray`. */
struct difference {
	bool extra;
	struct inventory_object object;
	struct stray_element stray; /* of an extra element of a set that is ruleset.h's, */
	enum set_owner set_owner;   /* and whose that is */
	bool fits;                  /* the element is whole there */
};

struct survey {
	struct reconcile *r;
	struct inventory *inv;
	VEC(struct step) steps;
	size_t next;
	VEC(struct difference) differences; /* sorted by id once another survey is asked for */
	uint64_t runs, rebuilds;            /* of the reconciliation when it began */
	bool bridges;
	int code; /* of reading the kernel */
};

static void take_step(struct survey *s, const struct step *step)
{
	switch (step->kind) {
	case STEP_STATIC:
		verify_want_static_part(s->inv, s->bridges);
		break;
	case STEP_SURROUNDINGS:
		verify_want_surroundings(s->r, s->inv);
		break;
	case STEP_KNOWN:
		verify_want_known(s->r, s->inv);
		break;
	case STEP_CLOSING:
		verify_want_closing(s->inv);
		break;
	case STEP_GROUP:
		verify_want_group(s->r, s->inv, step->name);
		break;
	case STEP_PROFILE:
		verify_want_profile(s->r, s->inv, step->name);
		break;
	case STEP_POD:
		verify_want_pod(s->r, s->inv, step->name);
		break;
	}
}

static void add_step(struct survey *s, enum step_kind kind, const char *name)
{
	struct step step = {.kind = kind, .name = name ? mem_strdup(name) : NULL};

	VEC_PUSH(&s->steps, step);
}

struct survey *survey_new(struct reconcile *r, struct err *err)
{
	struct survey *s;

	if (!r->built) {
		err_set(err, ENOTSUP, "nothing is known of what the kernel should have");
		return NULL;
	}
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next) {
		if (!pod->profile[INGRESS]) {
			err_set(err, ENOTSUP, "attachment %s is not compiled yet", TEXT(pod->key));
			return NULL;
		}
	}
	s = mem_zalloc(sizeof(*s));
	s->r = r;
	s->inv = inventory_new();
	s->runs = r->stats.runs;
	s->rebuilds = r->stats.rebuilds;
	s->bridges = reconcile_has_bridges(r);
	for (int kind = STEP_STATIC; kind <= STEP_CLOSING; kind++)
		add_step(s, (enum step_kind)kind, NULL);
	for (struct group *g = cluster_groups(r->cluster); g; g = g->hh.next)
		add_step(s, STEP_GROUP, g->name);
	for (struct profile *p = cluster_profiles(r->cluster); p; p = p->hh.next)
		add_step(s, STEP_PROFILE, p->name);
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		add_step(s, STEP_POD, pod->key);
	return s;
}

void survey_free(struct survey *s)
{
	if (!s)
		return;
	inventory_free(s->inv);
	for (size_t i = 0; i < s->steps.n; i++)
		free(s->steps.v[i].name);
	for (size_t i = 0; i < s->differences.n; i++)
		free((char *)s->differences.v[i].object.name);
	VEC_DONE(&s->steps);
	VEC_DONE(&s->differences);
	free(s);
}

bool survey_want(struct survey *s, uint64_t budget_us)
{
	uint64_t began = clock_monotonic_us();

	while (s->next < s->steps.n) {
		take_step(s, &s->steps.v[s->next++]);
		if (clock_monotonic_us() - began >= budget_us)
			break;
	}
	return s->next == s->steps.n;
}

/* ---- reading, without the model ------------------------------------------------------------------------------------------ */

static void copy_element(struct difference *d)
{
	const struct element *e = &d->object.element;
	struct stray_element *stray = &d->stray;

	stray->set = ruleset_find_set(d->object.table, d->object.name, &d->set_owner);
	d->fits = e->key_len <= sizeof(stray->key.bytes) && e->data_len <= sizeof(stray->value.bytes);
	if (!d->fits)
		return;
	stray->key.len = (uint8_t)e->key_len;
	memcpy(stray->key.bytes, e->key, e->key_len);
	stray->value.len = (uint8_t)e->data_len;
	if (e->data_len)
		memcpy(stray->value.bytes, e->data, e->data_len);
	snprintf(stray->chain, sizeof(stray->chain), "%s", e->chain);
}

static void add_difference(struct survey *s, const struct inventory_object *o, bool extra)
{
	struct difference d = {.extra = extra, .object = *o, .stray = {.chain = ""}};

	d.object.name = mem_strdup(o->name);
	if (extra && o->kind == INVENTORY_ELEMENT)
		copy_element(&d);
	d.object.element = (struct element){.key = NULL};
	VEC_PUSH(&s->differences, d);
}

static void add_missing(const struct inventory_object *o, void *arg)
{
	add_difference(arg, o, false);
}

static void add_extra(const struct inventory_object *o, void *arg)
{
	add_difference(arg, o, true);
}

void survey_read(struct survey *s, struct nl *nl)
{
	s->code = inventory_compare(s->inv, nl, TABLE_INET, add_extra, add_missing, s);
	if (s->code == 0 && s->bridges)
		s->code = inventory_compare(s->inv, nl, TABLE_BRIDGE, add_extra, add_missing, s);
}

/* ---- judging ------------------------------------------------------------------------------------------------------------- */

struct verification {
	struct reconcile *r;
	struct verified *v;
};

static void note(struct verified *v, const char *what, const struct inventory_object *o)
{
	static const char *const kinds[] = {"chain", "rule of chain", "set", "element of set"};

	if (!v->what[0])
		snprintf(v->what, sizeof(v->what), "%s %s %s", what, kinds[o->kind], o->name);
}

static bool is_pending(const struct reconcile *r, const struct local_pod *pod)
{
	for (size_t i = 0; i < r->pending.n; i++)
		if (!strcmp(r->pending.v[i], pod->key))
			return true;
	return false;
}

static void on_missing(const struct inventory_object *o, struct verification *n)
{
	if (o->owner == &verify_of_static_part) {
		n->v->static_part = true;
	} else if (o->owner == &verify_of_surroundings) {
		n->v->surroundings = true;
	} else if (o->owner == &verify_of_program) {
		n->v->program = true;
	} else if (o->owner == &verify_of_closing) {
		n->v->static_part = true; /* the bar has their ports */
	} else {
		const struct local_pod *pod = verify_pod(n->r, o->owner);

		if (!pod || is_pending(n->r, pod))
			return; /* it has gone, or is tried anyhow */
		reconcile_suspect(n->r, pod);
		n->v->pods++;
	}
	note(n->v, "missing:", o);
}

/* The elements of pods that nobody wants may be a new pod's, which the model does not know yet: their judge is strays.c. */
static void on_extra_element(const struct difference *d, struct verification *n)
{
	const struct inventory_object *o = &d->object;
	const struct set_spec *set = d->stray.set;
	bool current;

	if (set && d->set_owner == SETS_OF_PODS && d->fits) {
		VEC_PUSH(&n->v->left.elements, d->stray);
		return;
	}
	if (set && d->set_owner == SETS_OF_BRIDGES)
		return;
	if (set && d->set_owner == SETS_FIXED)
		n->v->static_part = n->r->fixed_sets_changed = true;
	else if (set && d->set_owner == SETS_OF_NODE)
		n->v->surroundings = true;
	else if (set ? n->r->surroundings.every_pod != NULL : program_owns_name(o->name, &n->r->epoch, &current) && current)
		n->v->program = true; /* known, or the program's own */
	else
		return;
	note(n->v, "extra:", o);
}

static void on_extra(const struct difference *d, struct verification *n)
{
	const struct inventory_object *o = &d->object;
	bool current;

	if (o->kind == INVENTORY_ELEMENT) {
		on_extra_element(d, n);
	} else if (ruleset_has_chain(o->table, o->name)) {
		n->v->surroundings |= ruleset_is_filled(o->name);
		n->v->static_part |= !ruleset_is_filled(o->name);
		note(n->v, "extra:", o);
	} else if (program_owns_name(o->name, &n->r->epoch, &current)) {
		n->v->program |= current; /* what another epoch left is deleted by the next rebuild */
		if (current)
			note(n->v, "extra:", o);
	} else if (o->kind == INVENTORY_CHAIN && (o->name[0] == 'i' || o->name[0] == 'e') && o->name[1] == '-') {
		VEC_PUSH(&n->v->left.chains, mem_strdup(o->name));
	} else if (o->kind == INVENTORY_RULE && reconcile_suspect_chain(n->r, o->name)) {
		n->v->pods++;
		note(n->v, "extra:", o);
	}
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct difference *)a)->object.id, y = ((const struct difference *)b)->object.id;

	return x < y ? -1 : x > y;
}

static bool differed(const struct survey *former, const struct difference *d)
{
	const struct difference *found = former->differences.n ? bsearch(d, former->differences.v, former->differences.n,
									 sizeof(*d), by_id)
							       : NULL;

	return found && found->extra == d->extra;
}

int survey_judge(struct survey *s, const struct survey *former, struct verified *ret, struct err *err)
{
	struct verification n = {.r = s->r, .v = ret};
	bool held_still = s->runs == s->r->stats.runs;

	memset(ret, 0, sizeof(*ret));
	if (s->code < 0)
		return err_errno(err, -s->code, "read what stands in moat's tables");
	if (!s->r->built || s->rebuilds != s->r->stats.rebuilds)
		return err_set(err, ENOTSUP, "everything was built anew meanwhile");
	if (!held_still && s->differences.n && !former) {
		qsort(s->differences.v, s->differences.n, sizeof(s->differences.v[0]), by_id);
		return err_set(err, EAGAIN, "the model changed meanwhile");
	}
	for (size_t i = 0; i < s->differences.n; i++) {
		const struct difference *d = &s->differences.v[i];

		if (!held_still && !differed(former, d))
			continue;
		if (d->extra)
			on_extra(d, &n);
		else
			on_missing(&d->object, &n);
	}
	return 0;
}

int verify(struct reconcile *r, struct verified *ret, struct err *err)
{
	struct survey *s = survey_new(r, err);
	int code;

	memset(ret, 0, sizeof(*ret));
	if (!s)
		return -err->code;
	survey_want(s, UINT64_MAX);
	survey_read(s, &r->nl);
	code = survey_judge(s, NULL, ret, err);
	survey_free(s);
	return code;
}

void verified_done(struct verified *v)
{
	leftovers_done(&v->left);
}

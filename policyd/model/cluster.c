/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in and out of the model. */
#include "policyd/model/cluster.h"

#include <string.h>

#include "policyd/model/bounds.h"
#include "policyd/model/model.h"

struct cluster *cluster_new(void)
{
	return mem_zalloc(sizeof(struct cluster));
}

struct space *space_get(struct cluster *c, const char *name)
{
	struct space *s;

	HASH_FIND_STR(c->spaces, name, s);
	if (!s) {
		s = mem_zalloc(sizeof(*s));
		s->name = mem_strdup(name);
		HASH_ADD_KEYPTR(hh, c->spaces, s->name, strlen(s->name), s);
	}
	return s;
}

void space_settle(struct cluster *c, struct space *s)
{
	if (s->object || s->subjects || s->rulings || s->term_refs)
		return;
	HASH_DEL(c->spaces, s);
	for (size_t i = 0; s->work && i < c->workers.n; i++)
		if (c->workers.v[i] == s)
			c->workers.v[i--] = c->workers.v[--c->workers.n];
	free(s->excess);
	VEC_DONE(&s->locals);
	VEC_DONE(&s->terms);
	VEC_DONE(&s->standing);
	free(s->name);
	free(s);
}

uint64_t cluster_work(const struct cluster *c)
{
	return c->evaluations + c->handled;
}

void space_work(struct cluster *c, struct space *s, uint64_t before)
{
	uint64_t work = cluster_work(c) - before;

	if (work && !s->work)
		VEC_PUSH(&c->workers, s);
	s->work += work;
}

void cluster_each_work(const struct cluster *c, cluster_work_fn fn, void *arg)
{
	for (size_t i = 0; i < c->workers.n; i++)
		fn(c->workers.v[i]->name, c->workers.v[i]->work, arg);
}

void cluster_forget_work(struct cluster *c)
{
	for (size_t i = 0; i < c->workers.n; i++)
		c->workers.v[i]->work = 0;
	c->workers.n = 0;
}

struct subject *subject_get(struct cluster *c, struct space *space, const char *name)
{
	struct subject *s;

	HASH_FIND_STR(space->subjects, name, s);
	if (!s) {
		s = mem_zalloc(sizeof(*s));
		s->space = space;
		s->name = mem_strdup(name);
		HASH_ADD_KEYPTR(hh, space->subjects, s->name, strlen(s->name), s);
		c->n_subjects++;
	}
	return s;
}

struct subject *subject_find(const struct cluster *c, const char *ns, const char *name)
{
	struct space *space;
	struct subject *s = NULL;

	HASH_FIND_STR(c->spaces, ns, space);
	if (space)
		HASH_FIND_STR(space->subjects, name, s);
	return s;
}

void subject_settle(struct cluster *c, struct subject *s)
{
	struct space *space = s->space;

	if (s->object || s->locals.n)
		return;
	HASH_DEL(space->subjects, s);
	c->n_subjects--;
	VEC_DONE(&s->locals);
	VEC_DONE(&s->claims);
	VEC_DONE(&s->addrs);
	free(s->name);
	free(s);
	space_settle(c, space);
}

/*
 * Is the Pod object of s the pod that a was made for? The runtime passes the UID that the kubelet knows: of a static pod
 * that is the hash in its annotation, while the API server gave its mirror another.
 */
bool subject_is(const struct subject *s, const struct attachment *a, bool *ret_by_name_only)
{
	const struct object *o = s->object;

	*ret_by_name_only = false;
	if (!o)
		return false;
	if (!a->pod_uid || (!o->uid && !o->pod.static_id)) {
		*ret_by_name_only = true;
		return true;
	}
	return (o->uid && !strcmp(o->uid, a->pod_uid)) || (o->pod.static_id && !strcmp(o->pod.static_id, a->pod_uid));
}

static bool texts_equal(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static void namespace_put(struct cluster *c, const char *name, struct object *object)
{
	struct space *s = space_get(c, name);
	struct object *former = s->object;
	const char *mode_before = former ? labels_get(&former->namespace.labels, MODE_LABEL) : NULL;
	const char *mode_now = object ? labels_get(&object->namespace.labels, MODE_LABEL) : NULL;

	s->object = object;
	members_move_space(c, s, former);
	if (!former != !object || !texts_equal(mode_before, mode_now) || standing_differs(c, former, object))
		for (size_t i = 0; i < s->locals.n; i++)
			local_mark(c, s->locals.v[i]);
	object_free(former);
	space_settle(c, s);
}

/* Another UID is another pod; without one the name is all there is. */
static bool same_pod(const struct object *a, const struct object *b)
{
	return texts_equal(a->uid, b->uid) && texts_equal(a->pod.static_id, b->pod.static_id);
}

static void pod_put(struct cluster *c, const char *ns, const char *name, struct object *object)
{
	struct subject *s = subject_get(c, space_get(c, ns), name);
	struct object *former = s->object;

	s->object = object;
	s->ended = s->ended && former && object && same_pod(former, object);
	subject_update(c, s, former);
	object_free(former);
	subject_settle(c, s);
}

struct ruling *ruling_new(struct cluster *c, struct object *object, const char *ns, const struct baseline_rule *baseline)
{
	struct ruling *r = mem_zalloc(sizeof(*r));

	r->object = object;
	r->baseline = baseline;
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		for (size_t i = 0; i < object->policy.rules[d].n; i++) {
			struct ruling_rule rule = {.rule = &object->policy.rules[d].v[i]};

			for (size_t j = 0; j < rule.rule->peers.n; j++) {
				struct term *t = term_get(c, ns, &rule.rule->peers.v[j]);

				if (t)
					VEC_PUSH(&rule.terms, t);
			}
			VEC_PUSH(&r->rules[d], rule);
		}
	}
	return r;
}

void ruling_free(struct cluster *c, struct ruling *r)
{
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		for (size_t i = 0; i < r->rules[d].n; i++) {
			for (size_t j = 0; j < r->rules[d].v[i].terms.n; j++)
				term_put(c, r->rules[d].v[i].terms.v[j]);
			VEC_DONE(&r->rules[d].v[i].terms);
		}
		VEC_DONE(&r->rules[d]);
	}
	if (!r->baseline)
		object_free(r->object);
	free(r);
}

static bool ruling_selects(struct cluster *c, const struct ruling *r, const struct object *pod)
{
	c->evaluations++;
	return r && pod && selector_matches(&r->object->policy.pods, &pod->pod.labels);
}

static void policy_put(struct cluster *c, const char *ns, const char *name, struct object *object)
{
	struct space *s = space_get(c, ns);
	struct ruling *former, *now = object ? ruling_new(c, object, ns, NULL) : NULL;

	HASH_FIND_STR(s->rulings, name, former);
	for (size_t i = 0; i < s->locals.n; i++) {
		struct local *l = s->locals.v[i];

		if (!l->dirty &&
		    (ruling_selects(c, former, l->subject->object) || ruling_selects(c, now, l->subject->object)))
			local_mark(c, l);
	}
	if (former)
		HASH_DEL(s->rulings, former);
	if (!former != !now && HASH_COUNT(s->rulings) == SPACE_POLICIES_MAX) /* to or from one too many */
		for (size_t i = 0; i < s->locals.n; i++)
			local_mark(c, s->locals.v[i]);
	if (now)
		HASH_ADD_KEYPTR(hh, s->rulings, now->object->name, strlen(now->object->name), now);
	s->term_refs++; /* the last term of former must not take s away here */
	if (former)
		ruling_free(c, former);
	s->term_refs--;
	space_settle(c, s);
}

static void node_put(struct cluster *c, const char *name, struct object *object)
{
	struct node_state *n;

	HASH_FIND_STR(c->nodes, name, n);
	if (!n && !object)
		return;
	c->nodes_changed = true;
	if (object)
		node_count(c, object, 1); /* first: what stays does not go between */
	if (n) {
		HASH_DEL(c->nodes, n);
		node_count(c, n->object, -1);
		object_free(n->object);
		free(n);
	}
	if (object) {
		n = mem_zalloc(sizeof(*n));
		n->object = object;
		HASH_ADD_KEYPTR(hh, c->nodes, object->name, strlen(object->name), n);
	}
}

static void put(struct cluster *c, enum object_kind kind, const char *ns, const char *name, struct object *object)
{
	uint64_t before = cluster_work(c);
	struct space *s;

	if (kind == KIND_NODE || kind == KIND_ENDPOINTS) {
		(kind == KIND_NODE ? node_put : endpoints_put)(c, name, object);
		return;
	}
	s = space_get(c, ns ? ns : name);
	s->term_refs++; /* it stays until its work is counted */
	switch (kind) {
	case KIND_NAMESPACE:
		namespace_put(c, name, object);
		break;
	case KIND_POD:
		pod_put(c, ns, name, object);
		break;
	case KIND_POLICY:
		policy_put(c, ns, name, object);
		break;
	case KIND_NODE:
	case KIND_ENDPOINTS:
	case KIND_COUNT:
		break;
	}
	s->term_refs--;
	space_work(c, s, before);
	space_settle(c, s);
}

void cluster_upsert(struct cluster *c, struct object *take)
{
	put(c, take->kind, take->ns, take->name, take);
}

void cluster_delete(struct cluster *c, enum object_kind kind, const char *ns, const char *name)
{
	put(c, kind, ns, name, NULL);
}

void cluster_each_node(const struct cluster *c, cluster_node_fn fn, void *arg)
{
	for (const struct node_state *n = c->nodes; n; n = n->hh.next)
		fn(n->object, arg);
}

bool cluster_take_nodes_changed(struct cluster *c)
{
	bool changed = c->nodes_changed;

	c->nodes_changed = false;
	return changed;
}

size_t cluster_doubled_addresses(const struct cluster *c)
{
	return c->doubled;
}

uint64_t cluster_evaluations(const struct cluster *c)
{
	return c->evaluations;
}

/* Profiles and groups first: they hold terms, and terms hold namespaces. */
void cluster_free(struct cluster *c)
{
	struct node_state *node, *next_node;
	struct network *network, *next_network;

	if (!c)
		return;
	while (c->locals)
		cluster_detach(c, c->locals->key);
	cluster_set_baseline(c, NULL);
	while (c->profiles)
		cluster_forget_profile(c, c->profiles);
	while (c->groups)
		cluster_forget_group(c, c->groups);
	while (c->spaces) { /* the last thing of a space takes it away */
		struct space *s = c->spaces;

		if (s->rulings)
			policy_put(c, s->name, s->rulings->object->name, NULL);
		else if (s->subjects)
			pod_put(c, s->name, s->subjects->name, NULL);
		else
			namespace_put(c, s->name, NULL);
	}
	owners_free(c);
	HASH_ITER (hh, c->nodes, node, next_node)
		node_put(c, node->object->name, NULL);
	standing_free(c);
	HASH_ITER (hh, c->networks, network, next_network) {
		HASH_DEL(c->networks, network);
		free(network->name);
		free(network);
	}
	free(c->node);
	VEC_DONE(&c->given_ranges);
	VEC_DONE(&c->escapes);
	VEC_DONE(&c->dirty);
	VEC_DONE(&c->selecting);
	VEC_DONE(&c->by_address);
	VEC_DONE(&c->workers);
	VEC_DONE(&c->of_nodes);
	VEC_DONE(&c->changed);
	VEC_DONE(&c->idle_groups);
	VEC_DONE(&c->idle_profiles);
	free(c);
}

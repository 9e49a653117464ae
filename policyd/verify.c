/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/verify.h"

#include <stdio.h>
#include <string.h>

#include "moat/bridge.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "moat/text.h"
#include "policyd/reconcile_internal.h"

/* Who wants an object, besides pods: addresses are all that counts of these, and so none is const, which could share one. */
/* NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static char of_static_part, of_surroundings, of_program, of_closing;

/* Takes and frees the transaction. Which tunnel ports are wanted, the surroundings know: the static part puts the default's. */
static void want(struct inventory *inv, struct txn *t, void *owner)
{
	inventory_want(inv, t, owner == &of_static_part ? set_tunnel_ports.name : NULL, owner);
	txn_free(t);
}

static void want_pod(struct reconcile *r, struct inventory *inv, struct local_pod *pod)
{
	char buf[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *target[DIRECTION_COUNT];
	struct txn *t = txn_new();

	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = program_target(pod->profile[d], &r->epoch, buf[d]);
	pod_put(t, pod->attachment, target);
	if (pod->node_open)
		pod_open_node(t, pod->attachment, true);
	want(inv, t, pod);
}

static void want_port(const struct attachment *closing, void *arg)
{
	struct txn *t = txn_new();

	pod_bar_closing(t, closing);
	want(arg, t, &of_closing);
}

static void want_program(struct reconcile *r, struct inventory *inv)
{
	for (struct group *g = cluster_groups(r->cluster); g; g = g->hh.next) {
		struct txn *t;

		if (!g->installed)
			continue;
		t = txn_new();
		program_add_group(t, g, &r->epoch);
		for (unsigned v = 0; v < PROGRAM_VARIANTS; v++) {
			if (!(g->chains & 1u << v))
				continue;
			program_add_group_chain(t, g, v, &r->epoch);
			program_fill_group_chain(t, g, v, &r->epoch);
		}
		want(inv, t, &of_program);
	}
	for (struct profile *p = cluster_profiles(r->cluster); p; p = p->hh.next) {
		struct txn *t;

		if (!p->installed)
			continue;
		t = txn_new();
		program_add_profile(t, p, &r->epoch);
		program_fill_profile(t, p, &r->epoch);
		want(inv, t, &of_program);
	}
}

static struct inventory *want_everything(struct reconcile *r)
{
	struct inventory *inv = inventory_new();
	struct txn *t = txn_new();

	ruleset_put(t, TABLE_INET);
	if (reconcile_has_bridges(r))
		bridge_put_table(t);
	want(inv, t, &of_static_part);
	t = txn_new();
	surroundings_put(t, r->cluster);
	want(inv, t, &of_surroundings);
	t = txn_new();
	if (r->net.stands)
		net_put(&r->net, t, &r->epoch);
	want(inv, t, &of_surroundings);
	t = txn_new();
	surroundings_put_known(&r->surroundings, t);
	want(inv, t, &of_program);
	want_program(r, inv);
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		want_pod(r, inv, pod);
	podstore_each_closing(want_port, NULL, inv, NULL);
	return inv;
}

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

static void on_missing(const struct inventory_object *o, void *arg)
{
	struct verification *n = arg;

	if (o->owner == &of_static_part || o->owner == &of_closing) { /* the bar has the ports of those that close */
		n->v->static_part = true;
	} else if (o->owner == &of_surroundings) {
		n->v->surroundings = true;
	} else if (o->owner == &of_program) {
		n->v->program = true;
	} else if (!is_pending(n->r, o->owner)) {
		reconcile_suspect(n->r, o->owner);
		n->v->pods++;
	} else {
		return; /* it is tried anyhow */
	}
	note(n->v, "missing:", o);
}

/* The elements of pods that nobody wants may be a new pod's, which the model does not know yet: their judge is strays.c. */
static void on_extra_element(const struct inventory_object *o, struct verification *n)
{
	struct stray_element stray = {.chain = ""};
	enum set_owner owner;
	bool current;

	stray.set = ruleset_find_set(o->table, o->name, &owner);
	if (stray.set && owner == SETS_OF_PODS && o->element.key_len <= sizeof(stray.key.bytes) &&
	    o->element.data_len <= sizeof(stray.value.bytes)) {
		stray.key.len = (uint8_t)o->element.key_len;
		memcpy(stray.key.bytes, o->element.key, stray.key.len);
		stray.value.len = (uint8_t)o->element.data_len;
		if (stray.value.len)
			memcpy(stray.value.bytes, o->element.data, stray.value.len);
		snprintf(stray.chain, sizeof(stray.chain), "%s", o->element.chain);
		VEC_PUSH(&n->v->elements, stray);
		return;
	}
	if (stray.set && owner == SETS_OF_BRIDGES)
		return;
	if (stray.set && owner == SETS_FIXED)
		n->v->static_part = n->r->fixed_sets_changed = true;
	else if (stray.set && owner == SETS_OF_NODE)
		n->v->surroundings = true;
	else if (stray.set ? n->r->surroundings.every_pod != NULL : program_owns_name(o->name, &n->r->epoch, &current) && current)
		n->v->program = true; /* known, or the program's own */
	else
		return;
	note(n->v, "extra:", o);
}

static void on_extra(const struct inventory_object *o, void *arg)
{
	struct verification *n = arg;
	bool current;

	if (o->kind == INVENTORY_ELEMENT) {
		on_extra_element(o, n);
	} else if (ruleset_has_chain(o->table, o->name)) {
		n->v->surroundings |= ruleset_is_filled(o->name);
		n->v->static_part |= !ruleset_is_filled(o->name);
		note(n->v, "extra:", o);
	} else if (program_owns_name(o->name, &n->r->epoch, &current)) {
		n->v->program |= current; /* what another epoch left is deleted by the next rebuild */
		if (current)
			note(n->v, "extra:", o);
	} else if (o->kind == INVENTORY_CHAIN && (o->name[0] == 'i' || o->name[0] == 'e') && o->name[1] == '-') {
		VEC_PUSH(&n->v->chains, mem_strdup(o->name));
	} else if (o->kind == INVENTORY_RULE && reconcile_suspect_chain(n->r, o->name)) {
		n->v->pods++;
		note(n->v, "extra:", o);
	}
}

int verify(struct reconcile *r, struct verified *ret, struct err *err)
{
	struct verification n = {.r = r, .v = ret};
	struct inventory *inv;
	int code;

	memset(ret, 0, sizeof(*ret));
	if (!r->built)
		return err_set(err, ENOTSUP, "nothing is known of what the kernel should have");
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		if (!pod->profile[INGRESS])
			return err_set(err, ENOTSUP, "attachment %s is not compiled yet", TEXT(pod->key));
	inv = want_everything(r);
	code = inventory_compare(inv, &r->nl, TABLE_INET, on_extra, on_missing, &n);
	if (code == 0 && reconcile_has_bridges(r))
		code = inventory_compare(inv, &r->nl, TABLE_BRIDGE, on_extra, on_missing, &n);
	inventory_free(inv);
	return code < 0 ? err_errno(err, -code, "read what stands in moat's tables") : 0;
}

void verified_done(struct verified *v)
{
	for (size_t i = 0; i < v->chains.n; i++)
		free(v->chains.v[i]);
	VEC_DONE(&v->chains);
	VEC_DONE(&v->elements);
}

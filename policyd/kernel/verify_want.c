/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/kernel/verify_internal.h"

#include "moat/bridge.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"

/* Never written; none is const, which could share one address. NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
char verify_of_static_part, verify_of_surroundings, verify_of_program, verify_of_closing;

/* Takes and frees the transaction. Which tunnel ports are wanted, the surroundings know: the static part puts the default's. */
static void want(struct inventory *inv, struct txn *t, void *owner)
{
	inventory_want(inv, t, owner == &verify_of_static_part ? set_tunnel_ports.name : NULL, owner);
	txn_free(t);
}

void verify_want_pod(struct reconcile *r, struct inventory *inv, char *key)
{
	const struct local_pod *pod = verify_pod(r, key);
	char buf[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *target[DIRECTION_COUNT];
	struct txn *t;

	if (!pod || !pod->profile[INGRESS])
		return;
	t = txn_new();
	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = program_target(pod->profile[d], &r->epoch, buf[d]);
	pod_put(t, pod->attachment, target);
	if (pod->node_open)
		pod_open_node(t, pod->attachment, true);
	want(inv, t, key);
}

static void want_port(const struct attachment *closing, void *arg)
{
	struct txn *t = txn_new();

	pod_bar_closing(t, closing);
	want(arg, t, &verify_of_closing);
}

void verify_want_group(struct reconcile *r, struct inventory *inv, const char *name)
{
	struct group *groups = cluster_groups(r->cluster), *g;
	struct txn *t;

	HASH_FIND_STR(groups, name, g);
	if (!g || !g->installed)
		return;
	t = txn_new();
	program_add_group(t, g, &r->epoch);
	for (unsigned v = 0; v < PROGRAM_VARIANTS; v++) {
		if (!(g->chains & 1u << v))
			continue;
		program_add_group_chain(t, g, v, &r->epoch);
		program_fill_group_chain(t, g, v, &r->epoch);
	}
	want(inv, t, &verify_of_program);
}

void verify_want_profile(struct reconcile *r, struct inventory *inv, const char *name)
{
	struct profile *profiles = cluster_profiles(r->cluster), *p;
	struct txn *t;

	HASH_FIND_STR(profiles, name, p);
	if (!p || !p->installed)
		return;
	t = txn_new();
	program_add_profile(t, p, &r->epoch);
	program_fill_profile(t, p, &r->epoch);
	want(inv, t, &verify_of_program);
}

void verify_want_static_part(struct inventory *inv, bool bridges)
{
	struct txn *t = txn_new();

	ruleset_put(t, TABLE_INET);
	if (bridges)
		bridge_put_table(t);
	want(inv, t, &verify_of_static_part);
}

void verify_want_surroundings(struct reconcile *r, struct inventory *inv)
{
	struct txn *t = txn_new();

	surroundings_put(t, r->cluster);
	want(inv, t, &verify_of_surroundings);
	t = txn_new();
	if (r->net.stands)
		net_put(&r->net, t, &r->epoch);
	want(inv, t, &verify_of_surroundings);
}

void verify_want_known(struct reconcile *r, struct inventory *inv)
{
	struct txn *t = txn_new();

	surroundings_put_known(&r->surroundings, t);
	want(inv, t, &verify_of_program);
}

void verify_want_closing(struct inventory *inv)
{
	podstore_each_closing(want_port, NULL, inv, NULL);
}

struct local_pod *verify_pod(struct reconcile *r, const char *key)
{
	struct local_pod *pods = cluster_local_pods(r->cluster), *pod;

	HASH_FIND_STR(pods, key, pod);
	return pod;
}

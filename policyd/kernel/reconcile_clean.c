/* SPDX-License-Identifier: Apache-2.0 */
/* The third transaction: what nobody uses any more, of this epoch and of others. Theory: reconcile.c. */
#include <string.h>

#include "moat/dump.h"
#include "moat/log.h"
#include "moat/pod.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "policyd/kernel/reconcile_internal.h"

static void clean_profiles(struct reconcile *r, struct txn *t)
{
	struct profile_list unused;

	cluster_take_unused_profiles(r->cluster, &unused);
	for (size_t i = 0; i < unused.n; i++) {
		if (unused.v[i]->installed)
			program_delete_profile(t, unused.v[i], &r->epoch);
		cluster_forget_profile(r->cluster, unused.v[i]);
	}
	free(unused.v);
}

static void clean_groups(struct reconcile *r, struct txn *t)
{
	struct group_list unused;

	cluster_take_unused_groups(r->cluster, &unused);
	for (size_t i = 0; i < unused.n; i++) {
		struct group *g = unused.v[i];

		for (unsigned v = 0; g->installed && v < PROGRAM_VARIANTS; v++)
			if (g->chains & 1u << v)
				program_delete_group_chain(t, g, v, &r->epoch);
		if (g->installed)
			program_delete_group_sets(t, g, &r->epoch);
		cluster_forget_group(r->cluster, g);
	}
	free(unused.v);
}

int reconcile_clean(struct reconcile *r, struct err *err)
{
	struct txn *t = txn_new();

	clean_profiles(r, t);
	clean_groups(r, t);
	net_clean(&r->net, t, &r->epoch);
	return reconcile_commit(r, t, err);
}

struct names {
	struct reconcile *r;
	VEC(char *) old;
};

static void collect_old(const char *name, void *arg)
{
	struct names *names = arg;
	bool current;

	if (program_owns_name(name, &names->r->epoch, &current) && !current)
		VEC_PUSH(&names->old, mem_strdup(name));
}

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->old.n; i++)
		free(names->old.v[i]);
	VEC_DONE(&names->old);
}

/* What other epochs left: chains are emptied first, then maps (they refer to chains), chains and sets go. */
static int delete_old_epochs(struct reconcile *r, struct err *err)
{
	struct names chains = {.r = r}, sets = {.r = r};
	struct txn *t = txn_new();
	int code = dump_chains(&r->nl, collect_old, &chains);

	if (code == 0)
		code = dump_sets(&r->nl, collect_old, &sets);
	if (code < 0) {
		txn_free(t);
		code = err_errno(err, -code, "list what stands in table inet moat");
	} else {
		for (size_t i = 0; i < chains.old.n; i++)
			txn_flush_chain(t, chains.old.v[i]);
		for (int maps = 1; maps >= 0; maps--) {
			for (size_t i = 0; i < sets.old.n; i++)
				if ((sets.old.v[i][0] == 'm') == maps)
					txn_delete_set(t, sets.old.v[i]);
			for (size_t i = 0; maps && i < chains.old.n; i++)
				txn_delete_chain(t, chains.old.v[i]);
		}
		code = reconcile_commit(r, t, err);
	}
	names_done(&chains);
	names_done(&sets);
	return code;
}

static void collect_stray(const char *name, void *arg)
{
	struct names *names = arg;

	if ((name[0] != 'i' && name[0] != 'e') || name[1] != '-')
		return;
	for (struct local_pod *pod = cluster_local_pods(names->r->cluster); pod; pod = pod->hh.next)
		if (pod_owns_chain(pod->attachment, name))
			return;
	VEC_PUSH(&names->old, mem_strdup(name));
}

/* Chains of pods that the store has forgotten still go to what a former daemon made: they are closed, and so let go of it. */
static int close_strays(struct reconcile *r, struct err *err)
{
	struct names strays = {.r = r};
	struct txn *t = txn_new();
	int code = dump_chains(&r->nl, collect_stray, &strays);

	for (size_t i = 0; i < strays.old.n; i++) {
		txn_flush_chain(t, strays.old.v[i]);
		rule_begin(t, strays.old.v[i]);
		rule_counter(t);
		rule_goto(t, pod_closed_target(MODE_STRICT, strays.old.v[i][0] == 'i' ? INGRESS : EGRESS));
		rule_end(t);
	}
	if (strays.old.n)
		log_warn("strays-closed chains=%zu reason=\"no attachment in the pod store has them\"", strays.old.n);
	names_done(&strays);
	if (code < 0) {
		txn_free(t);
		return err_errno(err, -code, "list what stands in table inet moat");
	}
	return reconcile_commit(r, t, err);
}

int reconcile_clean_old_epochs(struct reconcile *r, struct err *err)
{
	int code = delete_old_epochs(r, err);

	if (code == -EBUSY && close_strays(r, err) == 0)
		code = delete_old_epochs(r, err);
	if (code != -EBUSY)
		return code;
	/* a pod that waits for its policy still goes to the old epoch: nobody else has to suffer for it, and the next rebuild cleans */
	log_warn("former-program-left error=\"%s\"", err->text);
	return 0;
}

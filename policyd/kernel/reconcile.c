/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of reconciliation
 *
 * A transaction of nf_tables is atomic for rules, but not for lookups in sets that it creates or edits (measured: 2,087
 * of 870,000 allowed packets lost when one transaction made an interval map, swapped to it and deleted the old one; none
 * with three). So every change goes in three:
 *
 *	prepare   sets and maps of new groups and profiles, which no rule uses yet, and their chains, empty; members that come
 *	          and go in hash sets (one element each)
 *	swap      rules only: those of the new chains, and each changed pod's chains go to their new targets, all pods in one
 *	          transaction
 *	clean     what nobody uses any more
 *
 * After the swap, connections that the new policy denies are revoked (revoke.c).
 *
 * Every pod is in one of two states in the kernel: as the plugin put it (closed), or as an earlier swap left it. A swap names
 * the chains of the very attachment; if that is gone meanwhile the kernel refuses the batch, and the pod store is read again.
 *
 * Start, and whatever goes wrong: a new epoch (program.h). The static part is proved and if need be rewritten, all groups
 * and profiles are made under new names, all pods swapped to them, and then everything of other epochs is deleted. Until that
 * swap, what stood before stands: a daemon that starts, crashes or loses its source changes nothing.
 */
#include "policyd/kernel/reconcile.h"

#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "moat/clock.h"
#include "moat/log.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/proof.h"
#include "moat/ruleset.h"
#include "policyd/kernel/reconcile_internal.h"

int reconcile_init(struct reconcile *r, struct cluster *cluster, struct err *err)
{
	int code;

	memset(r, 0, sizeof(*r));
	r->cluster = cluster;
	r->nl.fd = r->revoke.conntrack.finder.fd = r->revoke.conntrack.deleter.fd = -1;
	code = nl_open(&r->nl, NETLINK_NETFILTER, err);
	return code < 0 ? code : revoke_init(&r->revoke, cluster, &r->nl, err);
}

static void forget_pending(struct reconcile *r)
{
	for (size_t i = 0; i < r->pending.n; i++)
		free(r->pending.v[i]);
	r->pending.n = 0;
}

void reconcile_note_pending(struct reconcile *r, const struct local_pod *pod)
{
	for (size_t i = 0; i < r->pending.n; i++)
		if (!strcmp(r->pending.v[i], pod->key))
			return;
	VEC_PUSH(&r->pending, mem_strdup(pod->key));
}

void reconcile_done(struct reconcile *r)
{
	forget_pending(r);
	VEC_DONE(&r->pending);
	for (size_t i = 0; i < r->suspects.n; i++)
		free(r->suspects.v[i].key);
	VEC_DONE(&r->suspects);
	surroundings_forget(&r->surroundings, r->cluster);
	net_done(&r->net);
	revoke_done(&r->revoke);
	nl_close(&r->nl);
}

void reconcile_distrust(struct reconcile *r)
{
	r->built = false;
}

int reconcile_commit_locked(struct reconcile *r, struct txn *t, struct err *err)
{
	int code = txn_is_empty(t) ? txn_commit(t, &r->nl, err) : proof_commit(t, &r->nl, err);

	txn_free(t);
	return code;
}

int reconcile_commit(struct reconcile *r, struct txn *t, struct err *err)
{
	CLEAN_CLOSE int lock = txn_is_empty(t) ? -1 : podstore_lock(RECONCILE_LOCK_WAIT_MS, NULL);

	return reconcile_commit_locked(r, t, err);
}

/* Connections that it opened are its egress, and those that it answers its ingress. */
static void note(struct reconcile *r, const struct local_pod *pod, enum direction d)
{
	for (size_t i = 0; i < pod->attachment->n_addrs; i++)
		revoke_note(&r->revoke, &pod->attachment->addrs[i], d == EGRESS ? CONNTRACK_SOURCE : CONNTRACK_REPLY_SOURCE);
}

void reconcile_note_exposed(struct reconcile *r, const struct local_pod *pod)
{
	note(r, pod, INGRESS);
	note(r, pod, EGRESS);
	r->exposed = true;
}

static bool is_pending(const struct reconcile *r, const struct local_pod *pod)
{
	for (size_t i = 0; i < r->pending.n; i++)
		if (!strcmp(r->pending.v[i], pod->key))
			return true;
	return false;
}

static void note_pod(struct reconcile *r, struct local_pod *pod)
{
	pod->spared = false;
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		if (pod->lost[d])
			note(r, pod, (enum direction)d);
		pod->lost[d] = false;
	}
}

static void note_pods(struct reconcile *r, const struct local_pod_list *pods)
{
	for (size_t i = 0; i < pods->n; i++)
		if (!is_pending(r, pods->v[i]))
			note_pod(r, pods->v[i]);
}

static void new_epoch(struct reconcile *r)
{
	uint64_t now = clock_realtime_ns() / 1000000;

	if ((now & 0xffffffff) == strtoull(r->epoch.name, NULL, 16)) /* twice in a millisecond: what the first one left is in the way */
		now++;
	snprintf(r->epoch.name, sizeof(r->epoch.name), "%08llx", (unsigned long long)now & 0xffffffff);
	r->epoch.numbers = 0;
	for (int f = 0; f < 2; f++)
		r->epoch.family[f] = cluster_has_family(r->cluster, f);
	surroundings_forget(&r->surroundings, r->cluster);
	net_forget(&r->net);
	for (struct group *g = cluster_groups(r->cluster); g; g = g->hh.next)
		g->installed = false;
	for (struct profile *p = cluster_profiles(r->cluster); p; p = p->hh.next)
		p->installed = false;
}

static void all_pods(struct reconcile *r, struct local_pod_list *ret)
{
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next) {
		pod->node_known = false;
		/* whatever stands there; but what an adopted pod had open before moat came is not what moat let through */
		if (!pod->spared && pod->attachment->adoption != ADOPTION_HELD)
			pod->lost[INGRESS] = pod->lost[EGRESS] = true;
		VEC_PUSH(ret, pod);
	}
}

static int apply(struct reconcile *r, const struct local_pod_list *pods, struct err *err)
{
	struct unfilled unfilled = {0};
	int code = reconcile_prepare(r, pods, &unfilled, err);

	if (code == 0)
		code = reconcile_swap(r, pods, &unfilled, err);
	unfilled_done(&unfilled);
	if (code == 0) {
		r->stats.last_us = clock_monotonic_us() - r->started_us;
		if (r->guarded_us < r->started_us) /* else every pod has been closed before */
			r->guarded_us = clock_monotonic_us();
		note_pods(r, pods);
		revoke_run(&r->revoke);
		r->exposed = false;
		code = reconcile_clean(r, err);
	}
	return code;
}

/* What changed, and what an earlier run could not finish. */
static void compile(struct reconcile *r, struct local_pod_list *ret)
{
	size_t n;

	cluster_compile(r->cluster, ret);
	n = ret->n;
	for (size_t i = 0; i < r->pending.n; i++) {
		struct local_pod *pod;
		bool listed = false;

		HASH_FIND_STR(cluster_local_pods(r->cluster), r->pending.v[i], pod);
		for (size_t j = 0; pod && j < n; j++)
			listed |= ret->v[j] == pod;
		if (pod && !listed)
			VEC_PUSH(ret, pod);
	}
	forget_pending(r);
}

/* No pod had an address of a family when this epoch began, so that no group has a set for it. */
static bool has_new_family(const struct reconcile *r)
{
	for (int f = 0; f < 2; f++)
		if (cluster_has_family(r->cluster, f) && !r->epoch.family[f])
			return true;
	return false;
}

static int apply_changes(struct reconcile *r, struct err *err)
{
	struct local_pod_list changed = {0};
	int code;

	compile(r, &changed);
	if (has_new_family(r))
		code = err_set(err, EAFNOSUPPORT, "the first pod has an address of its family");
	else
		code = apply(r, &changed, err);
	free(changed.v);
	return code;
}

static int rebuild(struct reconcile *r, struct err *err)
{
	struct local_pod_list all = {0};
	int code;

	r->stats.rebuilds++;
	r->refresh(r->refresh_arg); /* it puts pods: nobody may be among them whom DEL has withdrawn */
	compile(r, &all);
	new_epoch(r);
	all.n = 0;
	all_pods(r, &all);
	code = reconcile_guard(r, err);
	if (code == 0)
		code = apply(r, &all, err);
	if (code == 0)
		code = reconcile_clean_old_epochs(r, err);
	free(all.v);
	return code;
}

int reconcile_run(struct reconcile *r, struct err *err)
{
	int code = 0;

	r->started_us = clock_monotonic_us();
	if (r->built) {
		code = apply_changes(r, err);
		if (code == -EAFNOSUPPORT)
			log_info("rebuild reason=\"%s\"", err->text);
		else if (code < 0) /* what stands is not what the model believes: once more, from the start */
			log_warn("rebuild reason=\"%s\"", err->text);
	}
	if (!r->built || code < 0)
		code = rebuild(r, err);
	r->built = code == 0;
	r->stats.runs++;
	r->stats.failures += code < 0;
	if (r->stats.last_us > r->stats.max_us)
		r->stats.max_us = r->stats.last_us;
	return code;
}

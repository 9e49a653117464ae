/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of reconciliation
 *
 * A transaction of nf_tables is atomic for rules, but not for lookups in sets that it creates or edits (measured: 2,087
 * of 870,000 allowed packets lost when one transaction made an interval map, swapped to it and deleted the old one; none
 * with three). So every change goes in three:
 *
 *	prepare   new groups and profiles, which no rule uses yet; members that come and go in hash sets (one element each)
 *	swap      rules only: each changed pod's chains go to their new targets, all pods in one transaction
 *	clean     what nobody uses any more
 *
 * Between swap and clean, connections that the new policy denies are revoked.
 *
 * Every pod is in one of two states in the kernel: as the plugin put it (closed), or as an earlier swap left it. A swap names
 * the chains of the very attachment; if that is gone meanwhile the kernel refuses the batch, and the pod store is read again.
 *
 * Start, and whatever goes wrong: a new epoch (program.h). The static part is proved and if need be rewritten, all groups
 * and profiles are made under new names, all pods swapped to them, and then everything of other epochs is deleted. Until that
 * swap, what stood before stands: a daemon that starts, crashes or loses its source changes nothing.
 */
#include "policyd/reconcile.h"

#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "moat/log.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "policyd/reconcile_internal.h"

#define LOCK_WAIT_MS 50 /* plugins hold the lock for some milliseconds; batches are right without it too */

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void forget_group_chains(struct reconcile *r)
{
	struct group_chains *gc, *next;

	HASH_ITER(hh, r->group_chains, gc, next) {
		HASH_DEL(r->group_chains, gc);
		free(gc);
	}
}

int reconcile_init(struct reconcile *r, struct cluster *cluster, struct err *err)
{
	memset(r, 0, sizeof(*r));
	r->cluster = cluster;
	return nl_open(&r->nl, NETLINK_NETFILTER, err);
}

static void forget_pending(struct reconcile *r)
{
	for (size_t i = 0; i < r->pending.n; i++)
		free(r->pending.v[i]);
	r->pending.n = 0;
}

static void note_pending(struct reconcile *r, const struct local_pod *pod)
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
	forget_group_chains(r);
	surroundings_forget(&r->surroundings);
	revoke_done(&r->revoke);
	nl_close_detached(&r->nl);
}

void reconcile_distrust(struct reconcile *r)
{
	r->built = false;
}

void reconcile_distrust_chain(struct reconcile *r, const char *chain)
{
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next) {
		for (size_t i = 0; i < pod->attachment->n_addrs * DIRECTION_COUNT; i++) {
			enum direction d = (enum direction)(i % DIRECTION_COUNT);
			char own[CHAIN_NAME_MAX];

			if (!strcmp(chain, pod_chain_name(d, pod->attachment, &pod->attachment->addrs[i / DIRECTION_COUNT], own)))
				note_pending(r, pod);
		}
	}
}

int reconcile_commit(struct reconcile *r, struct txn *t, struct err *err)
{
	CLEAN_CLOSE int lock = podstore_lock(LOCK_WAIT_MS, NULL);
	int code = txn_commit(t, &r->nl, err);

	txn_free(t);
	return code;
}

static void prepare_group(struct reconcile *r, struct txn *t, struct group *g, int variant)
{
	struct group_chains *gc;

	if (!g->installed) {
		program_add_group(t, g, r->epoch);
		group_changes_clear(g);
		g->installed = true;
	}
	if (variant < 0)
		return;
	HASH_FIND_PTR(r->group_chains, &g, gc);
	if (!gc) {
		gc = mem_zalloc(sizeof(*gc));
		gc->group = g;
		HASH_ADD_PTR(r->group_chains, group, gc);
	}
	if (!gc->variant[variant]) {
		program_add_group_chain(t, g, (unsigned)variant, r->epoch);
		gc->variant[variant] = true;
	}
}

static void prepare_profile(struct reconcile *r, struct txn *t, struct profile *p)
{
	if (p->installed || !program_needs_chain(p))
		return;
	for (size_t i = 0; i < p->entries.n; i++)
		if (p->entries.v[i].group)
			prepare_group(r, t, p->entries.v[i].group, (int)program_variant(p));
	if (p->portless)
		prepare_group(r, t, p->portless, (int)program_variant(p));
	if (p->endpoints)
		prepare_group(r, t, p->endpoints, -1);
	program_add_profile(t, p, r->epoch);
	p->installed = true;
}

/* Members that came and went; who left some group may have lost something. */
static void prepare_members(struct reconcile *r, struct txn *t)
{
	struct group_list changed = {0};

	cluster_take_changed_groups(r->cluster, &changed);
	for (size_t i = 0; i < changed.n; i++) {
		struct group *g = changed.v[i];

		for (size_t j = 0; g->installed && j < g->changes.n; j++) {
			program_change_member(t, g, r->epoch, &g->changes.v[j]);
			if (g == r->surroundings.every_pod)
				surroundings_change_known(t, &g->changes.v[j]);
			if (!g->changes.v[j].added)
				revoke_note(&r->revoke, &g->changes.v[j].member.addr);
		}
		group_changes_clear(g);
	}
	free(changed.v);
}

/* A pod that may no longer reach its node loses that before the swap, one that may gets it with the swap. */
static void node_open(struct txn *t, const struct local_pod *pod, bool open)
{
	struct key key = key_of_port(pod->attachment->port);

	if (pod->node_open != open)
		return;
	if (open)
		txn_add_element(t, &set_node_open, key, NULL);
	else
		txn_discard_element(t, &set_node_open, key, NULL);
}

static int prepare(struct reconcile *r, const struct local_pod_list *pods, struct err *err)
{
	struct txn *t = txn_new();

	txn_allow_parts(t, &r->nl);
	prepare_members(r, t);
	surroundings_prepare(&r->surroundings, t, r->cluster, &r->nl);
	for (size_t i = 0; i < pods->n; i++) {
		if (surroundings_want_known(&r->surroundings, t, r->cluster, pods->v[i]))
			prepare_group(r, t, r->surroundings.every_pod, -1);
		for (int d = 0; d < DIRECTION_COUNT; d++)
			prepare_profile(r, t, pods->v[i]->profile[d]);
		node_open(t, pods->v[i], false);
	}
	return reconcile_commit(r, t, err);
}

static void targets_of(const struct reconcile *r, const struct local_pod *pod, char buf[][CHAIN_NAME_MAX],
		       const char *target[DIRECTION_COUNT])
{
	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = program_target(pod->profile[d], r->epoch, buf[d]);
}

static void swap_pod(const struct reconcile *r, struct txn *t, const struct local_pod *pod)
{
	char buf[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *target[DIRECTION_COUNT];

	targets_of(r, pod, buf, target);
	for (int d = 0; d < DIRECTION_COUNT; d++)
		pod_put_target(t, pod->attachment, (enum direction)d, target[d]);
	node_open(t, pod, true); /* together with chains of this very attachment: never for a port that was released */
}

/* A plugin that has written its state file sends its batch within this time, or was killed: milliseconds. */
#define BATCH_FOLLOWS_MS 2000

static bool is_young(const struct attachment *a)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec < a->created + BATCH_FOLLOWS_MS * 1000000ull;
}

/*
 * The kernel does not have this pod's chains. A young one's plugin is about to put them, and announces it: wait. If the store still has
 * an older attachment they were lost (a plugin killed before its batch, a flush): put them whole. Else it was withdrawn,
 * and the model will hear of it.
 */
static int put_lost_pod(struct reconcile *r, const struct local_pod *pod, struct err *err)
{
	char buf[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *target[DIRECTION_COUNT];
	struct attachment *stored = NULL;
	struct err gone;
	int code;

	if (is_young(pod->attachment)) {
		note_pending(r, pod);
		return 0;
	}
	code = podstore_get(pod->key, &stored, &gone);
	bool ours = code == 0 && !stored->closing && stored->created == pod->attachment->created;

	attachment_free(stored);
	if (!ours)
		return 0;
	struct txn *t = txn_new();
	targets_of(r, pod, buf, target);
	pod_put(t, pod->attachment, target);
	node_open(t, pod, true);
	return reconcile_commit(r, t, err);
}

/* The kernel has something else than the store says: this pod's trouble, not everybody's. */
static bool is_of_one_pod(int code)
{
	return code == -ENOENT || code == -EBUSY || code == -EEXIST;
}

static int swap_one_by_one(struct reconcile *r, const struct local_pod_list *pods, struct err *err)
{
	int result = 0;

	for (size_t i = 0; i < pods->n; i++) {
		struct txn *t = txn_new();
		int code;

		swap_pod(r, t, pods->v[i]);
		code = reconcile_commit(r, t, err);
		if (code == -ENOENT)
			code = put_lost_pod(r, pods->v[i], err);
		if (code < 0)
			log_warn("pod-not-updated attachment=%s error=\"%s\"", TEXT(pods->v[i]->key), err->text);
		if (is_of_one_pod(code))
			note_pending(r, pods->v[i]);
		else if (code < 0)
			result = code;
	}
	return result;
}

static int swap(struct reconcile *r, const struct local_pod_list *pods, struct err *err)
{
	struct txn *t = txn_new();
	int code;

	for (size_t i = 0; i < pods->n; i++)
		swap_pod(r, t, pods->v[i]);
	code = reconcile_commit(r, t, err);
	if (code == -ENOENT)
		code = swap_one_by_one(r, pods, err);
	return code;
}

static void note_pods(struct reconcile *r, const struct local_pod_list *pods)
{
	for (size_t i = 0; i < pods->n; i++)
		for (size_t j = 0; j < pods->v[i]->attachment->n_addrs; j++)
			revoke_note(&r->revoke, &pods->v[i]->attachment->addrs[j]);
}

static void new_epoch(struct reconcile *r)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	snprintf(r->epoch, sizeof(r->epoch), "%08llx",
		 (unsigned long long)((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000) & 0xffffffff);
	forget_group_chains(r);
	surroundings_forget(&r->surroundings);
	for (struct group *g = cluster_groups(r->cluster); g; g = g->hh.next)
		g->installed = false;
	for (struct profile *p = cluster_profiles(r->cluster); p; p = p->hh.next)
		p->installed = false;
}

/* The static part stands, and every pod is at least closed. */
static int ensure_static(struct reconcile *r, const struct local_pod_list *all, struct err *err)
{
	struct err damage;
	struct txn *t;

	if (ruleset_prove(&r->nl, &damage) == 0)
		return 0;
	log_warn("ruleset-rewritten reason=\"%s\"", damage.text);
	t = txn_new();
	ruleset_put(t);
	for (size_t i = 0; i < all->n; i++) {
		const char *target[DIRECTION_COUNT];

		for (int d = 0; d < DIRECTION_COUNT; d++)
			target[d] = pod_closed_target(all->v[i]->mode, (enum direction)d);
		pod_put(t, all->v[i]->attachment, target);
	}
	return reconcile_commit(r, t, err);
}

static void all_pods(struct reconcile *r, struct local_pod_list *ret)
{
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		VEC_PUSH(ret, pod);
}

static int apply(struct reconcile *r, const struct local_pod_list *pods, struct err *err)
{
	int code = prepare(r, pods, err);

	if (code == 0)
		code = swap(r, pods, err);
	if (code == 0) {
		struct err sweep;
		size_t deleted = 0;

		r->stats.last_us = now_us() - r->started_us;
		note_pods(r, pods);
		if (revoke_sweep(&r->revoke, false, false, r->cluster, &r->nl, &deleted, &sweep) < 0)
			log_warn("revocation-failed error=\"%s\"", sweep.text);
		r->stats.revoked += deleted;
		code = reconcile_clean(r, err);
	}
	return code;
}

static int rebuild(struct reconcile *r, struct err *err)
{
	struct local_pod_list all = {0};
	int code;

	r->stats.rebuilds++;
	new_epoch(r);
	all_pods(r, &all);
	code = ensure_static(r, &all, err);
	if (code == 0)
		code = apply(r, &all, err);
	if (code == 0)
		code = reconcile_clean_old_epochs(r, err);
	free(all.v);
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

int reconcile_run(struct reconcile *r, struct err *err)
{
	struct local_pod_list changed = {0};
	int code;

	r->started_us = now_us();
	compile(r, &changed);
	if (r->built)
		code = apply(r, &changed, err);
	else
		code = rebuild(r, err);
	if (code < 0 && r->built) { /* what stands is not what the model believes: once more, from the start */
		log_warn("rebuild reason=\"%s\"", err->text);
		r->refresh(r->refresh_arg);
		free(changed.v);
		changed = (struct local_pod_list){0};
		compile(r, &changed);
		code = rebuild(r, err);
	}
	free(changed.v);
	r->built = code == 0;
	r->stats.runs++;
	r->stats.failures += code < 0;
	if (r->stats.last_us > r->stats.max_us)
		r->stats.max_us = r->stats.last_us;
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The second transaction: pods' chains go to their new targets; and pods whose chains the kernel has not. Theory: reconcile.c. */
#include <string.h>

#include "moat/clock.h"
#include "moat/log.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "policyd/kernel/reconcile_internal.h"

void reconcile_node_open(struct txn *t, struct local_pod *pod, bool open)
{
	if (pod->node_open != open || (!open && pod->node_known))
		return;
	pod_open_node(t, pod->attachment, open);
	pod->node_known = !open;
}

static void targets_of(const struct reconcile *r, const struct local_pod *pod, char buf[][CHAIN_NAME_MAX],
		       const char *target[DIRECTION_COUNT])
{
	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = program_target(pod->profile[d], &r->epoch, buf[d]);
}

static void swap_pod(const struct reconcile *r, struct txn *t, struct local_pod *pod)
{
	char buf[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *target[DIRECTION_COUNT];

	targets_of(r, pod, buf, target);
	for (int d = 0; d < DIRECTION_COUNT; d++)
		pod_put_target(t, pod->attachment, (enum direction)d, target[d]);
	reconcile_node_open(t, pod, true); /* together with chains of this very attachment: never for one that was withdrawn */
}

/* A plugin that has written its state file sends its batch within this time, or was killed: milliseconds. */
#define BATCH_FOLLOWS_MS 2000

static bool is_young(const struct attachment *a)
{
	uint64_t now = clock_realtime_ns();

	/* one of the future is of before somebody set the clock back */
	return (now > a->created ? now - a->created : a->created - now) < BATCH_FOLLOWS_MS * 1000000ull;
}

bool reconcile_was_withdrawn(const struct local_pod *pod, int *ret_code)
{
	struct attachment *stored = NULL;
	struct err unused;
	bool withdrawn;

	*ret_code = podstore_get(pod->key, &stored, &unused);
	withdrawn = *ret_code == 0 && (stored->closing || stored->created != pod->attachment->created);
	attachment_free(stored);
	return withdrawn;
}

/*
 * The kernel does not have this pod's chains. A young one's plugin is about to put them, and announces it: wait. If the store still has
 * an older attachment they were lost (a plugin killed before its batch, a flush): put them whole. Else it was withdrawn,
 * and the model will hear of it.
 */
static int put_lost_pod(struct reconcile *r, struct local_pod *pod, struct err *err)
{
	char buf[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *target[DIRECTION_COUNT];
	CLEAN_CLOSE int lock = -1;
	struct txn *t;
	int code;

	/* A DEL holds the lock from its batch to its state file: without the lock nobody knows what is withdrawn and what is lost. */
	if (is_young(pod->attachment) || (lock = podstore_lock(RECONCILE_LOCK_WAIT_MS, NULL)) < 0) {
		reconcile_note_pending(r, pod);
		return 0;
	}
	if (reconcile_was_withdrawn(pod, &code) || code < 0)
		return 0;
	t = txn_new();
	targets_of(r, pod, buf, target);
	pod_put_chains(t, pod->attachment, target);
	code = reconcile_commit_locked(r, t, err);
	if (code < 0)
		return code;
	t = txn_new();
	pod_put_elements(t, pod->attachment);
	reconcile_node_open(t, pod, true);
	return reconcile_commit_locked(r, t, err);
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
			reconcile_note_pending(r, pods->v[i]);
		else if (code < 0)
			result = code;
	}
	return result;
}

int reconcile_swap(struct reconcile *r, const struct local_pod_list *pods, const struct unfilled *u, struct err *err)
{
	struct txn *t = txn_new();
	int code;

	reconcile_fill(r, t, u);
	for (size_t i = 0; i < pods->n; i++)
		swap_pod(r, t, pods->v[i]);
	code = reconcile_commit(r, t, err);
	if (code != -ENOENT)
		return code;
	t = txn_new();
	reconcile_fill(r, t, u);
	code = reconcile_commit(r, t, err);
	return code < 0 ? code : swap_one_by_one(r, pods, err);
}

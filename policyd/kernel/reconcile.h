/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel follows the model. reconcile.c has the theory. */
#ifndef POLICYD_RECONCILE_H
#define POLICYD_RECONCILE_H

#include "moat/nl.h"
#include "policyd/model/compile.h"
#include "policyd/kernel/net.h"
#include "policyd/kernel/program.h"
#include "policyd/kernel/revoke.h"
#include "policyd/kernel/surroundings.h"

struct reconcile_stats {
	uint64_t runs, rebuilds, failures; /* since start */
	uint64_t last_us, max_us;          /* from the model to the committed swap, microseconds */
};

struct suspect_pod {
	char *key;
	bool restored;
};

struct reconcile {
	struct cluster *cluster; /* not owned */
	struct nl nl;
	struct epoch epoch;
	bool built; /* the kernel holds this epoch's program */
	bool static_changed; /* somebody edited a set of the static part, which ruleset_prove does not look at */
	bool fixed_sets_changed; /* one of those that nobody edits: it is emptied first */
	bool pods_unsure;    /* chains or elements of pods may be missing */
	bool exposed;        /* pods were open until they were put again: what was connected meanwhile is for the next run to revoke */
	bool pods_unlocked;  /* pods were put without the lock: one of them may have been withdrawn meanwhile */
	struct revoke revoke;
	struct surroundings surroundings;
	struct net_below net;
	struct pending_pods {
		char **v; /* keys of pods whose chains the kernel did not have, or lost: tried again by each run */
		size_t n, cap;
	} pending;
	VEC(struct suspect_pod) suspects; /* whose chains or elements somebody changed: for reconcile_restore */
	struct reconcile_stats stats;
	uint64_t started_us; /* of the run under way */
	uint64_t guarded_us; /* of the last commit after which nothing was open that should not be, CLOCK_MONOTONIC */
	/* Rereads the pod store into the cluster: somebody may have withdrawn what the model still has, or put what it has not. */
	bool (*refresh)(void *arg); /* true if the cluster changed */
	void *refresh_arg;
};

int reconcile_init(struct reconcile *r, struct cluster *cluster, struct err *err);
void reconcile_done(struct reconcile *r); /* leaves the kernel as it is */

/*
 * Brings the kernel from what the last call left to what the model says. The first call, and each after a surprise, builds
 * everything anew beside what stands and swaps it in. On error the kernel holds the policy of before (closed where it was
 * closed); call again later.
 */
int reconcile_run(struct reconcile *r, struct err *err);

/*
 * Somebody changed a chain, or an element with this key of a set of pods': the pod is put whole by reconcile_restore. False: it
 * is no attached pod's.
 */
void reconcile_suspect(struct reconcile *r, const struct local_pod *pod);
bool reconcile_suspect_chain(struct reconcile *r, const char *chain);
bool reconcile_suspect_element(struct reconcile *r, const void *key, size_t len);
void reconcile_suspect_all(struct reconcile *r);

/*
 * Puts suspect pods whole that are not restored yet, if the pod store still has them. False: another writer holds the lock; ask
 * again soon. If it holds it for too long (lock_is_stuck), they are put closed, and it is false all the same.
 */
bool reconcile_restore(struct reconcile *r, bool lock_is_stuck);
/* What is restored is suspect no more: the change that made it so has been heard to its end. */
void reconcile_forget_restored(struct reconcile *r);

/* The static part is gone or damaged: it is put, and nothing passes a pod's port that the rest does not let through. */
int reconcile_bar(struct reconcile *r, struct err *err);

/* Is any attachment, closing ones too, a port of a bridge? Then table bridge moat must stand. */
bool reconcile_has_bridges(struct reconcile *r);

/* The static part stands and every pod is at least closed, whether or not a source is synced. */
int reconcile_guard(struct reconcile *r, struct err *err);

bool reconcile_has_addr(const struct reconcile *r, const struct addr *addr); /* is it an attached pod's? */

/* The next reconcile_run builds everything anew: a stranger was at the table. */
void reconcile_distrust(struct reconcile *r);

#endif

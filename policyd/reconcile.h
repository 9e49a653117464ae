/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel follows the model. reconcile.c has the theory. */
#ifndef POLICYD_RECONCILE_H
#define POLICYD_RECONCILE_H

#include "moat/nl.h"
#include "policyd/compile.h"
#include "policyd/program.h"
#include "policyd/revoke.h"
#include "policyd/surroundings.h"

struct reconcile_stats {
	uint64_t runs, rebuilds, failures; /* since start */
	uint64_t last_us, max_us;          /* from the model to the committed swap, microseconds */
	uint64_t revoked;                  /* conntrack entries deleted */
};

struct reconcile {
	struct cluster *cluster; /* not owned */
	struct nl nl;
	char epoch[EPOCH_MAX];
	bool built; /* the kernel holds this epoch's program */
	struct group_chains *group_chains;
	struct revoke revoke;
	struct surroundings surroundings;
	struct pending_pods {
		char **v; /* keys of pods whose chains the kernel did not have, or lost: tried again by each run */
		size_t n, cap;
	} pending;
	struct reconcile_stats stats;
	uint64_t started_us; /* of the run under way */
	/* Rereads the pod store into the cluster, before everything is built anew: somebody may have withdrawn what the model still has. */
	void (*refresh)(void *arg);
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

/* A stranger emptied this pod chain: the next reconcile_run puts its rule again. Chains of nobody's are ignored. */
void reconcile_distrust_chain(struct reconcile *r, const char *chain);

/* The next reconcile_run builds everything anew: a stranger was at the table. */
void reconcile_distrust(struct reconcile *r);

#endif

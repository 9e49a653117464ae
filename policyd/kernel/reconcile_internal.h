/* SPDX-License-Identifier: Apache-2.0 */
/* What reconcile.c and reconcile_clean.c share. */
#ifndef POLICYD_RECONCILE_INTERNAL_H
#define POLICYD_RECONCILE_INTERNAL_H

#include "policyd/kernel/reconcile.h"
#include "policyd/kernel/tamper.h"

/* Chains that the first transaction has made empty, and that the swap fills. */
struct unfilled_chain {
	struct group *group;
	unsigned variant;
};
struct unfilled {
	VEC(struct unfilled_chain) chains;
	VEC(struct profile *) profiles;
};
void unfilled_done(struct unfilled *u);

/* Commits and frees one transaction, under the lock that all of moat's writers share: held for the send only. */
int reconcile_commit(struct reconcile *r, struct txn *t, struct err *err);

/* The same for a caller that holds the lock. */
int reconcile_commit_locked(struct reconcile *r, struct txn *t, struct err *err);
#define RECONCILE_LOCK_WAIT_MS 50 /* plugins hold the lock for some milliseconds; batches are right without it too */

/* This pod is tried again by the next run. */
void reconcile_note_pending(struct reconcile *r, const struct local_pod *pod);

/* The pod was open, or may have been. */
void reconcile_note_exposed(struct reconcile *r, const struct local_pod *pod);

int reconcile_prepare(struct reconcile *r, const struct local_pod_list *pods, struct unfilled *u, struct err *err);
/* Queues the rules of those chains; may send the first of them in parts. */
void reconcile_fill(struct reconcile *r, struct txn *t, const struct unfilled *u);

int reconcile_swap(struct reconcile *r, const struct local_pod_list *pods, const struct unfilled *u, struct err *err);
/* A pod that may no longer reach its node loses that before the swap (open false), one that may gets it with the swap (true). */
void reconcile_node_open(struct txn *t, struct local_pod *pod, bool open);
/* Does the pod store say that DEL came, or another ADD? *ret_code: of reading it; one that cannot be read says neither. */
bool reconcile_was_withdrawn(const struct local_pod *pod, int *ret_code);

int reconcile_clean(struct reconcile *r, struct err *err);
/* Deletes what other epochs made; chains of pods that nobody owns are closed first if they stand in the way. */
int reconcile_clean_old_epochs(struct reconcile *r, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What reconcile.c and reconcile_clean.c share. */
#ifndef POLICYD_RECONCILE_INTERNAL_H
#define POLICYD_RECONCILE_INTERNAL_H

#include "policyd/reconcile.h"

/* Which chains of a group there are: one per direction and end that some profile has used. */
struct group_chains {
	struct group *group;
	bool variant[PROGRAM_VARIANTS];
	UT_hash_handle hh;
};

/* Commits and frees one transaction, under the lock that all of moat's writers share: held for the send only. */
int reconcile_commit(struct reconcile *r, struct txn *t, struct err *err);

int reconcile_clean(struct reconcile *r, struct err *err);
/* Deletes what other epochs made; chains of pods that nobody owns are closed first if they stand in the way. */
int reconcile_clean_old_epochs(struct reconcile *r, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that the kernel should have, beside what it has: the whole look, for when somebody's change was not heard of. It changes
 * nothing in the kernel; pods that miss something are suspect (reconcile_restore).
 */
#ifndef POLICYD_VERIFY_H
#define POLICYD_VERIFY_H

#include "moat/inventory.h"
#include "moat/stray.h"
#include "policyd/kernel/reconcile.h"

struct verified {
	bool static_part;  /* to be put by reconcile_bar, */
	bool surroundings; /* by reconcile_run, */
	bool program;      /* by building everything anew, */
	size_t pods;       /* so many were made suspect */
	char what[128];    /* the first thing that differs; "": nothing does */
	struct leftovers left; /* of whomever */
};

/*
 * A survey: the whole look in turns. NULL unless the kernel has this epoch's program and the model has nothing that was not applied.
 * verify.c has the theory.
 */
struct survey;
struct survey *survey_new(struct reconcile *r, struct err *err);
void survey_free(struct survey *s); /* accepts NULL */

/* One turn: asks the model for what it wants, for so long, and for one thing at least. True: that was all. */
bool survey_want(struct survey *s, uint64_t budget_us);

/* Reads the kernel and compares. It looks at nothing but the survey and this socket: a thread may do it. */
void survey_read(struct survey *s, struct nl *nl);

/*
 * What differs. -EAGAIN: something does, but the model changed meanwhile: make another survey, and give it this one as the former
 * (NULL: there is none); it will not say so again. -ENOTSUP: everything was built anew meanwhile.
 */
int survey_judge(struct survey *s, const struct survey *former, struct verified *ret, struct err *err);

/* All of it at once. -ENOTSUP where there is no survey. */
int verify(struct reconcile *r, struct verified *ret, struct err *err);
void verified_done(struct verified *v);

#endif

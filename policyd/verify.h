/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that the kernel should have, beside what it has: the whole look, for when somebody's change was not heard of. It changes
 * nothing in the kernel; pods that miss something are suspect (reconcile_restore).
 */
#ifndef POLICYD_VERIFY_H
#define POLICYD_VERIFY_H

#include "moat/inventory.h"
#include "policyd/reconcile.h"

/* An element of pods' sets that is no known pod's. */
struct stray_element {
	const struct set_spec *set;
	struct key key, value; /* value: of a map to values */
	char chain[CHAIN_NAME_MAX]; /* its verdict goes there; "": none */
};

struct verified {
	bool static_part;  /* to be put by reconcile_bar, */
	bool surroundings; /* by reconcile_run, */
	bool program;      /* by building everything anew, */
	size_t pods;       /* so many were made suspect */
	char what[128];    /* the first thing that differs; "": nothing does */
	VEC(struct stray_element) elements; /* what is left over, of whomever */
	VEC(char *) chains;
};

/* Only while the kernel has this epoch's program and the model has nothing that was not applied. -ENOTSUP otherwise. */
int verify(struct reconcile *r, struct verified *ret, struct err *err);
void verified_done(struct verified *v);

#endif

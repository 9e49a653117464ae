/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with strays (moat/stray.h) here, and what is told of them. */
#ifndef POLICYD_STRAYS_H
#define POLICYD_STRAYS_H

#include "policyd/kernel/verify.h"

struct strays {
	VEC(char *) told; /* a sentence each, of those that stay */
	char what[128];   /* the first element of nobody's that strays_settle took away; "": there was none */
};

/*
 * found: what verify() left over, after the pod store was read again: what known pods have by now is none. Takes what can go, closes
 * what must stay. False: another writer is at work, or the kernel refused something; look again soon.
 */
bool strays_settle(struct strays *s, struct reconcile *r, const struct verified *found);
void strays_done(struct strays *s);

#endif

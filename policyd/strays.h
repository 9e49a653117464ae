/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strays: chains and elements of a pod that no attachment of the pod store has. Its state file was lost, or a DEL came between a
 * look at the store and a commit. While the link is there the pod may still run: it stays closed, and is told. When the link has gone
 * everything goes. strays.c says why that is safe beside a new ADD.
 */
#ifndef POLICYD_STRAYS_H
#define POLICYD_STRAYS_H

#include "policyd/verify.h"

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

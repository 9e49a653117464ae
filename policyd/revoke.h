/* SPDX-License-Identifier: Apache-2.0 */
/* Open connections that the policy no longer allows. revoke.c has the theory. */
#ifndef POLICYD_REVOKE_H
#define POLICYD_REVOKE_H

#include "moat/nl.h"
#include "policyd/compile.h"

/* When to look again after a sweep: see revoke.c. Milliseconds. */
#define REVOKE_SECOND_LOOK_MS 30
#define REVOKE_THIRD_LOOK_MS 1000

struct addr_vec {
	struct addr *v;
	size_t n, cap;
};

struct revoke {
	struct addr_vec fresh;  /* addresses that may have lost something since the last sweep */
	struct addr_vec looked; /* those of the sweeps before, which want another look */
};

void revoke_done(struct revoke *r);
void revoke_note(struct revoke *r, const struct addr *addr); /* this address may have lost something */

/*
 * Deletes the conntrack entries of the noted addresses that the model's profiles deny now. again: look at those of earlier sweeps
 * too; last: and forget them after. nl: a nftables socket. ret_deleted: entries.
 */
int revoke_sweep(struct revoke *r, bool again, bool last, struct cluster *c, struct nl *nl, size_t *ret_deleted, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Open connections that the policy no longer allows. revoke.c has the theory. */
#ifndef POLICYD_REVOKE_H
#define POLICYD_REVOKE_H

#include "moat/conntrack.h"
#include "policyd/compile.h"

/* When to look again after a sweep: see revoke.c. Milliseconds. */
#define REVOKE_SECOND_LOOK_MS 30
#define REVOKE_THIRD_LOOK_MS 1000

struct addr_vec {
	struct addr *v;
	size_t n, cap;
};

struct revoke {
	struct conntrack conntrack; /* its sockets, opened by revoke_init */
	struct addr_vec fresh;  /* addresses that may have lost something since the last sweep */
	struct addr_vec looked; /* those of the sweeps before, which want another look */
	struct addr_vec older;  /* those that have had a last look: a packet may have been held up until just before it */
};

int revoke_init(struct revoke *r, struct err *err);
void revoke_done(struct revoke *r);
void revoke_note(struct revoke *r, const struct addr *addr); /* this address may have lost something */

enum revoke_look {
	REVOKE_FRESH, /* what was noted since the last sweep */
	REVOKE_AGAIN, /* that, and what was looked at before */
	REVOKE_LAST,  /* likewise; what has had a whole REVOKE_THIRD_LOOK_MS since it was noted is forgotten after */
};

/*
 * Deletes the conntrack entries of the noted addresses that the model's profiles deny now. nl: a nftables socket for the
 * `revoked` sets. ret_deleted: entries.
 */
int revoke_sweep(struct revoke *r, enum revoke_look look, struct cluster *c, struct nl *nl, size_t *ret_deleted, struct err *err);

bool revoke_wants_look(const struct revoke *r); /* later */

#endif

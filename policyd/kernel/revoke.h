/* SPDX-License-Identifier: Apache-2.0 */
/* Open connections that the policy no longer allows. revoke.c has the theory. */
#ifndef POLICYD_REVOKE_H
#define POLICYD_REVOKE_H

#include <uv.h>

#include "moat/conntrack.h"
#include "policyd/model/compile.h"

struct place_vec {
	struct conntrack_place *v;
	size_t n, cap;
};

/* One walk over the connection tracking table. Its thread sees nothing else, and we do not look at it meanwhile. */
struct look {
	struct conntrack *conntrack;
	struct place_vec places;
	bool first; /* of these places */
	struct conntrack_entries found;
	int code;
	struct err err;
};

struct revoke {
	struct cluster *cluster; /* not owned, as nl: a nftables socket for the `revoked` sets */
	struct nl *nl;
	struct conntrack conntrack;
	struct place_vec fresh; /* noted since the last look began */
	struct place_vec again; /* looked at once: again after a grace period that has not begun, */
	struct place_vec in_grace, ready; /* one that has, one that is over, */
	struct place_vec late, older, due; /* and once more when the timer has come round twice */
	struct look look;
	bool looking, waiting, closing;
	uv_loop_t *loop; /* NULL: no loop yet, looks are taken on the caller's time */
	uv_work_t work, grace; /* each has a thread, so that what was noted last never waits for what is certain */
	uv_timer_t timer;
	uint64_t revoked; /* entries deleted since start */
};

int revoke_init(struct revoke *r, struct cluster *cluster, struct nl *nl, struct err *err);
/* From now on looks are taken beside the loop, by threads that are there when this returns. */
void revoke_follow(struct revoke *r, uv_loop_t *loop);
void revoke_close_handles(struct revoke *r); /* accepts one that follows no loop; its last look ends on the loop */
void revoke_done(struct revoke *r);

/* Who has this address in this place of an entry may have lost something. */
void revoke_note(struct revoke *r, const struct addr *addr, enum conntrack_end end);

/* Has everything that was noted been looked for once? */
bool revoke_is_done(const struct revoke *r);

/* The kernel has the policy now: begins to delete the entries of what was noted that the model's profiles deny. */
void revoke_run(struct revoke *r);

#endif

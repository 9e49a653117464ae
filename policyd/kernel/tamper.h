/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What strangers did to what moat keeps in the kernel, until it was put right, and how long that took: from the moment in which
 * the daemon was woken, or could have been, to the commit after which nothing is open that was closed before.
 */
#ifndef POLICYD_TAMPER_H
#define POLICYD_TAMPER_H

#include "moat/base.h"
#include "moat/clock.h"

#define TAMPER_KEPT 101 /* times, for the median */

struct tamper {
	bool open; /* found and not yet put right: */
	bool by_check;
	uint64_t since_us, found_us; /* found_us: nothing of before has put it right */
	char what[128], by[64];

	uint64_t by_event, by_checks; /* put right since start */
	uint32_t exposed_us[TAMPER_KEPT]; /* of those found by event, the last ones */
	uint32_t max_us, max_unnoticed_us; /* by event; by check, at most */
	char last[256]; /* in words; "" if there was none */
	uint64_t bridges_us; /* when bridges were looked at last */
};

/*
 * by_check: no event told, and since_us is when all was well for the last time. what and by (who committed, may be "") are
 * escaped here. While something is open, only the first is kept.
 */
void tamper_found(struct tamper *t, bool by_check, uint64_t since_us, const char *what, const char *by);
/* What is open, if anything. at_us: of the last commit that guarded; one of before says that nothing had to be put right. */
void tamper_repaired(struct tamper *t, uint64_t at_us);

uint32_t tamper_median_us(const struct tamper *t);

#endif

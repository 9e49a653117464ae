/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is: the daemon's time, shared by namespaces
 *
 * One loop reads what all tenants write. Each namespace is charged the time that its changes take, and pays back as time goes by,
 * a tenth of it. While it owes more than a moment, its changes wait; those of one file that wait together are read as one. So a
 * tenant that writes without end, or within its bounds what costs most, has a tenth of the daemon's time, and the others' changes
 * wait at most for one of its. Who changes a policy now and then owes nothing: a change costs some milliseconds.
 */
#ifndef POLICYD_TURNS_H
#define POLICYD_TURNS_H

#include "moat/table.h"

#define TURNS_SHARE 10       /* the part of time in which a namespace pays back */
#define TURNS_MOMENT_US 50000 /* what it may owe: a dozen changes at once */
#define TURNS_WAITING 4       /* see turns_cost */

struct turns_debt {
	char *ns;
	uint64_t us, since_us;
	UT_hash_handle hh;
};

struct turns {
	struct turns_debt *debts; /* by namespace */
	uint64_t moment_us;
};

void turns_init(struct turns *t);
void turns_done(struct turns *t);

/*
 * What a change costs that took so long by the clock and by the processor: the former, with what it waited for the kernel, which the
 * others waited too; but no more than some times the latter, since the lock of a plugin, or that the daemon was stopped, is not the
 * tenant's doing.
 */
uint64_t turns_cost(uint64_t clock_us, uint64_t processor_us);

void turns_charge(struct turns *t, const char *ns, uint64_t cost_us, uint64_t now_us);
/* When a change of this namespace may be read: now_us, or later. */
uint64_t turns_when(struct turns *t, const char *ns, uint64_t now_us);

#endif

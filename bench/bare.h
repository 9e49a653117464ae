/* SPDX-License-Identifier: Apache-2.0 */
/* The floor of a policy change: what the daemon asks of the kernel for one, in the same table, by nobody else's leave. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

/*
 * Makes what a changed policy of CLUSTER_POLICIES makes (a group with that many members, a map of ten ports, their chains), swaps
 * the namespace's local pod to it, and then takes away what the last call has made. Returns the milliseconds until the swap.
 * The daemon must be gone: it would take this for an attack.
 */
double bare_change(unsigned round, unsigned namespace, unsigned members);

#endif

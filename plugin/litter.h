/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the kernel for pods that no attachment of the pod store has (moat/stray.h): GC's part when no daemon runs. */
#ifndef MOAT_PLUGIN_LITTER_H
#define MOAT_PLUGIN_LITTER_H

/*
 * Takes away what can go, closes what must stay, and warns of both. Does nothing while the pod store has a file that says neither whose
 * port nor which addresses, or changes meanwhile. The caller holds the lock. Costs a dump of moat's tables.
 */
void litter_collect(void);

#endif

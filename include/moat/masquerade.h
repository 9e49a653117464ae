/* SPDX-License-Identifier: Apache-2.0 */
/* Table inet moat-nat: what leaves the cluster goes with the node's address. masquerade.c says why it has a table of its own. */
#ifndef MOAT_MASQUERADE_H
#define MOAT_MASQUERADE_H

#include "moat/addr.h"
#include "moat/nl.h"

/*
 * Makes the table, whole, in one transaction: packets from `own` are masqueraded unless they go to `cluster`. Neither list has a block within
 * another. Open connections keep the address that they have.
 */
int masquerade_put(struct nl *nl, const struct block *own, size_t n_own, const struct block *cluster, size_t n_cluster, struct err *err);

/* Are its rules there? */
bool masquerade_stands(struct nl *nl);

#endif

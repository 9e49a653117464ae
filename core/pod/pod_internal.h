/* SPDX-License-Identifier: Apache-2.0 */
/* What ADD and DEL (pod_close.c, pod_withdraw.c) share of a pod in the ruleset. */
#ifndef CORE_POD_INTERNAL_H
#define CORE_POD_INTERNAL_H

#include "moat/attachment.h"
#include "moat/txn.h"

#define POD_ATTEMPTS 3 /* a stranger may delete the table between proof and commit; the second attempt brings everything itself */
bool pod_worth_another_attempt(int code);

/* The key of what a pod says in its own name: where IP hears it, and its address. */
struct key pod_input_key(const struct attachment *a, const struct addr *addr);

void pod_add_chains(struct txn *t, const struct attachment *a);
void pod_discard_chains(struct txn *t, const struct attachment *a);
/* All elements of one address, open_node's too; stays_lost: not that in `pods`. The chains stand, or are in the batch. */
void pod_discard_addr(struct txn *t, const struct attachment *a, const struct addr *addr, bool stays_lost);
/* The exact removal of an element that has another verdict than the chain `own`. */
void pod_evict_element(struct txn *t, struct nl *nl, const struct set_spec *map, struct key key, const char *own);

#endif

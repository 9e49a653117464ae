/* SPDX-License-Identifier: Apache-2.0 */
/* The static part as another version of moat wrote it: told from a damaged one, and replaced without a gap. core/ruleset/layout.c has the theory. */
#ifndef MOAT_LAYOUT_H
#define MOAT_LAYOUT_H

#include "moat/txn.h"

#define CHAIN_LAYOUT "layout" /* holds the mark, and nothing jumps to it */

/* Queues the mark of a table whose static rules were queued since layout_begin, which gave first_tag. */
size_t layout_begin(const struct txn *t);
void layout_put_mark(struct txn *t, enum table table, size_t first_tag);

/*
 * What stands is another version's, and whole: changes it to ours, in transactions of its own. 1: done. 0: it is not so, and nothing
 * was changed. Otherwise the error of a transaction: what stood may stand, or both.
 */
int layout_follow(struct nl *nl, struct err *err);

/* Queues, before ruleset_put, the end of base chains of our names that hang elsewhere: the kernel moves none. */
void layout_queue_unhook(struct txn *t, struct nl *nl, enum table table);

#endif

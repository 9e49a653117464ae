/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks with excepts as address ranges: subtraction and union, both families. */
#ifndef POLICYD_RANGES_H
#define POLICYD_RANGES_H

#include "policyd/model/compile.h"

struct range_list {
	struct addr_range *v;
	size_t n, cap;
};

/* Adds block minus excepts (of its own family; others take nothing away). */
void ranges_add_block(struct range_list *l, const struct block *block, const struct block *excepts, size_t n_excepts);
/* Sorts and unites: what overlaps or touches becomes one range, for the kernel answers "interval overlaps". */
void ranges_merge(struct range_list *l);
/* Takes ranges that are a whole family out of a merged list and says so: any[0] IPv4, any[1] IPv6. */
void ranges_take_whole_families(struct range_list *l, bool any[2]);
/* Is addr in one of the n sorted, disjoint ranges? */
bool ranges_contain(const struct addr_range *v, size_t n, const struct addr *addr);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/model/ranges.h"

#include <string.h>
#include <sys/socket.h>

static int compare_blocks(const void *a, const void *b)
{
	return addr_cmp(&((const struct block *)a)->base, &((const struct block *)b)->base);
}

static int compare_ranges(const void *a, const void *b)
{
	return addr_cmp(&((const struct addr_range *)a)->first, &((const struct addr_range *)b)->first);
}

/* Of the excepts, those that touch the block, by address. */
static size_t excepts_in(const struct block *block, const struct block *excepts, size_t n_excepts, struct block *ret)
{
	struct addr end = addr_block_last(block);
	size_t n = 0;

	for (size_t i = 0; i < n_excepts; i++) {
		struct addr last = addr_block_last(&excepts[i]);

		if (excepts[i].base.family == block->base.family && addr_cmp(&last, &block->base) >= 0 &&
		    addr_cmp(&excepts[i].base, &end) <= 0)
			ret[n++] = excepts[i];
	}
	if (n > 1)
		qsort(ret, n, sizeof(ret[0]), compare_blocks);
	return n;
}

void ranges_add_block(struct range_list *l, const struct block *block, const struct block *excepts, size_t n_excepts)
{
	CLEAN_FREE struct block *inside = mem_alloc((n_excepts + 1) * sizeof(*inside));
	size_t n = excepts_in(block, excepts, n_excepts, inside);
	struct addr end = addr_block_last(block);
	struct addr_range r = {.first = block->base};

	for (size_t i = 0; i < n; i++) {
		struct addr behind = addr_block_last(&inside[i]);

		if (addr_cmp(&behind, &r.first) < 0)
			continue; /* nested in the one before */
		if (addr_cmp(&inside[i].base, &r.first) > 0) {
			r.last = inside[i].base;
			addr_prev(&r.last);
			VEC_PUSH(l, r);
		}
		if (addr_cmp(&behind, &end) >= 0)
			return;
		addr_next(&behind);
		r.first = behind;
	}
	r.last = end;
	VEC_PUSH(l, r);
}

void ranges_merge(struct range_list *l)
{
	size_t kept = 0;

	if (l->n < 2)
		return;
	qsort(l->v, l->n, sizeof(l->v[0]), compare_ranges);
	for (size_t i = 1; i < l->n; i++) {
		struct addr_range *into = &l->v[kept];
		struct addr behind = into->last;
		bool more = addr_next(&behind);

		if (l->v[i].first.family == into->last.family && (!more || addr_cmp(&l->v[i].first, &behind) <= 0)) {
			if (addr_cmp(&l->v[i].last, &into->last) > 0)
				into->last = l->v[i].last;
		} else {
			l->v[++kept] = l->v[i];
		}
	}
	l->n = kept + 1;
}

void ranges_take_whole_families(struct range_list *l, bool any[2])
{
	size_t kept = 0;

	any[0] = any[1] = false;
	for (size_t i = 0; i < l->n; i++) {
		struct block whole = {.base = {.family = l->v[i].first.family}};
		struct addr last = addr_block_last(&whole);

		if (addr_equal(&l->v[i].first, &whole.base) && addr_equal(&l->v[i].last, &last))
			any[whole.base.family == AF_INET6] = true;
		else
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
}

bool ranges_contain(const struct addr_range *v, size_t n, const struct addr *addr)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addr_cmp(addr, &v[middle].first) < 0)
			high = middle;
		else if (addr_cmp(addr, &v[middle].last) > 0)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/kernel/net.h"

#include <stdio.h>
#include <string.h>

#include "moat/rule.h"
#include "moat/ruleset.h"

static const int families[2] = {AF_INET, AF_INET6};

static struct set_spec map_of(int f, uint32_t number, const struct epoch *epoch, char name[CHAIN_NAME_MAX])
{
	struct set_spec map = {.name = name, .fields = {f ? FIELD_IPV6 : FIELD_IPV4}, .flags = SET_VERDICT | SET_INTERVAL};

	program_ranges_name(f, number, epoch, name);
	return map;
}

static void put_maps(const struct net_below *n, struct txn *t, const struct epoch *epoch)
{
	const char *verdict = n->ranges.deny ? CHAIN_UNGUARDED : CHAIN_UNGUARDED_OBSERVED;
	char name[CHAIN_NAME_MAX];

	for (int f = 0; f < 2; f++) {
		struct set_spec map = map_of(f, n->number, epoch, name);

		if (!n->has[f])
			continue;
		txn_add_set(t, &map);
		for (size_t i = 0; i < n->ranges.blocks.n; i++) {
			const struct block *b = &n->ranges.blocks.v[i];
			struct addr last = addr_block_last(b);

			if (FAMILY_INDEX(&b->base) == f)
				txn_add_range(t, &map, key_of_addr(&b->base), key_of_addr(&last), verdict);
		}
	}
}

/* ip saddr|daddr vmap @<ranges> */
static void put_rules(const struct net_below *n, struct txn *t, const struct epoch *epoch)
{
	static const char *const chains[] = {CHAIN_RANGE_FROM, CHAIN_RANGE_TO};
	char name[CHAIN_NAME_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		txn_flush_chain(t, chains[i]);
		for (int f = 0; f < 2; f++) {
			if (!n->has[f])
				continue;
			rule_begin(t, chains[i]);
			if (i == 0)
				rule_load_saddr(t, families[f]);
			else
				rule_load_daddr(t, families[f]);
			rule_vmap(t, map_of(f, n->number, epoch, name).name);
			rule_end(t);
		}
	}
}

void net_prepare(struct net_below *n, struct txn *t, const struct cluster *c, struct epoch *epoch)
{
	struct pod_ranges wanted;

	cluster_pod_ranges(c, &wanted);
	if (n->stands && pod_ranges_equal(&wanted, &n->ranges)) {
		pod_ranges_done(&wanted);
		return;
	}
	pod_ranges_done(&n->ranges);
	n->ranges = wanted;
	n->former = n->number;
	n->number = epoch->numbers++;
	for (int f = 0; f < 2; f++) {
		n->had[f] = n->has[f];
		n->has[f] = false;
		for (size_t i = 0; i < wanted.blocks.n; i++)
			n->has[f] |= FAMILY_INDEX(&wanted.blocks.v[i].base) == f;
	}
	n->moving = true;
	put_maps(n, t, epoch);
}

void net_fill(const struct net_below *n, struct txn *t, const struct epoch *epoch)
{
	if (n->moving)
		put_rules(n, t, epoch);
}

void net_clean(struct net_below *n, struct txn *t, const struct epoch *epoch)
{
	char name[CHAIN_NAME_MAX];

	if (!n->moving)
		return;
	for (int f = 0; f < 2; f++)
		if (n->had[f])
			txn_delete_set(t, map_of(f, n->former, epoch, name).name);
	n->moving = false;
	n->stands = true;
}

void net_put(const struct net_below *n, struct txn *t, const struct epoch *epoch)
{
	put_maps(n, t, epoch);
	put_rules(n, t, epoch);
}

void net_distrust(struct net_below *n)
{
	n->stands = false;
}

void net_forget(struct net_below *n)
{
	n->stands = n->moving = n->has[0] = n->has[1] = false;
}

void net_done(struct net_below *n)
{
	pod_ranges_done(&n->ranges);
}

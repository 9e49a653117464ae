/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Not in table inet moat: that one is proved whole by each ADD and rewritten where it differs, since all of it guards pods; who
 * has no --node-routes pays nothing for this, and nothing that happens to this table opens a pod. Packets pass it behind the rules
 * of table inet moat (forward comes before postrouting), so policies see the pod's own address. A node's address is in the cluster: other
 * nodes know the way back to a pod.
 */
#include "moat/masquerade.h"

#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>

#include "moat/rule.h"
#include "core/netlink/txn_internal.h"

#define CHAIN "postrouting"

static const int families[2] = {AF_INET, AF_INET6};
static const struct set_spec own_sets[2] = {
	{.name = "own", .fields = {FIELD_IPV4}, .flags = SET_INTERVAL, .table = TABLE_NAT},
	{.name = "own6", .fields = {FIELD_IPV6}, .flags = SET_INTERVAL, .table = TABLE_NAT},
};
static const struct set_spec cluster_sets[2] = {
	{.name = "cluster", .fields = {FIELD_IPV4}, .flags = SET_INTERVAL, .table = TABLE_NAT},
	{.name = "cluster6", .fields = {FIELD_IPV6}, .flags = SET_INTERVAL, .table = TABLE_NAT},
};

static void put_blocks(struct txn *t, const struct set_spec sets[2], const struct block *blocks, size_t n)
{
	for (int f = 0; f < 2; f++) {
		txn_add_set(t, &sets[f]);
		for (size_t i = 0; i < n; i++) {
			struct addr last = addr_block_last(&blocks[i]);

			if (blocks[i].base.family == families[f])
				txn_add_range(t, &sets[f], key_of_addr(&blocks[i].base), key_of_addr(&last), NULL);
		}
	}
}

int masquerade_put(struct nl *nl, const struct block *own, size_t n_own, const struct block *cluster, size_t n_cluster, struct err *err)
{
	static const struct chain_hook hook = {.hook = NF_INET_POST_ROUTING, .priority = NF_IP_PRI_NAT_SRC};
	struct txn *t = txn_new();
	int code;

	txn_on(t, TABLE_NAT);
	txn_add_table(t);
	txn_delete_table(t);
	txn_add_table(t);
	put_blocks(t, own_sets, own, n_own);
	put_blocks(t, cluster_sets, cluster, n_cluster);
	txn_add_chain(t, CHAIN, &hook);
	/* ip saddr @own ip daddr != @cluster masquerade */
	for (int f = 0; f < 2; f++) {
		rule_begin(t, CHAIN);
		rule_load_saddr(t, families[f]);
		rule_in(t, own_sets[f].name);
		rule_load_daddr(t, families[f]);
		rule_not_in(t, cluster_sets[f].name);
		rule_masquerade(t);
		rule_end(t);
	}
	code = txn_commit(t, nl, err);
	txn_free(t);
	return code;
}

static int count(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	++*(unsigned *)arg;
	return 0;
}

bool masquerade_stands(struct nl *nl)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 0);
	unsigned rules = 0;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, table_name(TABLE_NAT));
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, CHAIN);
	return nl_dump(nl, nlh, count, &rules) == 0 && rules == 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/dump.h"

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "txn_internal.h"

struct names {
	uint16_t table_attr, name_attr;
	dump_name_fn fn;
	void *arg;
};

static int on_name(const struct nlmsghdr *nlh, void *arg)
{
	const struct names *names = arg;
	const char *table = NULL, *name = NULL;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) == names->table_attr)
			table = mnl_attr_get_str(attr);
		else if (mnl_attr_get_type(attr) == names->name_attr)
			name = mnl_attr_get_str(attr);
	}
	if (table && name && !strcmp(table, TABLE_NAME))
		names->fn(name, names->arg);
	return 0;
}

int dump_chains(struct nl *nl, dump_name_fn fn, void *arg)
{
	char scratch[256];
	struct names names = {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, fn, arg};

	return nl_dump(nl, nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETCHAIN, NFPROTO_INET, NLM_F_DUMP, 0), on_name, &names);
}

int dump_sets(struct nl *nl, dump_name_fn fn, void *arg)
{
	char scratch[256];
	struct names names = {NFTA_SET_TABLE, NFTA_SET_NAME, fn, arg};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETSET, NFPROTO_INET, NLM_F_DUMP, 0);
	int code;

	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, TABLE_NAME);
	code = nl_dump(nl, nlh, on_name, &names);
	return code == -ENOENT ? 0 : code;
}

struct keys {
	dump_key_fn fn;
	void *arg;
};

static int on_elements(const struct nlmsghdr *nlh, void *arg)
{
	const struct keys *keys = arg;
	struct nftnl_set *s = MUST(nftnl_set_alloc());
	struct nftnl_set_elems_iter *iter;
	struct nftnl_set_elem *e;

	if (nftnl_set_elems_nlmsg_parse(nlh, s) == 0) {
		iter = MUST(nftnl_set_elems_iter_create(s));
		while ((e = nftnl_set_elems_iter_next(iter))) {
			uint32_t len;
			const void *key = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY, &len);

			if (key)
				keys->fn(key, len, keys->arg);
		}
		nftnl_set_elems_iter_destroy(iter);
	}
	nftnl_set_free(s);
	return 0;
}

int dump_elements(struct nl *nl, const char *set, dump_key_fn fn, void *arg)
{
	char scratch[256];
	struct keys keys = {fn, arg};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, 0);
	int code;

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	code = nl_dump(nl, nlh, on_elements, &keys);
	return code == -ENOENT ? 0 : code;
}

static int add_packets(struct nftnl_expr *e, void *arg)
{
	uint64_t *packets = arg;

	if (!strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), "counter"))
		*packets += nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS);
	return 0;
}

static int on_counter(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_rule *rule = MUST(nftnl_rule_alloc());

	if (nftnl_rule_nlmsg_parse(nlh, rule) == 0)
		nftnl_expr_foreach(rule, add_packets, arg);
	nftnl_rule_free(rule);
	return 0;
}

uint64_t dump_counter(struct nl *nl, const char *chain)
{
	char scratch[512];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 0);
	uint64_t packets = 0;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	nl_dump(nl, nlh, on_counter, &packets);
	return packets;
}

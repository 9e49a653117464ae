/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/dump.h"

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "attr_internal.h"
#include "moat/txn.h"

struct names {
	uint16_t table_attr, name_attr;
	dump_name_fn fn;
	void *arg;
};

static int on_name(const struct nlmsghdr *nlh, void *arg)
{
	const struct names *names = arg;
	const char *table = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), names->table_attr));
	const char *name = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), names->name_attr));

	if (table && name && !strcmp(table, TABLE_NAME))
		names->fn(name, names->arg);
	return 0;
}

int dump_chains(struct nl *nl, dump_name_fn fn, void *arg)
{
	char scratch[256] = {0};
	struct names names = {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, fn, arg};

	return nl_dump(nl, nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETCHAIN, NFPROTO_INET, NLM_F_DUMP, 0), on_name, &names);
}

int dump_sets(struct nl *nl, dump_name_fn fn, void *arg)
{
	char scratch[256] = {0};
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
	const struct nlattr *list = attr_of(nlh, sizeof(struct nfgenmsg), NFTA_SET_ELEM_LIST_ELEMENTS), *element;
	const struct keys *keys = arg;

	if (!list)
		return 0;
	mnl_attr_for_each_nested(element, list) {
		const struct nlattr *key = attr_in(attr_in(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);

		if (key && mnl_attr_get_payload_len(key))
			keys->fn(mnl_attr_get_payload(key), mnl_attr_get_payload_len(key), keys->arg);
	}
	return 0;
}

int dump_elements(struct nl *nl, const char *set, dump_key_fn fn, void *arg)
{
	char scratch[256] = {0};
	struct keys keys = {fn, arg};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, 0);
	int code;

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	code = nl_dump(nl, nlh, on_elements, &keys);
	return code == -ENOENT ? 0 : code;
}

static int on_counter(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *list = attr_of(nlh, sizeof(struct nfgenmsg), NFTA_RULE_EXPRESSIONS), *expr;
	uint64_t *packets = arg;

	if (!list)
		return 0;
	mnl_attr_for_each_nested(expr, list) {
		const char *name = attr_text(attr_in(expr, NFTA_EXPR_NAME));

		if (name && !strcmp(name, "counter"))
			*packets += attr_be64(attr_in(attr_in(expr, NFTA_EXPR_DATA), NFTA_COUNTER_PACKETS), 0);
	}
	return 0;
}

uint64_t dump_counter(struct nl *nl, const char *chain)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 0);
	uint64_t packets = 0;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	nl_dump(nl, nlh, on_counter, &packets);
	return packets;
}

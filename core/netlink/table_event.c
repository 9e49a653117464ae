/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/table_event.h"

#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "attr_internal.h"
#include "moat/txn.h"

static int read_generation(const struct nlmsghdr *nlh, void *arg)
{
	const char *process = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_GEN_PROC_NAME));
	struct table_event *e = arg;

	e->generation = attr_be32(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_GEN_ID), 0);
	e->pid = attr_be32(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_GEN_PROC_PID), 0);
	e->process = process ? process : "";
	return 0;
}

static const struct {
	enum table_event_kind kind;
	bool added;
	uint16_t name; /* attribute; the table's is 1 in every object */
} messages[] = {
	[NFT_MSG_NEWTABLE] = {TABLE_EVENT_TABLE, true, 0},
	[NFT_MSG_DELTABLE] = {TABLE_EVENT_TABLE, false, 0},
	[NFT_MSG_NEWCHAIN] = {TABLE_EVENT_CHAIN, true, NFTA_CHAIN_NAME},
	[NFT_MSG_DELCHAIN] = {TABLE_EVENT_CHAIN, false, NFTA_CHAIN_NAME},
	[NFT_MSG_NEWRULE] = {TABLE_EVENT_RULE, true, NFTA_RULE_CHAIN},
	[NFT_MSG_DELRULE] = {TABLE_EVENT_RULE, false, NFTA_RULE_CHAIN},
	[NFT_MSG_NEWSET] = {TABLE_EVENT_SET, true, NFTA_SET_NAME},
	[NFT_MSG_DELSET] = {TABLE_EVENT_SET, false, NFTA_SET_NAME},
	[NFT_MSG_NEWSETELEM] = {TABLE_EVENT_ELEMENTS, true, NFTA_SET_ELEM_LIST_SET},
	[NFT_MSG_DELSETELEM] = {TABLE_EVENT_ELEMENTS, false, NFTA_SET_ELEM_LIST_SET},
	[NFT_MSG_NEWGEN] = {TABLE_EVENT_GENERATION, true, 0},
};

bool table_event_parse(const struct nlmsghdr *nlh, struct table_event *ret)
{
	const struct nfgenmsg *nfg = attr_header(nlh, sizeof(*nfg));
	uint16_t type = nlh->nlmsg_type & 0xff;
	const char *table, *name;

	if (!nfg || nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || type >= ARRAY_SIZE(messages) || !messages[type].kind)
		return false;
	*ret = (struct table_event){.kind = messages[type].kind, .added = messages[type].added, .process = ""};
	name = attr_text(attr_of(nlh, sizeof(*nfg), messages[type].name));
	ret->name = name ? name : "";
	if (ret->kind == TABLE_EVENT_GENERATION) {
		read_generation(nlh, ret);
		return true;
	}
	if (ret->kind == TABLE_EVENT_ELEMENTS)
		ret->elements = attr_of(nlh, sizeof(*nfg), NFTA_SET_ELEM_LIST_ELEMENTS);
	table = attr_text(attr_of(nlh, sizeof(*nfg), NFTA_TABLE_NAME));
	ret->table = nfg->nfgen_family == NFPROTO_BRIDGE ? TABLE_BRIDGE : TABLE_INET;
	return (nfg->nfgen_family == NFPROTO_INET || ret->table == TABLE_BRIDGE) && table && !strcmp(table, TABLE_NAME);
}

int table_generation(struct nl *nl, uint32_t *ret)
{
	char scratch[64] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETGEN, NFPROTO_UNSPEC, NLM_F_ACK, 0);
	struct table_event e = {.generation = 0};
	int code = nl_request(nl, nlh, read_generation, &e);

	*ret = e.generation;
	return code;
}

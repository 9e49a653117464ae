/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about a pod and about the kernel: CHECK and STATUS. */
#include "moat/pod.h"

#include <arpa/inet.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

#include "core/pod/pod_link.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "moat/text.h"

/* own: the chain its verdict must go to, NULL for a plain set */
static int check_element(struct nl *nl, const struct set_spec *set, struct key key, const char *own, const char *what, struct err *err)
{
	char chain[CHAIN_NAME_MAX];
	int code = txn_read_verdict(nl, set, key, chain);

	if (code < 0)
		return err_errno(err, -code, "%s is not in set %s of table inet moat", what, set->name);
	if (own && strcmp(chain, own) != 0)
		return err_set(err, ENOENT, "%s goes to chain %s in map %s of table inet moat, not to its own", what, TEXT(chain),
			       set->name);
	return 0;
}

static int count_rule(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	++*(unsigned *)arg;
	return 0;
}

/* One rule, whatever it goes to: an empty chain would return, which means allowed. */
static int check_chain(struct nl *nl, const char *chain, struct err *err)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 0);
	unsigned rules = 0;
	int code;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	code = nl_dump(nl, nlh, count_rule, &rules);
	if (code < 0)
		return err_errno(err, -code, "chain %s of table inet moat", chain);
	if (rules != 1)
		return err_set(err, ENOENT, "chain %s of table inet moat has %u rules instead of 1", chain, rules);
	return 0;
}

static int check_addr(struct nl *nl, const struct attachment *a, const struct addr *addr, const char *const chain[DIRECTION_COUNT],
		      struct err *err)
{
	char text[ADDR_TEXT_MAX];
	int f = FAMILY_INDEX(addr), code;

	addr_text(addr, text);
	code = check_element(nl, &set_pods[f], key_of_addr(addr), NULL, text, err);
	if (code == 0)
		code = check_element(nl, &set_own[f], key_with_addr(key_of_port(attachment_input(a)), addr), NULL, text, err);
	if (code == 0)
		code = check_element(nl, &map_from_pod[f], key_with_addr(key_of_port(attachment_input(a)), addr), chain[EGRESS], text, err);
	if (code == 0)
		code = check_element(nl, &map_from_addr[f], key_of_addr(addr), chain[EGRESS], text, err);
	if (code == 0)
		code = check_element(nl, &map_to_pod[f], key_of_addr(addr), chain[INGRESS], text, err);
	return code;
}

int pod_check(const struct attachment *a, struct err *err)
{
	char names[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *chain[DIRECTION_COUNT];
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	code = ruleset_prove(&nl, TABLE_INET, err);
	if (code == 0)
		code = check_element(&nl, &set_ports, key_of_port(a->port), NULL, a->port, err);
	if (code == 0 && a->port_index)
		code = check_element(&nl, &set_links, key_of_index(a->port_index), NULL, a->port, err);
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		chain[d] = pod_chain_name((enum direction)d, a, names[d]);
		if (code == 0)
			code = check_chain(&nl, chain[d], err);
	}
	for (size_t i = 0; code == 0 && i < a->n_addrs; i++)
		code = check_addr(&nl, a, &a->addrs[i], chain, err);
	if (code == 0)
		code = pod_link_check(&nl, a, err);
	nl_close(&nl);
	return code;
}

/*
 * Everything moat will ever ask of the kernel, in a batch that ends with an operation that cannot succeed: when this is what the
 * kernel refuses, it took all the rest, and nothing of it stays.
 */
#define PROBE "moat-probe"

static void queue_probe(struct txn *t)
{
	static const struct set_spec map = {.name = PROBE, .fields = {FIELD_PROTOCOL, FIELD_PORT}, .flags = SET_VERDICT | SET_INTERVAL};
	const char *target[DIRECTION_COUNT] = {CHAIN_DENY_INGRESS, CHAIN_DENY_EGRESS};
	struct key key = key_with_port(key_with_protocol((struct key){.len = 0}, 6), 80);
	struct attachment pod = {.port = PROBE, .n_addrs = 2};

	pod.addrs[0] = (struct addr){.family = AF_INET, .bytes = {192, 0, 2, 1}};
	pod.addrs[1] = (struct addr){.family = AF_INET6, .bytes = {0x20, 0x01, 0x0d, 0xb8}};
	ruleset_put(t, TABLE_INET);
	pod_put(t, &pod, target);
	txn_add_chain(t, PROBE, NULL);
	txn_add_set(t, &map);
	txn_add_range(t, &map, key, key, NULL);
	rule_begin(t, PROBE);
	rule_load_l4proto(t);
	rule_load_dport(t);
	rule_vmap(t, PROBE);
	rule_end(t);
	txn_delete_chain(t, PROBE "-that-is-not-there");
}

int pod_ruleset_supported(struct err *err)
{
	struct nl nl;
	struct txn *t;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	t = txn_new();
	queue_probe(t);
	code = txn_commit(t, &nl, err);
	txn_free(t);
	nl_close(&nl);
	if (code == 0 || (code == -ENOENT && strstr(err->text, PROBE "-that-is-not-there"))) /* 0: a stranger has called a chain so */
		return 0;
	if (code == -EPERM)
		return err_set(err, EPERM, "no permission for nftables: run with CAP_NET_ADMIN in the node's network namespace");
	return err_wrap(err, "this kernel lacks something of nf_tables that moat needs");
}

int pod_ruleset_intact(struct err *err)
{
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	code = ruleset_prove(&nl, TABLE_INET, err);
	nl_close(&nl);
	return code == -ENOENT ? 0 : code;
}

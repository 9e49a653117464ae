/* SPDX-License-Identifier: Apache-2.0 */
/* DEL: what a pod has in the ruleset goes, unless another attachment has it by now; and its port, once its link is gone. */
#include "moat/pod.h"

#include <linux/netlink.h>
#include <string.h>

#include "core/pod/pod_internal.h"
#include "core/pod/pod_link.h"
#include "moat/bridge.h"
#include "moat/podstore.h"
#include "moat/proof.h"
#include "moat/ruleset.h"

/* True unless the kernel says that another attachment has the address now. */
static bool still_owns(struct nl *nl, const struct attachment *a, const struct addr *addr)
{
	char chain[CHAIN_NAME_MAX], own[CHAIN_NAME_MAX];
	int code = txn_read_verdict(nl, &map_to_pod[FAMILY_INDEX(addr)], key_of_addr(addr), chain);

	return code < 0 || !strcmp(chain, pod_chain_name(INGRESS, a, own));
}

/* Of an address that another attachment has: nothing may go to our chains any more. */
static void let_go(struct txn *t, struct nl *nl, const struct attachment *a, const struct addr *addr)
{
	const struct set_spec *map = &map_from_pod[FAMILY_INDEX(addr)];
	struct key key = pod_input_key(a, addr);
	char chain[CHAIN_NAME_MAX], own[CHAIN_NAME_MAX];

	if (txn_read_verdict(nl, map, key, chain) == 0 && !strcmp(chain, pod_chain_name(EGRESS, a, own))) {
		txn_delete_element(t, map, key);
		txn_discard_element(t, &set_own[FAMILY_INDEX(addr)], key, NULL);
		txn_discard_element(t, &set_open_node[FAMILY_INDEX(addr)], key, NULL);
	}
	pod_link_discard_addr(t, a, addr, true);
}

/*
 * A routed port loses what is sent to it. Behind a bridge only the address tells: what the node would keep, until somebody answers for
 * it, would reach its next owner, whom nobody had asked. So its element stays; deleted and added in one batch, a lookup might miss both.
 */
static void withdraw_addr(struct txn *t, const struct attachment *a, const struct addr *addr)
{
	bool stays_lost = a->bridge[0];

	pod_discard_addr(t, a, addr, stays_lost);
	if (stays_lost)
		txn_add_element(t, &set_pods[FAMILY_INDEX(addr)], key_of_addr(addr), NULL);
}

static void queue_withdrawal(struct txn *t, struct nl *nl, const struct attachment *a)
{
	pod_add_chains(t, a);
	for (size_t i = 0; i < a->n_addrs; i++)
		if (still_owns(nl, a, &a->addrs[i]))
			withdraw_addr(t, a, &a->addrs[i]);
		else
			let_go(t, nl, a, &a->addrs[i]);
	pod_discard_chains(t, a);
	pod_link_discard_mac(t, a);
}

/* What is the attachment's alone even if another has its port's name by now. */
static void queue_link_release(struct txn *t, struct nl *nl, const struct attachment *a)
{
	CLEAN_FREE char *key = attachment_key(a);

	(void)nl;
	txn_discard_element(t, &set_links, key_of_index(a->port_index), NULL);
	if (a->bridge[0])
		txn_discard_element(t, &link_links, key_of_index(a->port_index), NULL);
	for (size_t i = 0; a->bridge[0] && i < a->n_addrs; i++) {
		CLEAN_FREE char *owner = podstore_owner_of_addr(&a->addrs[i]);

		if (!owner || !strcmp(owner, key))
			txn_discard_element(t, &set_pods[FAMILY_INDEX(&a->addrs[i])], key_of_addr(&a->addrs[i]), NULL);
	}
}

static void queue_port_release(struct txn *t, struct nl *nl, const struct attachment *a)
{
	txn_discard_element(t, &set_ports, key_of_port(a->port), NULL);
	pod_link_discard_port(t, nl, a);
	queue_link_release(t, nl, a);
}

/* Runs a batch that only removes: without a table there is nothing to remove. */
static int commit_removal(void (*queue)(struct txn *t, struct nl *nl, const struct attachment *a), const struct attachment *a, struct err *err)
{
	struct nl nl;
	struct err damage;
	struct proof proof;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	for (int attempt = 0; attempt < POD_ATTEMPTS; attempt++) {
		struct txn *t = txn_new();

		proof_begin(&proof, &nl, attempt == 0);
		if (attempt > 0 && a->bridge[0] && ruleset_prove(&nl, TABLE_BRIDGE, &damage) == -ENOENT)
			txn_without_bridge(t); /* it went with the last port; another writer was faster */
		else if (attempt > 0 && code != -ENOBUFS) /* a set that a stranger deleted, or the table meanwhile */
			for (int table = TABLE_INET; table <= (a->bridge[0] ? TABLE_BRIDGE : TABLE_INET); table++)
				ruleset_put(t, (enum table)table);
		queue(t, &nl, a);
		code = txn_commit(t, &nl, err);
		if (code == 0)
			proof_keep(&proof);
		txn_free(t);
		if (!pod_worth_another_attempt(code))
			break;
		if (ruleset_prove(&nl, TABLE_INET, &damage) == -ENOENT) {
			code = 0;
			break;
		}
	}
	nl_close(&nl);
	return code;
}

int pod_withdraw(const struct attachment *a, struct err *err)
{
	return commit_removal(queue_withdrawal, a, err);
}

int pod_release_port(const struct attachment *a, struct err *err)
{
	return commit_removal(queue_port_release, a, err);
}

int pod_release_link(const struct attachment *a, struct err *err)
{
	return commit_removal(queue_link_release, a, err);
}

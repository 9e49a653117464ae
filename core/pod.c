/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod in the ruleset. Its chains are named by address, one pair each, so an element of a map has one possible verdict
 * whoever owns the address: adding is idempotent, deleting is "add, then delete" (txn_discard_*), a new owner's batch
 * replaces the chains' rules in the same instant in which it takes the address, and no batch depends on what another writer
 * did meanwhile. (Chains named by attachment would make the second owner's add fail with EBUSY.)
 */
#include "moat/pod.h"

#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "moat/podstore.h"
#include "moat/rule.h"
#include "moat/ruleset.h"

#define ATTEMPTS 3 /* a stranger may delete the table between proof and commit; the second attempt brings everything itself */

const char *pod_chain_name(enum direction d, const struct addr *a, char buf[CHAIN_NAME_MAX])
{
	char *p = buf;

	p += snprintf(p, CHAIN_NAME_MAX, "%c-", d == INGRESS ? 'i' : 'e');
	if (a->family == AF_INET)
		addr_text(a, p);
	else /* nft's syntax takes no colon in a name */
		for (size_t i = 0; i < 16; i++)
			p += snprintf(p, 3, "%02x", a->bytes[i]);
	return buf;
}

const char *pod_closed_target(enum mode mode, enum direction d)
{
	if (mode == MODE_AUDIT || mode == MODE_PREVIEW)
		return d == INGRESS ? CHAIN_OBSERVE_INGRESS : CHAIN_OBSERVE_EGRESS;
	return d == INGRESS ? CHAIN_DENY_INGRESS : CHAIN_DENY_EGRESS;
}

void pod_put_target(struct txn *t, const struct addr *a, enum direction d, const char *target)
{
	char chain[CHAIN_NAME_MAX];

	txn_flush_chain(t, pod_chain_name(d, a, chain));
	rule_begin(t, chain); /* counter goto <target> */
	rule_counter(t);
	rule_goto(t, target);
	rule_end(t);
}

typedef void (*element_fn)(struct txn *t, const struct set_spec *set, struct key key, const char *goto_chain);

/* All elements of one address, through one function: adding and discarding cannot differ. */
static void each_element(struct txn *t, const struct attachment *a, const struct addr *addr, element_fn fn)
{
	char egress[CHAIN_NAME_MAX], ingress[CHAIN_NAME_MAX];
	int f = FAMILY_INDEX(addr);

	pod_chain_name(EGRESS, addr, egress);
	pod_chain_name(INGRESS, addr, ingress);
	fn(t, &set_pods[f], key_of_addr(addr), NULL);
	fn(t, &map_from_pod[f], key_with_addr(key_of_port(a->port), addr), egress);
	fn(t, &map_from_addr[f], key_of_addr(addr), egress);
	fn(t, &map_to_pod[f], key_of_addr(addr), ingress);
	for (size_t i = 0; i < a->n_addrs; i++) {
		if (a->addrs[i].family != addr->family)
			continue;
		fn(t, &set_self[f], key_with_addr(key_of_addr(addr), &a->addrs[i]), NULL);
		fn(t, &set_self[f], key_with_addr(key_of_addr(&a->addrs[i]), addr), NULL);
	}
}

static void add_chains(struct txn *t, const struct addr *addr)
{
	char chain[CHAIN_NAME_MAX];

	txn_add_chain(t, pod_chain_name(EGRESS, addr, chain), NULL);
	txn_add_chain(t, pod_chain_name(INGRESS, addr, chain), NULL);
}

void pod_put(struct txn *t, const struct attachment *a, const char *const target[DIRECTION_COUNT])
{
	for (size_t i = 0; i < a->n_addrs; i++) {
		add_chains(t, &a->addrs[i]);
		pod_put_target(t, &a->addrs[i], INGRESS, target[INGRESS]);
		pod_put_target(t, &a->addrs[i], EGRESS, target[EGRESS]);
	}
	for (size_t i = 0; i < a->n_addrs; i++)
		each_element(t, a, &a->addrs[i], txn_add_element);
	txn_add_element(t, &set_ports, key_of_port(a->port), NULL);
}

static void put_closed(struct txn *t, const struct attachment *a)
{
	const char *target[DIRECTION_COUNT];

	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = pod_closed_target(a->mode, (enum direction)d);
	pod_put(t, a, target);
}

void pod_remove_addr(struct txn *t, const struct attachment *a, const struct addr *addr)
{
	char chain[CHAIN_NAME_MAX];

	add_chains(t, addr); /* what the discarded elements go to */
	each_element(t, a, addr, txn_discard_element);
	txn_discard_chain(t, pod_chain_name(EGRESS, addr, chain));
	txn_discard_chain(t, pod_chain_name(INGRESS, addr, chain));
}

/* A stranger took the static part away, and elements may be gone with it: every pod of the store is closed again. */
static void reclose(const struct attachment *a, void *arg)
{
	struct txn *t = arg;

	if (a->closing)
		txn_add_element(t, &set_ports, key_of_port(a->port), NULL);
	else
		put_closed(t, a);
}

static void skip_unreadable(const char *key, const struct err *e, void *arg)
{
	(void)key;
	(void)e;
	(void)arg;
}

static void put_everything(struct txn *t)
{
	struct err ignored;

	ruleset_put(t);
	podstore_each(NULL, reclose, skip_unreadable, t, &ignored);
}

/* What a new owner takes from a former one: the addresses it has now, and all of them if it has its port's name too. */
static void take_over(struct txn *t, const struct attachment *a, const struct attachment *former)
{
	for (size_t i = 0; i < former->n_addrs; i++)
		if (attachment_has_addr(a, &former->addrs[i]) || !strcmp(a->port, former->port))
			pod_remove_addr(t, former, &former->addrs[i]);
}

int pod_close(const struct attachment *a, const struct attachment *const *former, size_t n_former, struct err *err)
{
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct txn *t = txn_new();

		if (attempt > 0 || ruleset_prove(&nl, err) < 0)
			put_everything(t);
		for (size_t i = 0; i < n_former; i++)
			take_over(t, a, former[i]);
		put_closed(t, a);
		code = txn_commit(t, &nl, err);
		txn_free(t);
		if (code != -ENOENT && code != -EEXIST && code != -EBUSY)
			break;
	}
	nl_close_detached(&nl);
	return code;
}

/* Runs a batch that only removes: nothing to do without a table; a damaged static part is brought back first. */
static int commit_removal(void (*queue)(struct txn *t, const void *arg), const void *arg, struct err *err)
{
	struct nl nl;
	struct err proof;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct txn *t = txn_new();

		if (attempt > 0)
			put_everything(t);
		queue(t, arg);
		code = txn_commit(t, &nl, err);
		txn_free(t);
		if (code != -ENOENT && code != -EEXIST && code != -EBUSY)
			break;
		if (ruleset_prove(&nl, &proof) == -ENOENT) {
			code = 0;
			break;
		}
	}
	nl_close_detached(&nl);
	return code;
}

struct withdrawal {
	const struct attachment *a;
	const bool *kept;
};

static void queue_withdrawal(struct txn *t, const void *arg)
{
	const struct withdrawal *w = arg;

	for (size_t i = 0; i < w->a->n_addrs; i++)
		if (!w->kept || !w->kept[i])
			pod_remove_addr(t, w->a, &w->a->addrs[i]);
}

int pod_withdraw(const struct attachment *a, const bool kept[], struct err *err)
{
	return commit_removal(queue_withdrawal, &(struct withdrawal){a, kept}, err);
}

static void queue_port_release(struct txn *t, const void *port)
{
	txn_discard_element(t, &set_ports, key_of_port(port), NULL);
	txn_discard_element(t, &set_node_open, key_of_port(port), NULL);
}

int pod_release_port(const char *port, struct err *err)
{
	return commit_removal(queue_port_release, port, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod in the ruleset: a chain per direction, to which the elements of all its addresses go. The chains are named by the
 * attachment, so whoever acts on an old view of things (a daemon that was stopped between its decision and its send, a DEL
 * that comes late) names chains that are gone, and the kernel refuses its whole batch; it can never give the former owner's
 * policy to the new one.
 *
 * A chain is committed before an element leads to it, wherever somebody was guarded before: rules are those of the generation in which a packet
 * entered its base chain, while elements are looked up in the one that stands by then. A packet that came before the commit and looks
 * behind it would find the element, and the new chain still empty, which returns: allowed (counted under a flood: one per 15 to 40 such
 * commits). A pod that nobody knew takes one batch: what passes while it is committed came before.
 *
 * The price is that an element of a map has one of several possible verdicts, and adding over another verdict is -EEXIST or -EBUSY. The
 * first attempt trusts the pod store for who has an address; a refused one asks the kernel.
 */
#include "moat/pod.h"

#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "core/pod_link.h"
#include "moat/bridge.h"
#include "moat/layout.h"
#include "moat/podstore.h"
#include "moat/proof.h"
#include "moat/rule.h"
#include "moat/ruleset.h"

#define ATTEMPTS 3 /* a stranger may delete the table between proof and commit; the second attempt brings everything itself */

const char *pod_chain_name(enum direction d, const struct attachment *a, char buf[CHAIN_NAME_MAX])
{
	char *p = buf;

	*p++ = d == INGRESS ? 'i' : 'e';
	*p++ = '-';
	for (size_t i = 0; a->port[i]; i++) /* an interface may be called what nft's syntax has no name for */
		*p++ = (char)(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.", a->port[i]) ? a->port[i] : '_');
	snprintf(p, CHAIN_NAME_MAX - (size_t)(p - buf), "-%016llx", (unsigned long long)a->created);
	return buf;
}

bool pod_owns_chain(const struct attachment *a, const char *chain)
{
	const char *dash = strrchr(chain, '-');
	char own[CHAIN_NAME_MAX];

	/* asked about every pod of the node at each of their changes: most are told apart by the number */
	if (!dash || strtoull(dash + 1, NULL, 16) != a->created)
		return false;
	for (int d = 0; d < DIRECTION_COUNT; d++)
		if (!strcmp(chain, pod_chain_name((enum direction)d, a, own)))
			return true;
	return false;
}

const char *pod_closed_target(enum mode mode, enum direction d)
{
	if (mode == MODE_AUDIT || mode == MODE_PREVIEW)
		return d == INGRESS ? CHAIN_OBSERVE_INGRESS : CHAIN_OBSERVE_EGRESS;
	return d == INGRESS ? CHAIN_DENY_INGRESS : CHAIN_DENY_EGRESS;
}

void pod_put_target(struct txn *t, const struct attachment *a, enum direction d, const char *target)
{
	char chain[CHAIN_NAME_MAX];

	txn_flush_chain(t, pod_chain_name(d, a, chain));
	rule_begin(t, chain); /* counter goto <target> */
	rule_counter(t);
	rule_goto(t, target);
	rule_end(t);
}

/* The key of what a pod says in its own name: where IP hears it, and its address. */
static struct key input_key(const struct attachment *a, const struct addr *addr)
{
	return key_with_addr(key_of_port(attachment_input(a)), addr);
}

typedef void (*element_fn)(struct txn *t, const struct set_spec *set, struct key key, const char *goto_chain);

/* All elements of one address, through one function: adding and discarding cannot differ. */
static void each_element(struct txn *t, const struct attachment *a, const struct addr *addr, element_fn fn)
{
	char egress[CHAIN_NAME_MAX], ingress[CHAIN_NAME_MAX];
	int f = FAMILY_INDEX(addr);

	pod_chain_name(EGRESS, a, egress);
	pod_chain_name(INGRESS, a, ingress);
	fn(t, &set_pods[f], key_of_addr(addr), NULL);
	fn(t, &set_own[f], input_key(a, addr), NULL);
	fn(t, &map_from_pod[f], input_key(a, addr), egress);
	fn(t, &map_from_addr[f], key_of_addr(addr), egress);
	fn(t, &map_to_pod[f], key_of_addr(addr), ingress);
	for (size_t i = 0; i < a->n_addrs; i++) {
		if (a->addrs[i].family != addr->family)
			continue;
		fn(t, &set_self[f], key_with_addr(key_of_addr(addr), &a->addrs[i]), NULL);
		if (!addr_equal(&a->addrs[i], addr))
			fn(t, &set_self[f], key_with_addr(key_of_addr(&a->addrs[i]), addr), NULL);
	}
}

/* The element that only the daemon adds goes with the others. */
static void discard_addr(struct txn *t, const struct attachment *a, const struct addr *addr)
{
	each_element(t, a, addr, txn_discard_element);
	txn_discard_element(t, &set_open_node[FAMILY_INDEX(addr)], input_key(a, addr), NULL);
	pod_link_discard_addr(t, a, addr, false);
}

void pod_open_node(struct txn *t, const struct attachment *a, bool open)
{
	for (size_t i = 0; i < a->n_addrs; i++) {
		const struct set_spec *set = &set_open_node[FAMILY_INDEX(&a->addrs[i])];

		if (open)
			txn_add_element(t, set, input_key(a, &a->addrs[i]), NULL);
		else
			txn_discard_element(t, set, input_key(a, &a->addrs[i]), NULL);
	}
}

static void add_chains(struct txn *t, const struct attachment *a)
{
	char chain[CHAIN_NAME_MAX];

	txn_add_chain(t, pod_chain_name(EGRESS, a, chain), NULL);
	txn_add_chain(t, pod_chain_name(INGRESS, a, chain), NULL);
}

static void discard_chains(struct txn *t, const struct attachment *a)
{
	char chain[CHAIN_NAME_MAX];

	txn_discard_chain(t, pod_chain_name(EGRESS, a, chain));
	txn_discard_chain(t, pod_chain_name(INGRESS, a, chain));
}

static void add_port(struct txn *t, const struct attachment *a)
{
	txn_add_element(t, &set_ports, key_of_port(a->port), NULL);
	if (a->port_index)
		txn_add_element(t, &set_links, key_of_index(a->port_index), NULL);
}

void pod_bar(struct txn *t, const struct attachment *a)
{
	add_port(t, a);
	for (size_t i = 0; i < a->n_addrs; i++)
		txn_add_element(t, &set_pods[FAMILY_INDEX(&a->addrs[i])], key_of_addr(&a->addrs[i]), NULL);
	pod_link_put(t, a); /* who it is, not what it may */
}

void pod_bar_closing(struct txn *t, const struct attachment *closing)
{
	struct attachment port = *closing;

	port.n_addrs = 0;
	pod_bar(t, &port);
	for (size_t i = 0; closing->bridge[0] && i < closing->n_addrs; i++) {
		CLEAN_FREE char *owner = podstore_owner_of_addr(&closing->addrs[i]);

		if (!owner)
			txn_add_element(t, &set_pods[FAMILY_INDEX(&closing->addrs[i])], key_of_addr(&closing->addrs[i]), NULL);
	}
}

void pod_put_elements(struct txn *t, const struct attachment *a)
{
	for (size_t i = 0; i < a->n_addrs; i++)
		each_element(t, a, &a->addrs[i], txn_add_element);
	add_port(t, a);
	pod_link_put(t, a);
}

void pod_put_chains(struct txn *t, const struct attachment *a, const char *const target[DIRECTION_COUNT])
{
	if (!a->n_addrs)
		return;
	add_chains(t, a);
	pod_put_target(t, a, INGRESS, target[INGRESS]);
	pod_put_target(t, a, EGRESS, target[EGRESS]);
}

void pod_put(struct txn *t, const struct attachment *a, const char *const target[DIRECTION_COUNT])
{
	pod_put_chains(t, a, target);
	pod_put_elements(t, a);
}

typedef void (*put_fn)(struct txn *t, const struct attachment *a, const char *const target[DIRECTION_COUNT]);

static void put_closed(struct txn *t, const struct attachment *a, put_fn put)
{
	const char *target[DIRECTION_COUNT];

	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = pod_closed_target(a->mode, (enum direction)d);
	put(t, a, target);
}

void pod_keep_owned(struct attachment *a)
{
	CLEAN_FREE char *key = attachment_key(a);
	size_t n = 0;

	for (size_t i = 0; !a->closing && i < a->n_addrs; i++) {
		CLEAN_FREE char *owner = podstore_owner_of_addr(&a->addrs[i]);

		if (owner && !strcmp(owner, key))
			a->addrs[n++] = a->addrs[i];
	}
	a->n_addrs = n;
}

/* What a rewrite of the static part takes from the store. */
struct rewrite {
	struct txn *t;
	struct tunnel_ports tunnel_ports; /* of the newest attachment whose conflist had some, */
	uint64_t since;                   /* made then */
	bool whole;                       /* table inet: every pod is closed again; else only what table bridge had of it */
	bool bridge_ready;                /* table bridge stands, or is in the batch */
};

/*
 * A stranger took the static part away, and elements may be gone with it: every pod of the store is closed again, with the
 * addresses that are still its own.
 */
static void reclose(const struct attachment *a, void *arg)
{
	struct attachment own = *a;
	struct rewrite *rewrite = arg;

	if (a->tunnel_ports.n && a->created >= rewrite->since) {
		rewrite->tunnel_ports = a->tunnel_ports;
		rewrite->since = a->created;
	}
	pod_keep_owned(&own);
	if (own.bridge[0] && !rewrite->bridge_ready) {
		bridge_put_table(rewrite->t);
		rewrite->bridge_ready = true;
	}
	if (rewrite->whole && a->closing)
		pod_bar_closing(rewrite->t, a);
	else if (rewrite->whole)
		put_closed(rewrite->t, &own, pod_put);
	else
		pod_link_put(rewrite->t, &own);
}

/* Of one whose state file is unreadable, what the index knows: its pod must not be open for it. */
static void reclose_unreadable(const char *key, const struct err *why, void *arg)
{
	struct attachment *a = NULL;

	(void)why;
	if (podstore_recover(key, &a, NULL) == 0 && a->port[0])
		reclose(a, arg);
	attachment_free(a);
}

/*
 * What a new owner takes from a former one: the addresses it has now, and all of them if it has its port's name too. The
 * former one's chains are there for the elements that are discarded, and go when no address is left to it.
 */
static void take_over(struct txn *t, const struct attachment *a, const struct attachment *former)
{
	size_t left = 0;

	add_chains(t, former);
	for (size_t i = 0; i < former->n_addrs; i++) {
		if (attachment_has_addr(a, &former->addrs[i]) || !strcmp(a->port, former->port))
			discard_addr(t, former, &former->addrs[i]);
		else
			left++;
	}
	if (!left)
		discard_chains(t, former);
	if (!strcmp(a->port, former->port) || !memcmp(a->mac, former->mac, sizeof(a->mac)))
		pod_link_discard_mac(t, former);
}

/* Queues the exact removal of an element that has another verdict than ours. */
static void evict(struct txn *t, struct nl *nl, const struct set_spec *map, struct key key, const char *own)
{
	char chain[CHAIN_NAME_MAX];

	if (txn_read_verdict(nl, map, key, chain) == 0 && strcmp(chain, own) != 0)
		txn_delete_element(t, map, key);
}

void pod_evict(struct txn *t, struct nl *nl, const struct attachment *a)
{
	char egress[CHAIN_NAME_MAX], ingress[CHAIN_NAME_MAX];

	pod_chain_name(EGRESS, a, egress);
	pod_chain_name(INGRESS, a, ingress);
	for (size_t i = 0; i < a->n_addrs; i++) {
		const struct addr *addr = &a->addrs[i];
		int f = FAMILY_INDEX(addr);

		evict(t, nl, &map_from_pod[f], input_key(a, addr), egress);
		evict(t, nl, &map_from_addr[f], key_of_addr(addr), egress);
		evict(t, nl, &map_to_pod[f], key_of_addr(addr), ingress);
	}
	pod_link_evict(t, nl, a);
}

/*
 * The kernel knows owners that the store does not: an attachment whose state file was lost. And the store may know a port that the
 * kernel still believes to speak with an address.
 */
static void evict_strangers(struct txn *t, struct nl *nl, const struct attachment *a, const struct attachment *const *former,
			    size_t n_former)
{
	for (size_t i = 0; i < n_former; i++) {
		bool elsewhere = strcmp(attachment_input(former[i]), attachment_input(a)) != 0;

		for (size_t j = 0; elsewhere && j < former[i]->n_addrs; j++) {
			const struct addr *addr = &former[i]->addrs[j];
			int f = FAMILY_INDEX(addr);

			if (!attachment_has_addr(a, addr))
				continue;
			txn_discard_element(t, &set_own[f], input_key(former[i], addr), NULL);
			txn_discard_element(t, &set_open_node[f], input_key(former[i], addr), NULL);
			evict(t, nl, &map_from_pod[f], input_key(former[i], addr), "");
		}
		pod_link_evict_former(t, nl, a, former[i]);
	}
	pod_evict(t, nl, a);
}

/* Whether the static part of the table is damaged. What could not be read is no damage, and an error. */
static int find_damage(int proof, bool *ret_damaged)
{
	*ret_damaged = ruleset_is_damaged(proof);
	return *ret_damaged ? 0 : proof;
}

/* Which tables are damaged. What another version of moat wrote is not: it is changed to ours. */
static int prove_all(struct nl *nl, struct proof *proof, bool bridged, bool *ret_inet, bool *ret_bridge, struct err *err)
{
	int code = 0, followed = 0;

	do {
		if (followed)
			proof_begin(proof, nl, false); /* it was of before the change */
		*ret_bridge = false;
		code = find_damage(proof_make(proof, err), ret_inet);
		if (code == 0 && bridged)
			code = find_damage(ruleset_prove(nl, TABLE_BRIDGE, err), ret_bridge);
		if (code < 0 || (!*ret_inet && !*ret_bridge) || followed)
			return code;
		followed = layout_follow(nl, err);
	} while (followed > 0);
	return followed;
}

/*
 * The static part, what does not stand of it, and the tunnel ports of a's conflist; those need a dump only if it names some. Nobody looks at
 * table bridge for a routed pod.
 */
static int put_static(struct txn *t, struct nl *nl, struct proof *proof, const struct attachment *a, bool *ret_whole, struct err *err)
{
	struct rewrite rewrite = {.t = t};
	struct bridge_record record;
	bool bridged = a->bridge[0], bridge_damaged;
	int code = prove_all(nl, proof, bridged, &rewrite.whole, &bridge_damaged, err);

	if (code < 0)
		return code;
	rewrite.bridge_ready = bridged && !bridge_damaged;
	if (rewrite.whole) {
		layout_queue_unhook(t, nl, TABLE_INET);
		ruleset_put(t, TABLE_INET);
	}
	if (bridge_damaged)
		layout_queue_unhook(t, nl, TABLE_BRIDGE);
	if (rewrite.whole || rewrite.bridge_ready != bridged) {
		if (rewrite.whole)
			proof_renew(proof);
		if (bridged && !rewrite.bridge_ready)
			bridge_put_table(t);
		rewrite.bridge_ready = bridged;
		podstore_each(NULL, reclose, reclose_unreadable, &rewrite, NULL);
	}
	if (bridged && bridge_record_get(a->bridge, &record, NULL) == 0)
		bridge_put(t, &record.bridge);
	if (a->tunnel_ports.n)
		rewrite.tunnel_ports = a->tunnel_ports;
	if (rewrite.whole ? rewrite.tunnel_ports.n : a->tunnel_ports.n)
		ruleset_put_tunnel_ports(t, nl, &rewrite.tunnel_ports, rewrite.whole);
	*ret_whole = rewrite.whole;
	return 0;
}

/* -ENOBUFS: the batch may have been taken, and its answer lost; all of them may be sent twice. */
static bool worth_another_attempt(int code)
{
	return code == -ENOENT || code == -EEXIST || code == -EBUSY || code == -ENOBUFS;
}

/* What the batch takes from former owners. The first attempt trusts the store for who they are. */
static void queue_former(struct txn *t, struct nl *nl, const struct attachment *a, const struct attachment *const *former, size_t n_former,
			 int attempt)
{
	pod_open_node(t, a, false); /* a former owner's, whom the store has forgotten */
	if (attempt > 0)
		evict_strangers(t, nl, a, former, n_former);
	else
		for (size_t i = 0; i < n_former; i++)
			if (!former[i]->closing) /* it was withdrawn by its DEL */
				take_over(t, a, former[i]);
	for (size_t i = 0; !a->bridge[0] && i < n_former; i++) /* a port that was a bridge's is none now */
		if (!strcmp(a->port, former[i]->port))
			pod_link_discard_port(t, nl, former[i]);
}

/* The chains alone, before anything leads to them. */
static int close_chains(struct nl *nl, struct proof *proof, const struct attachment *a, struct err *err)
{
	struct txn *t = txn_new();
	int code;

	put_closed(t, a, pod_put_chains);
	code = txn_commit(t, nl, err);
	if (code == 0)
		proof_pass(proof);
	txn_free(t);
	return code;
}

int pod_close(const struct attachment *a, const struct attachment *const *former, size_t n_former, struct err *err)
{
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct txn *t = txn_new();
		struct proof proof;
		bool whole, apart;

		proof_begin(&proof, &nl, attempt == 0);
		code = put_static(t, &nl, &proof, a, &whole, err);
		if (code < 0) {
			txn_free(t);
			break;
		}
		apart = !whole && (n_former || attempt > 0);
		if (apart)
			code = close_chains(&nl, &proof, a, err);
		queue_former(t, &nl, a, former, n_former, attempt);
		if (apart)
			pod_put_elements(t, a); /* the daemon may have opened the chains meanwhile */
		else
			put_closed(t, a, pod_put);
		if (code == 0)
			code = txn_commit(t, &nl, err);
		if (code == 0)
			proof_keep(&proof);
		txn_free(t);
		if (!worth_another_attempt(code))
			break;
	}
	nl_close(&nl);
	return code;
}

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
	struct key key = input_key(a, addr);
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
 * it, would reach its next owner, whom nobody had asked.
 */
static void keep_lost(struct txn *t, const struct attachment *a, const struct addr *addr)
{
	if (a->bridge[0])
		txn_add_element(t, &set_pods[FAMILY_INDEX(addr)], key_of_addr(addr), NULL);
}

static void queue_withdrawal(struct txn *t, struct nl *nl, const struct attachment *a)
{
	add_chains(t, a);
	for (size_t i = 0; i < a->n_addrs; i++)
		if (still_owns(nl, a, &a->addrs[i])) {
			discard_addr(t, a, &a->addrs[i]);
			keep_lost(t, a, &a->addrs[i]);
		} else {
			let_go(t, nl, a, &a->addrs[i]);
		}
	discard_chains(t, a);
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
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
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
		if (!worth_another_attempt(code))
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

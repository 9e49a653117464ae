/* SPDX-License-Identifier: Apache-2.0 */
/* ADD: the static part proved or rewritten, what former owners have taken from them, the pod closed. */
#include "moat/pod.h"

#include <linux/netlink.h>
#include <string.h>

#include "core/pod/pod_internal.h"
#include "core/pod/pod_link.h"
#include "moat/bridge.h"
#include "moat/layout.h"
#include "moat/podstore.h"
#include "moat/proof.h"
#include "moat/ruleset.h"

typedef void (*put_fn)(struct txn *t, const struct attachment *a, const char *const target[DIRECTION_COUNT]);

static void put_closed(struct txn *t, const struct attachment *a, put_fn put)
{
	const char *target[DIRECTION_COUNT];

	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = pod_closed_target(a->mode, (enum direction)d);
	put(t, a, target);
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

	pod_add_chains(t, former);
	for (size_t i = 0; i < former->n_addrs; i++) {
		if (attachment_has_addr(a, &former->addrs[i]) || !strcmp(a->port, former->port))
			pod_discard_addr(t, former, &former->addrs[i], false);
		else
			left++;
	}
	if (!left)
		pod_discard_chains(t, former);
	if (!strcmp(a->port, former->port) || !memcmp(a->mac, former->mac, sizeof(a->mac)))
		pod_link_discard_mac(t, former);
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
			txn_discard_element(t, &set_own[f], pod_input_key(former[i], addr), NULL);
			txn_discard_element(t, &set_open_node[f], pod_input_key(former[i], addr), NULL);
			pod_evict_element(t, nl, &map_from_pod[f], pod_input_key(former[i], addr), "");
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
		code = find_damage(proof_make(proof, TABLE_INET, err), ret_inet);
		if (code == 0 && bridged)
			code = find_damage(proof_make(proof, TABLE_BRIDGE, err), ret_bridge);
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
			proof_renew(proof, TABLE_INET);
		if (bridged && !rewrite.bridge_ready)
			bridge_put_table(t);
		rewrite.bridge_ready = bridged;
		podstore_each(NULL, reclose, reclose_unreadable, &rewrite, NULL);
	}
	if (bridge_damaged)
		proof_renew(proof, TABLE_BRIDGE);
	if (bridged && bridge_record_get(a->bridge, &record, NULL) == 0)
		bridge_put(t, &record.bridge);
	if (a->tunnel_ports.n)
		rewrite.tunnel_ports = a->tunnel_ports;
	if (rewrite.whole ? rewrite.tunnel_ports.n : a->tunnel_ports.n)
		ruleset_put_tunnel_ports(t, nl, &rewrite.tunnel_ports, rewrite.whole);
	*ret_whole = rewrite.whole;
	return 0;
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

int pod_close_over(struct nl *nl, const struct attachment *a, const struct attachment *const *former, size_t n_former, struct err *err)
{
	int code = 0;

	for (int attempt = 0; attempt < POD_ATTEMPTS; attempt++) {
		struct txn *t = txn_new();
		struct proof proof;
		bool whole, apart;

		proof_begin(&proof, nl, attempt == 0);
		code = put_static(t, nl, &proof, a, &whole, err);
		if (code < 0) {
			txn_free(t);
			break;
		}
		apart = !whole && (n_former || attempt > 0);
		if (apart)
			code = close_chains(nl, &proof, a, err);
		queue_former(t, nl, a, former, n_former, attempt);
		if (apart)
			pod_put_elements(t, a); /* the daemon may have opened the chains meanwhile */
		else
			put_closed(t, a, pod_put);
		if (code == 0)
			code = txn_commit(t, nl, err);
		if (code == 0)
			proof_keep(&proof);
		txn_free(t);
		if (!pod_worth_another_attempt(code))
			break;
	}
	return code;
}

int pod_close(const struct attachment *a, const struct attachment *const *former, size_t n_former, struct err *err)
{
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	code = pod_close_over(&nl, a, former, n_former, err);
	nl_close(&nl);
	return code;
}

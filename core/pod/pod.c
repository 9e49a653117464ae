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

#include <stdio.h>
#include <string.h>

#include "core/pod/pod_internal.h"
#include "core/pod/pod_link.h"
#include "moat/podstore.h"
#include "moat/rule.h"
#include "moat/ruleset.h"

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
struct key pod_input_key(const struct attachment *a, const struct addr *addr)
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
	fn(t, &set_own[f], pod_input_key(a, addr), NULL);
	fn(t, &map_from_pod[f], pod_input_key(a, addr), egress);
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

static void discard_but_pods(struct txn *t, const struct set_spec *set, struct key key, const char *goto_chain)
{
	if (set != &set_pods[0] && set != &set_pods[1])
		txn_discard_element(t, set, key, goto_chain);
}

/* The element that only the daemon adds goes with the others. */
void pod_discard_addr(struct txn *t, const struct attachment *a, const struct addr *addr, bool stays_lost)
{
	each_element(t, a, addr, stays_lost ? discard_but_pods : txn_discard_element);
	txn_discard_element(t, &set_open_node[FAMILY_INDEX(addr)], pod_input_key(a, addr), NULL);
	pod_link_discard_addr(t, a, addr, false);
}

void pod_open_node(struct txn *t, const struct attachment *a, bool open)
{
	for (size_t i = 0; i < a->n_addrs; i++) {
		const struct set_spec *set = &set_open_node[FAMILY_INDEX(&a->addrs[i])];

		if (open)
			txn_add_element(t, set, pod_input_key(a, &a->addrs[i]), NULL);
		else
			txn_discard_element(t, set, pod_input_key(a, &a->addrs[i]), NULL);
	}
}

void pod_add_chains(struct txn *t, const struct attachment *a)
{
	char chain[CHAIN_NAME_MAX];

	txn_add_chain(t, pod_chain_name(EGRESS, a, chain), NULL);
	txn_add_chain(t, pod_chain_name(INGRESS, a, chain), NULL);
}

void pod_discard_chains(struct txn *t, const struct attachment *a)
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
	pod_add_chains(t, a);
	pod_put_target(t, a, INGRESS, target[INGRESS]);
	pod_put_target(t, a, EGRESS, target[EGRESS]);
}

void pod_put(struct txn *t, const struct attachment *a, const char *const target[DIRECTION_COUNT])
{
	pod_put_chains(t, a, target);
	pod_put_elements(t, a);
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

/* Queues the exact removal of an element that has another verdict than ours. */
void pod_evict_element(struct txn *t, struct nl *nl, const struct set_spec *map, struct key key, const char *own)
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

		pod_evict_element(t, nl, &map_from_pod[f], pod_input_key(a, addr), egress);
		pod_evict_element(t, nl, &map_from_addr[f], key_of_addr(addr), egress);
		pod_evict_element(t, nl, &map_to_pod[f], key_of_addr(addr), ingress);
	}
	pod_link_evict(t, nl, a);
}

/* -ENOBUFS: the batch may have been taken, and its answer lost; all of them may be sent twice. */
bool pod_worth_another_attempt(int code)
{
	return code == -ENOENT || code == -EEXIST || code == -EBUSY || code == -ENOBUFS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod in the ruleset: the one function that plugin and daemon share to put it, and its opposites. Each call of the plugin
 * is one batch: all of it or none.
 */
#ifndef MOAT_POD_H
#define MOAT_POD_H

#include "moat/attachment.h"
#include "moat/txn.h"

/*
 * Name of one direction's chain of this very attachment: "i-<port>-<created, 16 hex digits>". Another attachment with the same
 * addresses has other chains, so that a writer with an old view of things changes nothing of the new owner's.
 */
const char *pod_chain_name(enum direction d, const struct attachment *a, char buf[CHAIN_NAME_MAX]);

bool pod_owns_chain(const struct attachment *a, const char *chain); /* is it one of the attachment's? */

/*
 * Queues the pod: the port guarded, its addresses, and its pair of chains, which go to target[direction] (an end of
 * ruleset.h, or a profile's chain that an earlier transaction has made). Fails at commit with -EEXIST or -EBUSY while another
 * attachment has one of the addresses.
 */
void pod_put(struct txn *t, const struct attachment *a, const char *const target[DIRECTION_COUNT]);

/*
 * Of that, only the chains and their rules. They are committed before the rest, unless nobody guarded the port and the addresses before
 * (core/pod/pod.c).
 */
void pod_put_chains(struct txn *t, const struct attachment *a, const char *const target[DIRECTION_COUNT]);

/*
 * Of that, only what makes a packet of the pod's, or to it, be lost where the dispatch maps have no verdict for it: closed
 * altogether if they are empty, as it was if they are not.
 */
void pod_bar(struct txn *t, const struct attachment *a);

/* After DEL, while the link may be there: the port, and behind a bridge the addresses that nobody else has. */
void pod_bar_closing(struct txn *t, const struct attachment *closing);

/* Of that, only the elements: of a pod whose chains are there. */
void pod_put_elements(struct txn *t, const struct attachment *a);

/*
 * Queues the swap of one direction to another target: touches rules only (swap discipline). Fails at commit with
 * -ENOENT if the attachment was withdrawn meanwhile: a late writer opens nothing.
 */
void pod_put_target(struct txn *t, const struct attachment *a, enum direction d, const char *target);

/* Queues that the pod always reaches its own node (mode standard), or no longer does. */
void pod_open_node(struct txn *t, const struct attachment *a, bool open);

/*
 * Queues the removal of the pod's elements that the kernel has with another verdict than the pod's own chain: pod_put in the same
 * transaction puts the right ones.
 */
void pod_evict(struct txn *t, struct nl *nl, const struct attachment *a);

/* Of the attachment's addresses only those that are its own by the pod store; none if it is closing. */
void pod_keep_owned(struct attachment *a);

/* The target of a pod without confirmed policy: closed, or told only (preview, audit). */
const char *pod_closed_target(enum mode mode, enum direction d);

/*
 * Closes the attachment's pod (mode strict, standard: nothing allowed; preview, audit: let through and told): static chains
 * proved whole or rewritten, the pod's chains and elements in place. `former` are attachments that own some of its
 * addresses or its port name by the pod store (an earlier one of the same key too): in the same batch they lose those. Owners the
 * store has forgotten are found in the kernel.
 */
int pod_close(const struct attachment *a, const struct attachment *const *former, size_t n_former, struct err *err);
/* The same over a socket of the caller's: whoever follows the table's changes knows those of his own. */
int pod_close_over(struct nl *nl, const struct attachment *a, const struct attachment *const *former, size_t n_former, struct err *err);

/*
 * DEL, first half: addresses and chains go, the port stays in `ports` and so closed; behind a bridge the addresses stay in `pods`. An address that a newer attachment has
 * in the kernel stays that one's. Idempotent; a missing table is success.
 */
int pod_withdraw(const struct attachment *a, struct err *err);

/* DEL, second half, once the link is gone: the port leaves `ports`, and what nobody else has of the addresses `pods`. Idempotent. */
int pod_release_port(const struct attachment *a, struct err *err);
/* The same where another attachment has the port's name by now: only its number goes, and the addresses. */
int pod_release_link(const struct attachment *a, struct err *err);

/* CHECK: everything pod_close puts is there (whatever profile the daemon has given). -ENOENT names what is missing. */
int pod_check(const struct attachment *a, struct err *err);

/* STATUS: -EOPNOTSUPP: the kernel lacks nf_tables or a needed expression (a throw-away batch was refused); -EPERM;
 * -EBADMSG: standing static rules are damaged (none standing is fine). */
int pod_ruleset_supported(struct err *err);
int pod_ruleset_intact(struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction on the tables `inet moat` and `bridge moat`: operations are queued, none of them can fail, and one commit sends all
 * of them in one batch that the kernel takes whole or not at all. The error of a commit names the operation that the kernel refused.
 *
 * Adding is idempotent for tables, chains, sets and equal elements (NLM_F_CREATE without NLM_F_EXCL). Deleting what is not
 * there fails the batch (-ENOENT); the `discard` forms add first and then delete in the same batch, so they are idempotent on every
 * kernel (NFT_MSG_DESTROY* exist from 6.3 on only).
 */
#ifndef MOAT_TXN_H
#define MOAT_TXN_H

#include "moat/addr.h"
#include "moat/nl.h"

#define TABLE_NAME "moat"
#define CHAIN_NAME_MAX 64

struct txn;

/* The second is there only where pods are ports of a bridge. */
enum table {
	TABLE_INET,
	TABLE_BRIDGE,
	TABLE_NAT, /* "inet moat-nat": masquerading (masquerade.h); in its base chains packets are translated */
};
const char *table_text(enum table table); /* "inet moat" */

/* What a set's key is made of, in order. */
enum field {
	FIELD_END,
	FIELD_IFNAME, /* 16 bytes, zero-padded */
	FIELD_IPV4,
	FIELD_IPV6,
	FIELD_PROTOCOL, /* 1 byte, padded to 4 */
	FIELD_PORT,     /* 2 bytes, network order, padded to 4 */
	FIELD_ETHER,    /* 6 bytes, padded to 8 */
	FIELD_IFINDEX,  /* 4 bytes, host order */
};

enum set_flags {
	SET_PLAIN = 0,
	SET_VERDICT = 1 << 0,  /* a map to verdicts */
	SET_INTERVAL = 1 << 1, /* elements are ranges; never edited once a rule uses it (swap discipline) */
	SET_TIMEOUT = 1 << 2,  /* elements die by themselves */
};

struct set_spec {
	const char *name;
	enum field fields[6]; /* FIELD_END ends it; nft reads names of five at most */
	unsigned flags;
	uint32_t timeout_ms; /* SET_TIMEOUT: default of its elements */
	enum table table;
	enum field value; /* a map to values of this kind; FIELD_END: none */
};

/* The key of an element, built field by field in the set's order. */
struct key {
	uint8_t bytes[64];
	uint8_t len;
};
struct key key_of_port(const char *ifname);
struct key key_of_index(uint32_t ifindex);
struct key key_of_addr(const struct addr *a);
struct key key_with_ifname(struct key k, const char *ifname);
struct key key_with_addr(struct key k, const struct addr *a);
struct key key_with_protocol(struct key k, uint8_t protocol);
struct key key_with_port(struct key k, uint16_t port); /* host order */
struct key key_with_ether(struct key k, const uint8_t mac[6]);
struct key key_of_ether(const uint8_t mac[6]);

/* Where a base chain hangs. Its policy is accept: moat denies what it guards and leaves the rest alone. */
struct chain_hook {
	uint32_t hook; /* NF_INET_*, NF_BR_* */
	int32_t priority;
};

struct txn *txn_new(void);
void txn_free(struct txn *t); /* accepts NULL */
bool txn_is_empty(const struct txn *t);
size_t txn_bytes(const struct txn *t);

/*
 * Lets the transaction go to the kernel in parts, each whole or not at all, as it grows beyond what a socket's send buffer takes
 * without privilege in the initial user namespace (net.core.wmem_max, 208 KiB by default). Only for what no rule uses yet.
 * An error of a part is that of txn_commit; nothing is sent after it.
 */
void txn_allow_parts(struct txn *t, struct nl *nl);

/*
 * The commit fails with -ERESTART if the ruleset is of another generation by then (table_event.h): for what may only be done while
 * nobody, whoever it is, has changed anything since somebody looked.
 */
void txn_only_at(struct txn *t, uint32_t generation);

/* Elements of table bridge moat that are queued from now on are not: a removal has nothing to do where the table is gone. */
void txn_without_bridge(struct txn *t);

/* Tables, chains, rules and txn_delete_set that follow are about this table; at first about inet. Sets and elements know theirs. */
void txn_on(struct txn *t, enum table table);

void txn_add_table(struct txn *t);
void txn_delete_table(struct txn *t);
void txn_add_chain(struct txn *t, const char *chain, const struct chain_hook *hook); /* hook NULL: a regular chain */
void txn_flush_chain(struct txn *t, const char *chain);
void txn_delete_chain(struct txn *t, const char *chain);
void txn_discard_chain(struct txn *t, const char *chain); /* regular chains; flushes it first */

void txn_add_set(struct txn *t, const struct set_spec *set);
void txn_delete_set(struct txn *t, const char *set);
void txn_flush_set(struct txn *t, const struct set_spec *set);

/* Elements. goto_chain: the verdict of a SET_VERDICT set; NULL there means `return`. */
void txn_add_element(struct txn *t, const struct set_spec *set, struct key key, const char *goto_chain);
void txn_add_range(struct txn *t, const struct set_spec *set, struct key first, struct key last, const char *goto_chain);
void txn_delete_element(struct txn *t, const struct set_spec *set, struct key key);
/* Idempotent delete: goto_chain must be the verdict that the element has if it is there. */
void txn_discard_element(struct txn *t, const struct set_spec *set, struct key key, const char *goto_chain);

/* The same for a map to values: adding over another value is refused with -EEXIST or -EBUSY, as over another verdict. */
void txn_add_mapping(struct txn *t, const struct set_spec *map, struct key key, struct key value);
void txn_discard_mapping(struct txn *t, const struct set_spec *map, struct key key, struct key value);

/*
 * The chain to which the element's verdict goes ("" if it is no goto), as the kernel has it now. -ENOENT: no such element, set
 * or table.
 */
int txn_read_verdict(struct nl *nl, const struct set_spec *set, struct key key, char ret_chain[CHAIN_NAME_MAX]);
/* Likewise the value of an element of a map to values. */
int txn_read_mapping(struct nl *nl, const struct set_spec *map, struct key key, struct key *ret_value);

/*
 * Sends the batch over an NETLINK_NETFILTER socket. 0: committed. Otherwise nothing of it is in the kernel: -ENOENT, -EEXIST, -EBUSY …
 * of the first refused operation, named in err. An empty transaction succeeds without a word to the kernel.
 */
int txn_commit(struct txn *t, struct nl *nl, struct err *err);

#endif

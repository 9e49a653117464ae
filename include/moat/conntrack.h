/* SPDX-License-Identifier: Apache-2.0 */
/* Connection tracking entries: a new owner of an address inherits none, a narrowed policy leaves none. */
#ifndef MOAT_CONNTRACK_H
#define MOAT_CONNTRACK_H

#include "moat/addr.h"
#include "moat/nl.h"

/*
 * The two sockets: one finds, and may do so in a thread of its own, while the other deletes. Kept open by who does it often:
 * closing one while nf_tables destroys what anybody has deleted waits for that, 10–20 ms.
 */
struct conntrack {
	struct nl finder, deleter;
	uint32_t buckets; /* of the kernel's table: what a walk costs if it is empty */
};

int conntrack_open(struct conntrack *ct, struct err *err);
void conntrack_close(struct conntrack *ct); /* accepts one that was not opened: descriptors -1 */

struct conntrack_flow {
	struct addr source, destination;             /* original direction, before NAT */
	struct addr reply_source, reply_destination; /* after NAT: reply_source is who really answers */
	uint16_t source_port, destination_port;      /* host order; ICMP: 0 */
	uint16_t reply_source_port, reply_destination_port;
	uint8_t protocol;
};

#define CONNTRACK_TUPLE_MAX 96 /* both addresses and ports of IPv6, or ICMPv6's numbers, as attributes: 80 */

struct conntrack_entry {
	struct conntrack_flow flow;
	/* what names exactly this entry to the kernel: its original tuple, zone and number */
	uint8_t family, tuple_len;
	uint8_t tuple[CONNTRACK_TUPLE_MAX];
	bool has_zone;
	uint16_t zone; /* network order, as id */
	uint32_t id;
};

struct conntrack_entries {
	struct conntrack_entry *v;
	size_t n, cap;
};

/* Which of an entry's four addresses. */
enum conntrack_end { CONNTRACK_SOURCE, CONNTRACK_DESTINATION, CONNTRACK_REPLY_SOURCE, CONNTRACK_REPLY_DESTINATION, CONNTRACK_ENDS };

struct conntrack_place {
	struct addr addr;
	enum conntrack_end end;
};

/*
 * Appends the entries, of every zone, that have one of the addresses in its place; one that has several of them may be there more
 * than once. The caller frees ret->v.
 */
int conntrack_find(struct conntrack *ct, const struct conntrack_place *places, size_t n, struct conntrack_entries *ret, struct err *err);

/* Deletes exactly these; those that are gone meanwhile are fine, and do not count. ret_deleted may be NULL. */
int conntrack_delete(struct conntrack *ct, const struct conntrack_entry *entries, size_t n, size_t *ret_deleted, struct err *err);

/* Finds and deletes all entries that have one of the addresses anywhere, with sockets of its own: for a process that does it once. */
int conntrack_forget(const struct addr *addrs, size_t n_addrs, struct err *err);

#endif

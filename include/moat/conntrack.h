/* SPDX-License-Identifier: Apache-2.0 */
/* Connection tracking entries: a new owner of an address inherits none, a narrowed policy leaves none. */
#ifndef MOAT_CONNTRACK_H
#define MOAT_CONNTRACK_H

#include "moat/addr.h"
#include "moat/nl.h"

/*
 * The two sockets of a sweep: one dumps while the other deletes. Kept open by who sweeps often: closing one while nf_tables
 * destroys what anybody has deleted waits for that, 10–20 ms.
 */
struct conntrack {
	struct nl dumper, deleter;
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

/* Should this entry die? */
typedef bool (*conntrack_match_fn)(const struct conntrack_flow *flow, void *arg);

/*
 * Deletes, in every zone, the entries that have one of the addresses in either tuple and that match says yes to (match NULL:
 * all). Entries that vanish meanwhile are fine. ret_deleted may be NULL.
 */
int conntrack_delete(struct conntrack *ct, const struct addr *addrs, size_t n_addrs, conntrack_match_fn match, void *arg, size_t *ret_deleted,
		     struct err *err);

/* All of the addresses' entries, with sockets of its own: for a process that does it once. */
int conntrack_forget(const struct addr *addrs, size_t n_addrs, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Connection tracking entries: a new owner of an address inherits none, a narrowed policy leaves none. */
#ifndef MOAT_CONNTRACK_H
#define MOAT_CONNTRACK_H

#include "moat/addr.h"

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
int conntrack_delete(const struct addr *addrs, size_t n_addrs, conntrack_match_fn match, void *arg, size_t *ret_deleted,
		     struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the connection tracking table, made without a packet: for tests and benches of what finds and deletes them. */
#ifndef TESTS_FLOWS_H
#define TESTS_FLOWS_H

#include "moat/conntrack.h"

/*
 * Queues an entry: source:source_port → destination:destination_port, answered by reply_source:reply_source_port to
 * reply_destination:reply_destination_port; assured, for ten minutes. flows_send sends what is queued, and so does a full queue.
 */
struct flows {
	struct nl nl;
	char bytes[32768];
	size_t len;
	uint16_t zone;  /* of what is queued from now on */
	size_t refused; /* entries that the kernel did not take */
};

void flows_open(struct flows *f); /* aborts if it cannot */
void flows_close(struct flows *f);
void flows_add(struct flows *f, const struct conntrack_flow *flow);
void flows_send(struct flows *f);

size_t flows_count(void); /* entries of this network namespace */

#endif

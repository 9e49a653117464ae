/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ranges in which this node's own pods have their addresses, and what becomes of an address in them that is not guarded: the pod was
 * started without moat.
 */
#ifndef POLICYD_POD_RANGES_H
#define POLICYD_POD_RANGES_H

#include "policyd/model/cluster.h"

enum ranges_source { RANGES_UNKNOWN, RANGES_GIVEN, RANGES_OF_NODE };

struct pod_ranges {
	VEC(struct block) blocks; /* sorted, none within another */
	enum ranges_source source;
	bool deny;           /* such packets are lost; else they are counted, */
	const char *why_not; /* for this reason (static text) */
};

/*
 * Those given once and for all; else spec.podCIDRs of the Node of this name. Strict networks deny. But a Node's podCIDRs are not
 * always where its pods are: some address management leaves them unused, and another node's pods may be there. Where
 * a pod of this node has an address outside, they are not believed.
 */
void cluster_pod_ranges(const struct cluster *c, struct pod_ranges *ret); /* pod_ranges_done */
void pod_ranges_done(struct pod_ranges *p);
bool pod_ranges_equal(const struct pod_ranges *a, const struct pod_ranges *b);

#endif

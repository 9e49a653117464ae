/* SPDX-License-Identifier: Apache-2.0 */
/* Routes to other nodes' pods, in the main table of the caller's network namespace. Ours have a protocol of their own. */
#ifndef MOAT_ROUTE_H
#define MOAT_ROUTE_H

#include "moat/addr.h"

#define ROUTE_PROTOCOL 109 /* rtm_protocol: none of iproute2's rt_protos */

struct route {
	struct block to;
	struct addr via; /* same family */
};

/* -EEXIST: somebody else has a route there, which stays. -ENETUNREACH: via is on no link of the node. */
int route_add(const struct route *r, struct err *err);
int route_remove(const struct route *r, struct err *err); /* not there is fine */

/* Calls fn for each route of ROUTE_PROTOCOL. */
typedef void (*route_fn)(const struct route *r, void *arg);
int route_each(route_fn fn, void *arg, struct err *err);

int route_cmp(const struct route *a, const struct route *b); /* a total order */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* --node-routes: routes to the other nodes' pods, and masquerading of what leaves the cluster, from the Nodes. */
#ifndef POLICYD_NODE_ROUTES_H
#define POLICYD_NODE_ROUTES_H

#include "moat/nl.h"
#include "moat/route.h"
#include "policyd/model/cluster.h"

struct node_plan {
	VEC(struct route) routes;  /* to the podCIDRs of other nodes by their InternalIP, each once */
	VEC(struct block) own;     /* this node's podCIDRs, */
	VEC(struct block) cluster; /* all nodes' podCIDRs and addresses; none within another */
};

struct node_routes {
	struct node_plan plan; /* as it was brought last */
	bool stands;
	char trouble[ERR_TEXT_MAX]; /* what did not work last; "" */
};

/* Pure: what the Nodes want of the node of this name. */
void node_plan_make(const struct cluster *c, const char *node, struct node_plan *ret);
void node_plan_done(struct node_plan *p);

/*
 * Once every source is synced, each second: brings the kernel to what the Nodes say if that is otherwise than before. verify: look whether it
 * stands, too.
 */
void node_routes_look(struct node_routes *n, const struct cluster *c, const char *node, struct nl *nl, bool verify);
void node_routes_done(struct node_routes *n);

#endif

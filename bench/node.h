/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node with two pods, in network namespaces of its own, and what forwards between them: nothing but the kernel, conntrack
 * too, or moat with a daemon that has a cluster of some size.
 *
 *	10.9.0.2, fd00:9::2   client eth0 ---- pc  NAME  ps ---- eth0 server   10.9.0.3, fd00:9::3
 */
#ifndef BENCH_NODE_H
#define BENCH_NODE_H

#include <sys/types.h>

#include "moat/base.h"

#define NODE_PORT 9000 /* UDP, the server's; the one flow that policies allow the client */

enum node_guard { NODE_BARE, NODE_CONNTRACK, NODE_MOAT };

struct node {
	const char *name; /* prefix of all its names */
	const char *text; /* for people */
	enum node_guard guard;
	unsigned pods;     /* in the table, the two included; the others are closed */
	unsigned peers;    /* that the server's policy allows, the client included */
	unsigned blocks;   /* that it allows instead; 0: peers */
	unsigned policies; /* one for the client's egress, the others for the server, a port each */

	int netns, client, server; /* network namespaces */
	pid_t daemon;
};

void node_make(struct node *n, const char *build); /* ends the process if it cannot */
void node_enter(int netns);
void node_flush_conntrack(const struct node *n); /* the caller is moved to the node's namespace */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The net below: a pod that was started without moat has an address in this node's ranges that nobody guards. Its packets, and those to it,
 * are lost in mode strict and counted otherwise. Ranges are verdict maps that are never edited: others are made beside them, swapped
 * in by rules, and the former taken away, in the three transactions of every change (reconcile.c).
 */
#ifndef POLICYD_NET_H
#define POLICYD_NET_H

#include "policyd/model/pod_ranges.h"
#include "policyd/kernel/program.h"

struct net_below {
	struct pod_ranges ranges;  /* in force, or on the way */
	uint32_t number, former;   /* of their maps, and of those before */
	bool has[2], had[2];       /* by family */
	bool stands;               /* the kernel has it */
	bool moving;               /* between the first transaction and the third */
};

void net_prepare(struct net_below *n, struct txn *t, const struct cluster *c, struct epoch *epoch); /* maps, if something changed */
void net_fill(const struct net_below *n, struct txn *t, const struct epoch *epoch);                 /* rules, if they are to be others */
void net_clean(struct net_below *n, struct txn *t, const struct epoch *epoch);                      /* the former maps */
/* Everything that stands of it, to compare. */
void net_put(const struct net_below *n, struct txn *t, const struct epoch *epoch);

void net_distrust(struct net_below *n); /* somebody changed it */
void net_forget(struct net_below *n);   /* a new epoch: nothing of it is there */
void net_done(struct net_below *n);

#endif

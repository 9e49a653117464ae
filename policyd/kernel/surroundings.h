/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the static sets say about the world around the node's pods: the nodes, to which no pod may tunnel, and who is a settled
 * peer, whom `reject` may answer. A client whose address the daemon has not seen yet must retry, not fail: it is in no
 * `known` set, and inside the ranges in which pods are yet to come (`unsettled`: the nodes' podCIDRs; everything while no
 * Node tells any).
 */
#ifndef POLICYD_SURROUNDINGS_H
#define POLICYD_SURROUNDINGS_H

#include "moat/txn.h"
#include "policyd/model/compile.h"

struct surroundings {
	bool nodes_stand, tunnels_stand; /* the kernel has what the model said last */
	bool changed_by_others; /* and not only the plugin: where no conflist lists tunnel ports, the default's are put back */
	struct group *every_pod; /* its members are in `known`; NULL while no local pod rejects */
};

/* Queues what changed about nodes and tunnel ports; everything, with what a former daemon left taken away, after surroundings_forget. */
void surroundings_prepare(struct surroundings *s, struct txn *t, struct cluster *c, struct nl *nl);

/* Queues all known pods when the first pod that rejects comes: true, and every_pod is then to be installed. */
bool surroundings_want_known(struct surroundings *s, struct txn *t, struct cluster *c, const struct local_pod *pod);
void surroundings_change_known(struct txn *t, const struct member_change *change);

/* Queues everything that the sets of nodes and tunnels, and of known pods, should have, and nothing else: to compare. */
void surroundings_put(struct txn *t, const struct cluster *c);
void surroundings_put_known(const struct surroundings *s, struct txn *t);

/* Somebody changed the sets of nodes or tunnels: they are put again. */
void surroundings_distrust(struct surroundings *s);

/* The kernel is to be told everything again. */
void surroundings_forget(struct surroundings *s, struct cluster *c);

#endif

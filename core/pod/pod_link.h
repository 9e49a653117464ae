/* SPDX-License-Identifier: Apache-2.0 */
/* A pod in table bridge moat, for pod.c: its elements there. All of it does nothing for a routed pod. */
#ifndef CORE_POD_LINK_H
#define CORE_POD_LINK_H

#include "moat/attachment.h"
#include "moat/txn.h"

/* Port, MAC and addresses. One without addresses is closing: its port only, which is lost then whatever it says. */
void pod_link_put(struct txn *t, const struct attachment *a);
/* CHECK: the table stands, and all of it is there. */
int pod_link_check(struct nl *nl, const struct attachment *a, struct err *err);
/* What the pod's port may say of an address; and, unless another attachment has it now (lost), the address itself. */
void pod_link_discard_addr(struct txn *t, const struct attachment *a, const struct addr *addr, bool lost);
/* DEL, first half: the MAC. */
void pod_link_discard_mac(struct txn *t, const struct attachment *a);
/* DEL, second half: the port. */
void pod_link_discard_port(struct txn *t, struct nl *nl, const struct attachment *a);
/* Values in the way of what pod_link_put of `a` will add, of owners whom the store has forgotten; and what is left of a former owner. */
void pod_link_evict(struct txn *t, struct nl *nl, const struct attachment *a);
void pod_link_evict_former(struct txn *t, struct nl *nl, const struct attachment *a, const struct attachment *former);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Other programs of the node that enforce NetworkPolicies: what they enforce adds up with moat's, and whoever looks for a reason must know. */
#ifndef MOAT_ENFORCERS_H
#define MOAT_ENFORCERS_H

#include "moat/err.h"

/* who: "kube-router"; sign: what was found of it, "chain KUBE-ROUTER-FORWARD of table ip filter". Once for each sign. */
typedef void (*enforcer_fn)(const char *who, const char *sign, void *arg);

/*
 * Calls fn for what is known of others. It asks for a score of names, whatever else there is, and lists the interfaces once. What iptables-legacy
 * keeps no netlink tells: that there is such a thing is a sign of nobody's (who "").
 */
int enforcers_each(enforcer_fn fn, void *arg, struct err *err);

#endif

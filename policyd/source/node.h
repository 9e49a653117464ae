/* SPDX-License-Identifier: Apache-2.0 */
/* What this node is called in the API: Pods name it in spec.nodeName. */
#ifndef POLICYD_NODE_H
#define POLICYD_NODE_H

#include "moat/err.h"

/*
 * option, else NODE_NAME of the environment (the downward API's spec.nodeName); either is -EINVAL if it is no name. Else the
 * host's name as the kubelet makes a node's of it: without spaces around, in lower case. *ret (caller frees) is NULL if that is none.
 */
int node_name(const char *option, char **ret, struct err *err);
/* That of a host. */
char *node_name_of_host(const char *hostname);

#endif

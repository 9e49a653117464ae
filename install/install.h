/* SPDX-License-Identifier: Apache-2.0 */
/* What should be on the node, beside what is. */
#ifndef INSTALL_INSTALL_H
#define INSTALL_INSTALL_H

#include "install/options.h"
#include "moat/err.h"

/*
 * Brings binary and conflist to what they should be, in this order; a reason why not leaves both as they are. Without a primary,
 * or before the Node's ranges are known, a conflist that stands is kept.
 */
int install_put(const struct install_options *options, struct err *err);

/* Is all so? Changes nothing. */
int install_check(const struct install_options *options, struct err *err);

/* Will it work here? The kernel (CAP_NET_ADMIN), the run directory, and the primary if it is there yet. Leaves nothing. */
int install_preflight(const struct install_options *options, struct err *err);

/* Conflist, then binary (unless another configuration chains moat). Pods that run keep what is in force. */
int install_remove(const struct install_options *options, struct err *err);

/*
 * After install_remove, and without daemon: tables, the settings of bridges, routes and the pod store go, and with them what closes pods
 * that still run.
 */
int install_release(const struct install_options *options, struct err *err);

/* install_put now, and whenever something of it changes, until SIGTERM. */
int install_follow(const struct install_options *options, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Least privilege of the daemon: capabilities and system calls. */
#ifndef POLICYD_CONFINE_H
#define POLICYD_CONFINE_H

#include "moat/err.h"

/* First of all: of the capabilities only CAP_NET_ADMIN stays, and io_uring is not to be had. Fails without that capability. */
int confine_begin(struct err *err);

/* kube: what the source `kube` needs too. Once everything is open that needs to be, and before anything is read that tenants wrote: only known system calls from here on. */
int confine_calls(bool kube, struct err *err);

#endif

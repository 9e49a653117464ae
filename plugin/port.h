/* SPDX-License-Identifier: Apache-2.0 */
/* The port of the call's container, and whether moat can guard it. */
#ifndef MOAT_PLUGIN_PORT_H
#define MOAT_PLUGIN_PORT_H

#include "moat/link.h"
#include "plugin/cni.h"

/* CNI_UNSUPPORTED_PRIMARY: not a veth, its peer is elsewhere, or it is enslaved, so that frames pass below the rules. */
int port_find(const struct cni_call *call, struct link *ret, struct cni_error *e);

#endif

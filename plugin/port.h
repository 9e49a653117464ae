/* SPDX-License-Identifier: Apache-2.0 */
/* The port of the call's container, and whether moat can guard it. */
#ifndef MOAT_PLUGIN_PORT_H
#define MOAT_PLUGIN_PORT_H

#include "moat/bridge.h"
#include "moat/link.h"
#include "plugin/cni.h"

struct port {
	struct link link;
	struct bridge bridge; /* that it belongs to; name "" if it is routed */
};

/* CNI_UNSUPPORTED_PRIMARY: not a veth, its peer is elsewhere, or it is enslaved to anything but a bridge. */
int port_find(const struct cni_call *call, struct port *ret, struct cni_error *e);
/* Can moat guard a pod with a's addresses there? A routed port always. CNI_UNSUPPORTED_PRIMARY: a bridge that is not plain. */
int port_check(const struct port *port, const struct attachment *a, struct cni_error *e);

#endif

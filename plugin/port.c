/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/port.h"

#include <string.h>

#include "moat/text.h"

static int fail_find(const struct cni_call *call, const struct err *err, struct cni_error *e)
{
	const char *netns = call->env.netns, *ifname = call->env.ifname;

	switch (err->code) {
	case ENOENT:
	case EINVAL:
		return cni_fail_cause(e, CNI_NO_NETNS, err, "CNI_NETNS %s is not a network namespace: it is gone, or never was one",
				      TEXT(netns));
	case ENODEV:
		return cni_fail_cause(e, CNI_NO_INTERFACE, err, "there is no interface %s in %s; moat must be chained after a primary plugin that makes it",
				      TEXT(ifname), TEXT(netns));
	case EMEDIUMTYPE:
	case ELNRNG:
		return cni_fail_cause(e, CNI_UNSUPPORTED_PRIMARY, err, "interface %s has no veth peer on the node; use bridge, ptp or a routed primary with veths",
				      TEXT(ifname));
	default:
		return cni_fail_cause(e, CNI_IO_FAILURE, err, "cannot find the port of %s in %s", TEXT(ifname), TEXT(netns));
	}
}

static int find_bridge(const struct link *port, struct bridge *ret, struct cni_error *e)
{
	struct err err;

	if (bridge_look(port->master_index, ret, &err) == 0)
		return 0;
	if (err.code != EMEDIUMTYPE)
		return cni_fail_cause(e, CNI_IO_FAILURE, &err, "cannot look at the bridge of port %s", TEXT(port->name));
	/* a VRF or an Open vSwitch: packets come from another interface, or never reach the rules */
	return cni_fail_cause(e, CNI_UNSUPPORTED_PRIMARY, &err,
			      "port %s belongs to an interface that is no Linux bridge; use bridge, ptp or a routed primary", TEXT(port->name));
}

int port_find(const struct cni_call *call, struct port *ret, struct cni_error *e)
{
	struct err err;

	ret->bridge.name[0] = '\0';
	if (link_port_of(call->env.netns, call->env.ifname, &ret->link, &err) < 0)
		return fail_find(call, &err, e);
	return ret->link.master_index ? find_bridge(&ret->link, &ret->bridge, e) : 0;
}

int port_check(const struct port *port, const struct attachment *a, struct cni_error *e)
{
	struct err err;

	if (!port->bridge.name[0] || bridge_check(&port->bridge, a, &err) == 0)
		return 0;
	return cni_fail_cause(e, err.code == EOPNOTSUPP ? CNI_UNSUPPORTED_PRIMARY : CNI_IO_FAILURE, &err,
			      "moat cannot guard port %s of bridge %s", TEXT(port->link.name), TEXT(port->bridge.name));
}

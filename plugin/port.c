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
		return cni_fail_cause(e, CNI_UNSUPPORTED_PRIMARY, err, "interface %s has no veth peer on the node; use ptp or a routed primary with veths",
				      TEXT(ifname));
	default:
		return cni_fail_cause(e, CNI_IO_FAILURE, err, "cannot find the port of %s in %s", TEXT(ifname), TEXT(netns));
	}
}

int port_find(const struct cni_call *call, struct link *ret, struct cni_error *e)
{
	struct link port, master = {.kind = "unknown"};
	struct err err;

	if (link_port_of(call->env.netns, call->env.ifname, &port, &err) < 0)
		return fail_find(call, &err, e);
	if (port.master_index) {
		/* a VRF or an Open vSwitch is no better: packets come from another interface, or never reach the rules */
		link_by_index(port.master_index, &master, NULL);
		if (!strcmp(master.kind, "bridge"))
			return cni_fail(e, CNI_UNSUPPORTED_PRIMARY,
					"port %s belongs to bridge %s: bridge primaries are not supported by this version, use ptp or a routed primary",
					TEXT(port.name), TEXT(master.name));
		return cni_fail(e, CNI_UNSUPPORTED_PRIMARY,
				"port %s belongs to %s (%s): ports of other interfaces are not supported, use ptp or a routed primary",
				TEXT(port.name), TEXT(master.name), TEXT(master.kind));
	}
	*ret = port;
	return 0;
}

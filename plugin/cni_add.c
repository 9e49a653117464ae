/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD: read and check everything, find the port, close the pod, ask the daemon for its policy, pass prevResult on. When it succeeds
 * the pod's default deny is committed; when it cannot be, the pod does not start (design, invariant 1).
 */
#include <stdio.h>
#include <string.h>

#include "moat/clock.h"
#include "moat/podstore.h"
#include "moat/privilege.h"
#include "moat/text.h"
#include "plugin/cni.h"
#include "plugin/cni_result.h"
#include "plugin/guard.h"
#include "plugin/notify.h"
#include "plugin/port.h"

/* The mode lets everything through anyway: what moat cannot guard is told, not refused. */
static bool only_observes(const struct cni_call *call)
{
	return call->config.mode == MODE_PREVIEW || call->config.mode == MODE_AUDIT;
}

static int read_addrs(const struct cni_call *call, struct attachment *a, struct cni_error *e)
{
	int code;

	if (!call->config.prev_result)
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult is missing: moat must be chained after a primary plugin");
	code = cni_result_read_addrs(&call->config, call->env.ifname, call->env.netns, a->addrs, &a->n_addrs, e);
	if (!code && a->n_addrs == 0)
		code = cni_fail(e, CNI_UNSUPPORTED_PRIMARY,
				"prevResult has no address for interface %s in %s: moat must be chained after a primary plugin that assigns one",
				TEXT(call->env.ifname), TEXT(call->env.netns));
	return code;
}

static void fill(const struct cni_call *call, const struct port *port, struct attachment *a)
{
	a->network = mem_strdup(call->config.name);
	a->container_id = mem_strdup(call->env.container_id);
	a->ifname = mem_strdup(call->env.ifname);
	a->pod_namespace = mem_strdup(call->env.pod_namespace);
	a->pod_name = mem_strdup(call->env.pod_name);
	a->pod_uid = mem_strdup(call->env.pod_uid);
	snprintf(a->port, sizeof(a->port), "%s", port->link.name);
	a->port_index = port->link.index;
	a->peer_index = port->link.peer_index;
	if (port->bridge.name[0])
		memcpy(a->mac, port->link.peer_mac, sizeof(a->mac));
	a->mode = call->config.mode;
	a->deny = call->config.deny;
	a->tunnel_ports = call->config.tunnel_ports;
	a->created = clock_realtime_ns();
}

static int guard(const struct cni_call *call, struct attachment *a, struct cni_error *e)
{
	struct port port;
	struct err err;
	int code = read_addrs(call, a, e);

	if (!code)
		code = port_find(call, &port, e);
	if (!code)
		code = port_check(&port, a, e);
	if (!code && privilege_keep(PRIVILEGE(CAP_NET_ADMIN), NULL, &err) < 0) /* no namespace is entered any more */
		cni_warn("%s", err.text);
	if (!code && podstore_init(&err) < 0)
		code = cni_fail_cause(e, CNI_IO_FAILURE, &err, "the pod store cannot be used");
	if (code)
		return code;
	fill(call, &port, a);
	return guard_attachment(a, port.bridge.name[0] ? &port.bridge : NULL, e);
}

int cni_add(struct cni_call *call, struct cni_error *e)
{
	struct attachment a = {0};
	CLEAN_FREE char *result = NULL, *key = NULL;
	int code = guard(call, &a, e);

	if (code == CNI_UNSUPPORTED_PRIMARY && only_observes(call)) {
		cni_warn("mode %s: nothing is guarded or observed: %s", mode_name(call->config.mode), e->msg);
		e->code = CNI_OK;
		code = 0;
	} else if (!code) {
		key = attachment_key(&a);
		notify_attach(key, call->config.wait_ms);
	}
	attachment_done(&a);
	if (code)
		return code;
	result = cni_result_echo(&call->config);
	fprintf(call->out, "%s\n", result);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK: is everything as ADD left it? State, link, chains and elements; what the daemon allows is not its business. */
#include <string.h>

#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/text.h"
#include "plugin/cni.h"
#include "plugin/cni_result.h"
#include "plugin/port.h"

static int check_state(const struct attachment *a, const char *key, struct cni_error *e)
{
	char buf[ADDR_TEXT_MAX];

	if (a->closing)
		return cni_fail(e, CNI_NOT_AS_ADDED, "attachment %s was deleted, or its ADD failed", TEXT(key));
	for (size_t i = 0; i < a->n_addrs; i++) {
		CLEAN_FREE char *owner = podstore_owner_of_addr(&a->addrs[i]);

		if (!owner || strcmp(owner, key) != 0)
			return cni_fail(e, CNI_NOT_AS_ADDED, "address %s of attachment %s belongs to %s now",
					addr_text(&a->addrs[i], buf), TEXT(key), owner ? "another attachment" : "nobody");
	}
	return 0;
}

static int check_addrs(const struct cni_call *call, const struct attachment *a, struct cni_error *e)
{
	struct addr addrs[ATTACHMENT_ADDRS_MAX];
	char buf[ADDR_TEXT_MAX];
	size_t n;
	int code = cni_result_read_addrs(&call->config, call->env.ifname, call->env.netns, addrs, &n, e);

	if (code)
		return code;
	for (size_t i = 0; i < n; i++)
		if (!attachment_has_addr(a, &addrs[i]))
			return cni_fail(e, CNI_NOT_AS_ADDED, "address %s of prevResult is not guarded", addr_text(&addrs[i], buf));
	if (n != a->n_addrs)
		return cni_fail(e, CNI_NOT_AS_ADDED, "%zu addresses are guarded, prevResult has %zu", a->n_addrs, n);
	return 0;
}

static int check_attachment(const struct cni_call *call, const struct attachment *a, const char *key, struct cni_error *e)
{
	struct port port;
	struct err err;
	int code = check_state(a, key, e);

	if (code || (code = check_addrs(call, a, e)) || (code = port_find(call, &port, e)))
		return code;
	if (port.link.index != a->port_index || strcmp(port.link.name, a->port) != 0)
		return cni_fail(e, CNI_NOT_AS_ADDED, "the port of attachment %s is %s (index %u); at ADD it was %s (index %u)",
				TEXT(key), TEXT(port.link.name), port.link.index, TEXT(a->port), a->port_index);
	if (strcmp(port.bridge.name, a->bridge) != 0 || (a->bridge[0] && memcmp(port.link.peer_mac, a->mac, sizeof(a->mac)) != 0))
		return cni_fail(e, CNI_NOT_AS_ADDED, "the port of attachment %s is at bridge \"%s\" now, or the pod has another MAC address",
				TEXT(key), TEXT(port.bridge.name));
	if (a->bridge[0] && ((code = port_check(&port, a, e)) != 0))
		return code;
	if (a->bridge[0] && bridge_verify(&port.bridge, a, &err) < 0)
		return cni_fail_cause(e, CNI_NOT_AS_ADDED, &err, "bridge %s is not as ADD left it", TEXT(a->bridge));
	if (pod_check(a, &err) < 0)
		return cni_fail_cause(e, CNI_NOT_AS_ADDED, &err, "attachment %s is not as ADD left it in the ruleset", TEXT(key));
	return 0;
}

/* Nothing is guarded of a primary that moat does not support, when the mode only observes. */
static bool is_unguarded(const struct cni_call *call)
{
	struct addr addrs[ATTACHMENT_ADDRS_MAX];
	struct cni_error ignored;
	struct port port;
	size_t n = 0;

	if (call->config.mode != MODE_PREVIEW && call->config.mode != MODE_AUDIT)
		return false;
	if (cni_result_read_addrs(&call->config, call->env.ifname, call->env.netns, addrs, &n, &ignored) == 0 && n == 0)
		return true;
	return port_find(call, &port, &ignored) == CNI_UNSUPPORTED_PRIMARY;
}

int cni_check(struct cni_call *call, struct cni_error *e)
{
	CLEAN_FREE char *key = mem_printf("%s/%s:%s", call->config.name, call->env.container_id, call->env.ifname);
	struct attachment *a = NULL;
	struct err err;
	int code;

	if (!call->config.prev_result)
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult is missing: CHECK needs the result of the ADD");
	switch (podstore_get(key, &a, &err)) {
	case 0:
		code = check_attachment(call, a, key, e);
		break;
	case -ENOENT:
	case -EBADMSG:
		code = is_unguarded(call) ? 0 :
					    cni_fail_cause(e, CNI_NOT_AS_ADDED, &err, "attachment %s has no readable state", TEXT(key));
		break;
	default:
		code = cni_fail_cause(e, CNI_IO_FAILURE, &err, "cannot read the state of attachment %s", TEXT(key));
	}
	attachment_free(a);
	return code;
}

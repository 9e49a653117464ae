/* SPDX-License-Identifier: Apache-2.0 */
/* DEL (CNI 1.1.0, section 2): must succeed whatever is missing, since a pod whose DEL fails sticks. */
#include "moat/text.h"
#include "plugin/cni.h"
#include "plugin/forget.h"
#include "plugin/notify.h"

int cni_del(struct cni_call *call, struct cni_error *e)
{
	CLEAN_FREE char *key = NULL;
	int code;

	if (!call->config.name || !cni_env_is_possible(&call->env)) {
		cni_warn("DEL of container %s, interface %s: no ADD can have accepted these names, so nothing is there",
			 TEXT(call->env.container_id), TEXT(call->env.ifname));
		return 0;
	}
	key = mem_printf("%s/%s:%s", call->config.name, call->env.container_id, call->env.ifname);
	code = forget_attachment(key, e);
	notify_detach(key);
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* DEL (CNI 1.1.0, section 2): must succeed whatever is missing, since a pod whose DEL fails sticks. */
#include <string.h>

#include "moat/podstore.h"
#include "moat/text.h"
#include "plugin/cni.h"
#include "plugin/forget.h"
#include "plugin/notify.h"

/* A pod that ran before moat did has no attachment of this name: it was adopted. */
static int forget_adopted(const struct cni_call *call, struct cni_error *e)
{
	CLEAN_FREE char *key = NULL;
	struct attachment *a = NULL;
	int code;

	if (!call->env.pod_uid || strcmp(call->env.ifname, ADOPTED_IFNAME) != 0)
		return 0;
	key = mem_printf("%s/%s:%s", ADOPTED_NETWORK, call->env.pod_uid, ADOPTED_IFNAME);
	code = podstore_get(key, &a, NULL);
	attachment_free(a);
	if (code == -ENOENT || code == -EINVAL)
		return 0;
	code = forget_attachment(key, e);
	notify_detach(key);
	return code;
}

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
	return code ? code : forget_adopted(call, e);
}

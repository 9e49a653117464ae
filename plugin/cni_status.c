/* SPDX-License-Identifier: Apache-2.0 */
/* STATUS: would an ADD succeed? The daemon is not asked, since ADD does not need it. */
#include "moat/pod.h"
#include "moat/podstore.h"
#include "plugin/cni.h"

int cni_status(struct cni_call *call, struct cni_error *e)
{
	struct err err;
	int code = 0;

	(void)call;
	if (pod_ruleset_supported(&err) < 0)
		code = cni_fail_cause(e, CNI_NOT_AVAILABLE, &err, "this kernel or these privileges cannot hold moat's ruleset");
	else if (podstore_writable(&err) < 0)
		code = cni_fail_cause(e, CNI_NOT_AVAILABLE, &err, "the pod store cannot be written");
	else if (pod_ruleset_intact(&err) < 0)
		code = cni_fail_cause(e, CNI_NOT_AVAILABLE_LIMITED, &err,
				      "moat's standing rules are damaged; the next ADD or moat-policyd rewrites them");
	/* whatever the cause is, runtimes understand these two only */
	if (code && code != CNI_NOT_AVAILABLE_LIMITED)
		e->code = CNI_NOT_AVAILABLE;
	return (int)e->code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cni.h"

int cni_version(struct cni_call *call, struct cni_error *e)
{
	(void)e;
	fprintf(call->out, "{\"cniVersion\":\"%s\",\"supportedVersions\":[", call->config.version);
	for (size_t i = 0; cni_config_versions[i]; i++)
		fprintf(call->out, "%s\"%s\"", i ? "," : "", cni_config_versions[i]);
	fputs("]}\n", call->out);
	return 0;
}

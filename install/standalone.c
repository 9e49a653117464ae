/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The installer has no token, and no API server is asked here: the daemon knows its Node, and says over its control socket which ranges
 * this node's pods have. Every pod has a link of its own (ptp), so that nothing is switched. No masquerading by the
 * plugin: its rule would take what goes to other nodes' pods too; the daemon has one for what leaves the cluster (--node-routes).
 */
#include "install/standalone.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "moat/addr.h"
#include "moat/ask.h"
#include "moat/text.h"

#define NETWORK "moat"
#define RANGES_MAX 16
/* Gone after a reboot, as the pods are: host-local must not believe that they still have their addresses. */
#define IPAM_DIR "/run/cni-ipam-state"

static cJSON *add_object(cJSON *list)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddItemToArray(list, object);
	return object;
}

static void add_range(cJSON *ranges, const struct block *block)
{
	cJSON *set = cJSON_CreateArray();
	char text[BLOCK_TEXT_MAX];

	cJSON_AddItemToArray(ranges, set);
	cJSON_AddStringToObject(add_object(set), "subnet", addr_block_text(block, text));
}

static cJSON *ptp_of(const struct block *blocks, size_t n)
{
	cJSON *ptp = cJSON_CreateObject(), *ipam, *ranges, *routes;
	bool has[2] = {false, false};

	cJSON_AddStringToObject(ptp, "type", "ptp");
	cJSON_AddBoolToObject(ptp, "ipMasq", false);
	ipam = cJSON_AddObjectToObject(ptp, "ipam");
	cJSON_AddStringToObject(ipam, "type", "host-local");
	cJSON_AddStringToObject(ipam, "dataDir", IPAM_DIR);
	ranges = cJSON_AddArrayToObject(ipam, "ranges");
	routes = cJSON_AddArrayToObject(ipam, "routes");
	for (size_t i = 0; i < n; i++) {
		bool v6 = blocks[i].base.family == AF_INET6;

		/* one address of each family: Kubernetes knows no more, and gives no more ranges */
		if (has[v6])
			continue;
		has[v6] = true;
		add_range(ranges, &blocks[i]);
		cJSON_AddStringToObject(add_object(routes), "dst", v6 ? "::/0" : "0.0.0.0/0");
	}
	return ptp;
}

static cJSON *list_of(const struct block *blocks, size_t n)
{
	cJSON *list = cJSON_CreateObject(), *plugins, *portmap;

	cJSON_AddStringToObject(list, "cniVersion", "1.0.0");
	cJSON_AddStringToObject(list, "name", NETWORK);
	plugins = cJSON_AddArrayToObject(list, "plugins");
	cJSON_AddItemToArray(plugins, ptp_of(blocks, n));
	portmap = add_object(plugins);
	cJSON_AddStringToObject(portmap, "type", "portmap");
	cJSON_AddBoolToObject(cJSON_AddObjectToObject(portmap, "capabilities"), "portMappings", true);
	return list;
}

int standalone_of_status(const cJSON *status, struct primary *ret, struct err *err)
{
	const cJSON *ranges = cJSON_GetObjectItem(cJSON_GetObjectItem(status, "podRanges"), "ranges"), *range;
	struct block blocks[RANGES_MAX];
	size_t n = 0;
	cJSON *list;
	char *text;

	memset(ret, 0, sizeof(*ret));
	cJSON_ArrayForEach(range, ranges) {
		const char *value = cJSON_GetStringValue(range);

		if (n == RANGES_MAX || !value || addr_parse_block(value, &blocks[n++], err) < 0)
			return err_set(err, EBADMSG, "the daemon's pod ranges are not understood: \"%s\"", TEXT(value));
	}
	if (!n)
		return err_set(err, EAGAIN, "the ranges of this node's pods are not known yet: its Node has no podCIDRs, or the daemon has not read it");
	list = list_of(blocks, n);
	text = cJSON_Print(list);
	cJSON_Delete(list);
	if (!text)
		abort();
	return primary_parse("(standalone)", text, strlen(text), ret, err);
}

int standalone_make(struct primary *ret, struct err *err)
{
	cJSON *request = cJSON_CreateObject(), *status;
	int code;

	memset(ret, 0, sizeof(*ret));
	cJSON_AddStringToObject(request, "op", "status");
	status = ask_daemon(request, err);
	if (!status) {
		err->code = EAGAIN;
		return -EAGAIN;
	}
	code = standalone_of_status(status, ret, err);
	cJSON_Delete(status);
	return code;
}

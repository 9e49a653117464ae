/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/tunnel.h"

#include <cjson/cJSON.h>

const struct tunnel_ports tunnel_ports_default = {.port = {4789, 6081, 8472, 51820}, .n = 4};

bool tunnel_ports_have(const struct tunnel_ports *ports, uint16_t port)
{
	for (size_t i = 0; i < ports->n; i++)
		if (ports->port[i] == port)
			return true;
	return false;
}

static void insert(struct tunnel_ports *ports, uint16_t port)
{
	size_t at = ports->n;

	if (tunnel_ports_have(ports, port))
		return;
	for (; at > 0 && ports->port[at - 1] > port; at--)
		ports->port[at] = ports->port[at - 1];
	ports->port[at] = port;
	ports->n++;
}

int tunnel_ports_parse(const struct cJSON *value, struct tunnel_ports *ret, struct err *err)
{
	const cJSON *item;
	int n = cJSON_GetArraySize(value), i = 0;

	*ret = (struct tunnel_ports){.n = 0};
	if (!value)
		return 0;
	if (!cJSON_IsArray(value) || n < 1 || n > TUNNEL_PORTS_MAX)
		return err_set(err, EINVAL, "tunnelPorts must be a list of 1 to %d UDP ports, like [8472, 51820]", TUNNEL_PORTS_MAX);
	cJSON_ArrayForEach(item, value)
	{
		double number = cJSON_IsNumber(item) ? item->valuedouble : 0;

		if (!(number >= 1 && number <= 65535) || number != (double)(uint16_t)number)
			return err_set(err, EINVAL, "tunnelPorts[%d] is not a UDP port; use numbers of 1 to 65535", i);
		insert(ret, (uint16_t)number);
		i++;
	}
	return 0;
}

struct cJSON *tunnel_ports_json(const struct tunnel_ports *ports)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < ports->n; i++)
		if (!cJSON_AddItemToArray(list, cJSON_CreateNumber(ports->port[i])))
			abort();
	return list;
}

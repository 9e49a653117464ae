/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/attachment.h"

#include <string.h>

char *attachment_key(const struct attachment *a)
{
	return mem_printf("%s/%s:%s", a->network, a->container_id, a->ifname);
}

struct attachment *attachment_copy(const struct attachment *a)
{
	struct attachment *copy = mem_alloc(sizeof(*copy));

	*copy = *a;
	copy->network = mem_strdup(a->network);
	copy->container_id = mem_strdup(a->container_id);
	copy->ifname = mem_strdup(a->ifname);
	copy->pod_namespace = mem_strdup(a->pod_namespace);
	copy->pod_name = mem_strdup(a->pod_name);
	copy->pod_uid = mem_strdup(a->pod_uid);
	return copy;
}

void attachment_done(struct attachment *a)
{
	free(a->network);
	free(a->container_id);
	free(a->ifname);
	free(a->pod_namespace);
	free(a->pod_name);
	free(a->pod_uid);
	memset(a, 0, sizeof(*a));
}

void attachment_free(struct attachment *a)
{
	if (!a)
		return;
	attachment_done(a);
	free(a);
}

const char *attachment_input(const struct attachment *a)
{
	return a->bridge[0] ? a->bridge : a->port;
}

bool attachment_has_addr(const struct attachment *a, const struct addr *addr)
{
	for (size_t i = 0; i < a->n_addrs; i++)
		if (addr_equal(&a->addrs[i], addr))
			return true;
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/release.h"

#include <string.h>

#include "moat/bridge.h"
#include "moat/link.h"
#include "moat/pod.h"
#include "moat/podstore.h"

bool release_is_due(const struct attachment *a)
{
	struct link link;
	struct err err;
	int r = link_by_index(a->port_index, &link, &err);

	return r == -ENODEV;
}

static bool is_other(const char *owner, const char *key)
{
	return owner && strcmp(owner, key) != 0;
}

/* Its port would be open to link-local sources without its element. */
static int close_new_owner(const char *port, const char *key, char **ret_reclosed, struct err *err)
{
	CLEAN_FREE char *owner = podstore_owner_of_port(port);
	struct attachment *a = NULL;
	int code;

	if (!is_other(owner, key) || podstore_get(owner, &a, NULL) < 0)
		return 0;
	code = pod_close(a, NULL, 0, err);
	attachment_free(a);
	*ret_reclosed = TAKE_PTR(owner);
	return code < 0 ? err_wrap(err, "attachment %s may be without its guard", *ret_reclosed) : 0;
}

int release_attachment(const struct attachment *a, char **ret_reclosed, struct err *err)
{
	CLEAN_FREE char *key = attachment_key(a), *owner = podstore_owner_of_port(a->port);
	int code = 0;

	*ret_reclosed = NULL;
	if (a->port[0] && is_other(owner, key)) {
		code = pod_release_link(a, err);
	} else if (a->port[0]) {
		code = pod_release_port(a, err);
		if (code == 0)
			code = close_new_owner(a->port, key, ret_reclosed, err);
	}
	if (code == 0)
		code = podstore_remove(a, err);
	if (code == 0 && a->bridge[0])
		code = bridge_give_back(a->bridge, err);
	return code;
}

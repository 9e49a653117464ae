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

/* Takes the owner's key, which may be NULL. */
static int close_again(char *owner, const char *key, char **ret_reclosed, struct err *err)
{
	CLEAN_FREE char *own = owner;
	struct attachment *a = NULL;
	int code;

	if (!is_other(own, key) || podstore_get(own, &a, NULL) < 0)
		return 0;
	code = pod_close(a, NULL, 0, err);
	attachment_free(a);
	free(*ret_reclosed);
	*ret_reclosed = TAKE_PTR(own);
	return code < 0 ? err_wrap(err, "attachment %s may be without its guard", *ret_reclosed) : 0;
}

/*
 * A port would be open to link-local sources without its element, and an address of a bridge's pod to who speaks with it elsewhere. An
 * owner that we saw when we queued is untouched; only one that came since has lost something.
 */
static int close_new_owners(const struct attachment *a, const char *key, const bool had_owner[ATTACHMENT_ADDRS_MAX], bool port_had_owner,
			    char **ret_reclosed, struct err *err)
{
	int code = 0;

	if (!port_had_owner)
		code = close_again(podstore_owner_of_port(a->port), key, ret_reclosed, err);
	for (size_t i = 0; code == 0 && a->bridge[0] && i < a->n_addrs; i++)
		if (!had_owner[i])
			code = close_again(podstore_owner_of_addr(&a->addrs[i]), key, ret_reclosed, err);
	return code;
}

int release_attachment(const struct attachment *a, char **ret_reclosed, struct err *err)
{
	CLEAN_FREE char *key = attachment_key(a), *owner = podstore_owner_of_port(a->port);
	bool had_owner[ATTACHMENT_ADDRS_MAX] = {false};
	int code = 0;

	*ret_reclosed = NULL;
	for (size_t i = 0; a->bridge[0] && i < a->n_addrs; i++) {
		CLEAN_FREE char *of_addr = podstore_owner_of_addr(&a->addrs[i]);

		had_owner[i] = is_other(of_addr, key);
	}
	if (a->port[0])
		code = is_other(owner, key) ? pod_release_link(a, err) : pod_release_port(a, err);
	if (code == 0 && a->port[0])
		code = close_new_owners(a, key, had_owner, is_other(owner, key), ret_reclosed, err);
	if (code == 0)
		code = podstore_remove(a, err);
	if (code == 0 && a->bridge[0])
		code = bridge_give_back(a->bridge, err);
	return code;
}

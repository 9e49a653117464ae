/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/forget.h"

#include <string.h>

#include "moat/bridge.h"
#include "moat/conntrack.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/release.h"
#include "moat/text.h"
#include "plugin/notify.h"

static bool is_other(const char *owner, const char *key)
{
	return owner && strcmp(owner, key) != 0;
}

/* Second half of one. */
static int release(const struct attachment *a, struct err *err)
{
	CLEAN_FREE char *reclosed = NULL;
	int code = release_attachment(a, &reclosed, err);

	if (reclosed)
		notify_attach(reclosed, 0);
	return code;
}

static void release_if_gone(const struct attachment *a, void *arg)
{
	CLEAN_FREE char *key = attachment_key(a);
	struct err err;

	(void)arg;
	if (release_is_due(a) && release(a, &err) < 0)
		cni_warn("attachment %s cannot be forgotten yet: %s", TEXT(key), err.text);
}

void forget_closing(void)
{
	struct err err;

	if (podstore_each_closing(release_if_gone, NULL, NULL, &err) < 0)
		cni_warn("attachments that wait for the end of their link cannot be read: %s", err.text);
}

/* Connections of addresses that a newer attachment has are that one's. */
static int delete_connections(const struct attachment *a, const char *key, struct err *err)
{
	struct addr addrs[ATTACHMENT_ADDRS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < a->n_addrs; i++) {
		CLEAN_FREE char *owner = podstore_owner_of_addr(&a->addrs[i]);

		if (!is_other(owner, key))
			addrs[n++] = a->addrs[i];
	}
	return n ? conntrack_forget(addrs, n, err) : 0;
}

static int withdraw(const struct attachment *a, const char *key, struct cni_error *e)
{
	struct err err;

	if (pod_withdraw(a, &err) < 0)
		return cni_fail_cause(e, CNI_RULESET, &err, "cannot take attachment %s out of the ruleset", TEXT(key));
	bridge_let_go(a);
	if (delete_connections(a, key, &err) < 0)
		return cni_fail_cause(e, CNI_CONNTRACK, &err, "cannot delete the connections of attachment %s", TEXT(key));
	return 0;
}

/*
 * The state file says nothing, the index may. A good state file is written in its place, so that the second half finds one; where that
 * fails (a full disk), the port's element stays, closed and without a use, until GC.
 */
static int forget_unreadable(const char *key, const struct err *why, struct cni_error *e)
{
	struct attachment *a = NULL;
	struct err err;
	int code = 0;

	cni_warn("%s; going on with what the index knows", why->text);
	if (podstore_recover(key, &a, &err) < 0) {
		cni_warn("attachment %s: %s", TEXT(key), err.text);
		return 0;
	}
	code = withdraw(a, key, e);
	if (!code && (!a->port[0] || release_is_due(a))) {
		if (release(a, &err) < 0)
			cni_warn("attachment %s: %s", TEXT(key), err.text);
	} else if (!code && (podstore_put(a, &err) < 0 || podstore_mark_closing(a, &err) < 0)) {
		cni_warn("attachment %s: %s", TEXT(key), err.text);
	}
	attachment_free(a);
	return code;
}

static int forget_known(const struct attachment *a, const char *key, struct cni_error *e)
{
	struct err err;
	int code = withdraw(a, key, e);

	if (code)
		return code;
	/* -ENOENT: another DEL of it was faster */
	if (podstore_mark_closing(a, &err) < 0 && err.code != ENOENT)
		return cni_fail_cause(e, CNI_IO_FAILURE, &err, "cannot mark attachment %s as closing", TEXT(key));
	return 0;
}

int forget_attachment(const char *key, struct cni_error *e)
{
	CLEAN_CLOSE int lock = podstore_lock(FORGET_LOCK_MS, NULL);
	struct attachment *a = NULL;
	struct err err;
	int code = 0;

	switch (podstore_get(key, &a, &err)) {
	case 0:
		code = forget_known(a, key, e);
		break;
	case -ENOENT:
		break;
	case -EBADMSG:
		code = forget_unreadable(key, &err, e);
		break;
	default:
		code = cni_fail_cause(e, CNI_IO_FAILURE, &err, "cannot read the state of attachment %s", TEXT(key));
	}
	if (lock >= 0)
		forget_closing();
	else if (!code && a && release_is_due(a) && release(a, &err) < 0)
		cni_warn("attachment %s cannot be forgotten yet: %s", TEXT(key), err.text);
	attachment_free(a);
	return code;
}

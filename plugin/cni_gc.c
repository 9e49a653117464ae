/* SPDX-License-Identifier: Apache-2.0 */
/* GC (CNI 1.1.0, section 2): deletes its network's attachments that the runtime no longer lists, and what is no attachment's at all. */
#include <string.h>

#include "moat/bridge.h"
#include "moat/podstore.h"
#include "moat/release.h"
#include "moat/text.h"
#include "plugin/cni.h"
#include "plugin/forget.h"
#include "plugin/litter.h"

#define VALID_KEY "cni.dev/valid-attachments"

struct collection {
	const cJSON *valid;
	const char *network;
	VEC(char *) doomed; /* keys */
	size_t failed;
	struct cni_error first; /* of the failures */
};

static const char *member(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static int check_list(const cJSON *list, struct cni_error *e)
{
	const cJSON *item;

	/* without it everything would be deleted */
	if (!cJSON_IsArray(list))
		return cni_fail(e, CNI_INVALID_CONFIG, "%s is %s; GC needs the list of attachments that are still valid", VALID_KEY,
				list ? "not a list" : "missing");
	cJSON_ArrayForEach(item, list)
		if (!cJSON_IsObject(item) || !member(item, "containerID") || !member(item, "ifname"))
			return cni_fail(e, CNI_INVALID_CONFIG, "%s has an entry without containerID or ifname", VALID_KEY);
	return 0;
}

static bool is_valid(const struct collection *c, const char *key)
{
	const char *file = strchr(key, '/') + 1;
	const cJSON *item;

	cJSON_ArrayForEach(item, c->valid)
	{
		const char *id = member(item, "containerID");
		size_t len = strlen(id);

		if (!strncmp(file, id, len) && file[len] == ':' && !strcmp(file + len + 1, member(item, "ifname")))
			return true;
	}
	return false;
}

/* The runtime has forgotten it, but its pod may still run: closed or not, what guards it stays. */
static void consider(struct collection *c, const struct attachment *a, const char *key)
{
	if (a->port[0] && !release_is_due(a))
		cni_warn("GC: attachment %s is not in the runtime's list, but its port %s is there: kept", TEXT(key), TEXT(a->port));
	else
		VEC_PUSH(&c->doomed, mem_strdup(key));
}

static void on_attachment(const struct attachment *a, void *arg)
{
	struct collection *c = arg;
	CLEAN_FREE char *key = attachment_key(a);

	/* what is closing needs no list: forget_closing looks at it in every run */
	if (!a->closing && !is_valid(c, key))
		consider(c, a, key);
}

static void add_failure(struct collection *c, const struct cni_error *e)
{
	if (c->failed++ == 0)
		c->first = *e;
}

static void on_unreadable(const char *key, const struct err *why, void *arg)
{
	struct collection *c = arg;
	struct attachment *a = NULL;
	struct cni_error e;
	struct err err;

	if (strchr(key, '/') && is_valid(c, key)) {
		cni_warn("GC: %s", why->text);
	} else if (podstore_recover(key, &a, &err) < 0) {
		cni_fail_cause(&e, CNI_IO_FAILURE, why, "a file in the pod store cannot be read");
		add_failure(c, &e);
	} else {
		consider(c, a, key);
	}
	attachment_free(a);
}

static int collect(struct collection *c, struct cni_error *e)
{
	struct err err;

	if (podstore_each(c->network, on_attachment, on_unreadable, c, &err) < 0)
		return cni_fail_cause(e, CNI_IO_FAILURE, &err, "cannot read the pod store");
	return 0;
}

static void finish_closing(void)
{
	CLEAN_CLOSE int lock = podstore_lock(FORGET_LOCK_MS, NULL);

	if (lock < 0)
		return;
	forget_closing();
	litter_collect();
	bridge_give_back_unused();
}

int cni_gc(struct cni_call *call, struct cni_error *e)
{
	struct collection c = {.network = call->config.name};
	int code;

	c.valid = cJSON_GetObjectItemCaseSensitive(call->config.json, VALID_KEY);
	code = check_list(c.valid, e);
	if (!code)
		code = collect(&c, e);
	for (size_t i = 0; i < c.doomed.n; i++) {
		struct cni_error failure;

		if (!code && forget_attachment(c.doomed.v[i], &failure) != 0)
			add_failure(&c, &failure);
		free(c.doomed.v[i]);
	}
	VEC_DONE(&c.doomed);
	if (code)
		return code;
	finish_closing();
	if (c.failed)
		return cni_fail(e, CNI_GC_INCOMPLETE, "GC failed for %zu attachments, first: %s%s%s", c.failed, c.first.msg,
				c.first.details[0] ? ": " : "", c.first.details);
	return 0;
}

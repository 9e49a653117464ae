/* SPDX-License-Identifier: Apache-2.0 */
/* Status of the source `kube`. */
#include <cjson/cJSON.h>

#include "moat/text.h"
#include "policyd/control/ctl.h"
#include "policyd/source/kube_source.h"

#define UNREADABLE_MAX 50 /* objects told by name */

static cJSON *unreadable_object(const struct kube_entry *e)
{
	cJSON *object = cJSON_CreateObject();
	char escaped[1024];

	cJSON_AddStringToObject(object, "object", e->key);
	cJSON_AddStringToObject(object, "inForce", !e->in_force ? "nothing" : e->good ? "the last good version" : "its closed reading");
	cJSON_AddStringToObject(object, "error", text_escape(e->error, escaped, sizeof(escaped)));
	return object;
}

static cJSON *kind_status(const struct kube_reflector *r)
{
	cJSON *status = cJSON_CreateObject(), *unreadable = cJSON_CreateArray();
	char escaped[1024];
	size_t n = 0;

	cJSON_AddStringToObject(status, "resource", kube_resource_name(r->kind));
	cJSON_AddStringToObject(status, "state", kube_state_text(r));
	cJSON_AddNumberToObject(status, "objects", HASH_COUNT(r->store.objects));
	cJSON_AddStringToObject(status, "resourceVersion", r->version);
	cJSON_AddBoolToObject(status, "needsList", r->needs_list);
	cJSON_AddNumberToObject(status, "waiting", (double)kube_store_count_waiting(&r->store));
	if (r->trouble.code) {
		cJSON_AddStringToObject(status, "trouble", text_escape(r->trouble.text, escaped, sizeof(escaped)));
		cJSON_AddNumberToObject(status, "failures", r->failures);
	}
	for (const struct kube_entry *e = r->store.objects; e; e = e->hh.next)
		if (e->error && n++ < UNREADABLE_MAX)
			cJSON_AddItemToArray(unreadable, unreadable_object(e));
	cJSON_AddNumberToObject(status, "unreadableObjects", (double)n);
	cJSON_AddItemToObject(status, "unreadable", unreadable);
	return status;
}

struct cJSON *ctl_kube_status(const struct kube_source *s)
{
	cJSON *status = cJSON_CreateObject(), *kinds = cJSON_AddArrayToObject(status, "kinds");
	CLEAN_FREE char *server = mem_printf("%s:%u", s->config.host, s->config.port);
	char escaped[1024];

	cJSON_AddStringToObject(status, "server", text_escape(server, escaped, sizeof(escaped)));
	cJSON_AddStringToObject(status, "credentials", text_escape(s->config.from, escaped, sizeof(escaped)));
	cJSON_AddNumberToObject(status, "httpVersion", s->http.version);
	for (int k = 0; k < KIND_COUNT; k++)
		cJSON_AddItemToArray(kinds, kind_status(&s->reflectors[k]));
	return status;
}

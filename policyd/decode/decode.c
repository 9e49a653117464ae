/* SPDX-License-Identifier: Apache-2.0 */
/* Which object a document is, its names, and what becomes of one that is an error. */
#include "policyd/decode/decode.h"

#include <stdio.h>
#include <string.h>

#include "moat/text.h"
#include "policyd/decode/decode_internal.h"

const char *decode_version_of(enum object_kind kind)
{
	static const char *const versions[KIND_COUNT] = {
		[KIND_NAMESPACE] = "v1",
		[KIND_NODE] = "v1",
		[KIND_POD] = "v1",
		[KIND_POLICY] = "networking.k8s.io/v1",
		[KIND_ENDPOINTS] = "discovery.k8s.io/v1",
	};

	return versions[kind];
}

static void lost(struct decode *d)
{
	d->result->lost = true;
}

static bool find_kind(const char *name, enum object_kind *ret)
{
	for (int i = 0; i < KIND_COUNT; i++) {
		if (!strcmp(name, object_kind_name((enum object_kind)i))) {
			*ret = (enum object_kind)i;
			return true;
		}
	}
	return false;
}

static bool check_name(struct decode *d, const struct doc *doc, bool label)
{
	if (label ? text_is_dns1123_label(doc->text) : text_is_dns1123_subdomain(doc->text))
		return true;
	decode_error(d, doc, "\"%s\" is not a valid name; use at most %d of a-z, 0-9, '-'%s, alphanumeric at both ends",
		     TEXT(doc->text), label ? 63 : 253, label ? "" : " and '.'");
	return false;
}

/* A name of the object; ret stays NULL if it cannot be used. label: no dots. */
static bool decode_name(struct decode *d, const struct doc *metadata, const char *field, bool label, const char **ret)
{
	const struct doc *doc = decode_field(d, metadata, field, DOC_STRING);
	size_t mark = decode_enter(d, field);
	bool good = doc && check_name(d, doc, label);

	decode_leave(d, mark);
	if (good)
		*ret = doc->text;
	return good;
}

/* metadata.name and .namespace; false: there is no telling which object this is. */
static bool decode_names(struct decode *d, const struct doc *root, enum object_kind kind, const char **ret_ns,
			 const char **ret_name)
{
	bool namespaced = kind == KIND_POD || kind == KIND_POLICY || kind == KIND_ENDPOINTS;
	const struct doc *metadata = decode_field(d, root, "metadata", DOC_MAP);
	size_t mark = decode_enter(d, "metadata");
	bool good;

	*ret_ns = namespaced ? "default" : NULL;
	*ret_name = NULL;
	if (!doc_get(metadata, "name") && !d->failed)
		decode_error(d, metadata ? metadata : root, "has no name; set metadata.name");
	good = decode_name(d, metadata, "name", kind == KIND_NAMESPACE, ret_name);
	if (namespaced && doc_get(metadata, "namespace"))
		good = decode_name(d, metadata, "namespace", true, ret_ns) && good;
	decode_leave(d, mark);
	if (!good)
		return false;
	snprintf(d->what, sizeof(d->what), "%s %s%s%s", object_kind_name(kind), *ret_ns ? *ret_ns : "", *ret_ns ? "/" : "",
		 *ret_name);
	return true;
}

static void decode_uid(struct decode *d, const struct doc *root, struct object *obj)
{
	size_t mark = decode_enter(d, "metadata");

	obj->uid = mem_strdup(decode_string(d, doc_get(root, "metadata"), "uid"));
	decode_leave(d, mark);
}

static void decode_body(struct decode *d, const struct doc *root, struct object *obj)
{
	decode_uid(d, root, obj);
	switch (obj->kind) {
	case KIND_NAMESPACE:
		decode_labels(d, root, &obj->namespace.labels);
		labels_set(&obj->namespace.labels, "kubernetes.io/metadata.name", obj->name);
		break;
	case KIND_NODE:
		decode_node(d, root, obj);
		break;
	case KIND_POD:
		decode_pod(d, root, obj);
		break;
	case KIND_POLICY:
		decode_policy(d, root, obj);
		break;
	case KIND_ENDPOINTS:
		decode_endpoints(d, root, obj);
		break;
	case KIND_COUNT:
		break;
	}
}

/* Others' are not read at all: a cluster has one for each Service. */
static bool is_wanted(const struct doc *root, enum object_kind kind)
{
	const struct doc *metadata = doc_get(root, "metadata"), *ns = doc_get(metadata, "namespace");
	const struct doc *service = doc_get(doc_get(metadata, "labels"), ENDPOINTS_LABEL);

	if (kind != KIND_ENDPOINTS)
		return true;
	return (!ns || (ns->kind == DOC_STRING && !strcmp(ns->text, ENDPOINTS_NAMESPACE))) && service && service->kind == DOC_STRING &&
	       !strcmp(service->text, ENDPOINTS_SERVICE);
}

static void decode_object(struct decode *d, const struct doc *root, enum object_kind kind, const char *version)
{
	const char *expected = decode_version_of(kind), *ns, *name;
	struct object *obj;

	snprintf(d->what, sizeof(d->what), "%s", object_kind_name(kind));
	if (!decode_names(d, root, kind, &ns, &name)) {
		lost(d);
		return;
	}
	obj = object_new(kind, ns, name);
	if (!strcmp(version, expected)) {
		decode_body(d, root, obj);
	} else {
		size_t mark = decode_enter(d, "apiVersion");

		decode_error(d, root, "\"%s\" is not supported; use %s", TEXT(version), expected);
		decode_leave(d, mark);
	}
	if (!d->failed && !d->unused) {
		VEC_PUSH(&d->result->objects, obj);
		return;
	}
	object_free(obj);
	if (d->failed && kind == KIND_POLICY)
		VEC_PUSH(&d->result->fallback, decode_closed_policy(root, ns, name));
}

static void decode_value(const struct doc *root, const char *list_kind, const char *list_version,
			 struct decode_result *result);

/* Items of a typed list (PodList) may leave out what the list says; those of a List may not. */
static void decode_list(const struct doc *root, const char *kind, const char *version, struct decode_result *result)
{
	struct decode d = {.result = result};
	const struct doc *items;
	CLEAN_FREE char *item_kind = mem_strndup(kind, strlen(kind) - strlen("List"));

	snprintf(d.what, sizeof(d.what), "%s", kind);
	items = decode_field(&d, root, "items", DOC_LIST);
	if (d.failed)
		lost(&d);
	for (size_t i = 0; items && i < items->n; i++)
		decode_value(&items->items[i], item_kind[0] ? item_kind : NULL, item_kind[0] ? version : NULL, result);
}

static bool is_list_kind(const char *kind)
{
	size_t len = strlen(kind), tail = strlen("List");
	CLEAN_FREE char *item = NULL;
	enum object_kind ignored;

	if (len < tail || strcmp(kind + len - tail, "List") != 0)
		return false;
	item = mem_strndup(kind, len - tail);
	return !item[0] || find_kind(item, &ignored);
}

static void decode_value(const struct doc *root, const char *list_kind, const char *list_version,
			 struct decode_result *result)
{
	struct decode d = {.result = result, .what = "object"};
	const char *kind, *version;
	enum object_kind known;

	if (!decode_expect(&d, root, DOC_MAP)) {
		lost(&d);
		return;
	}
	kind = decode_string(&d, root, "kind");
	version = decode_string(&d, root, "apiVersion");
	kind = kind || d.failed ? kind : list_kind;
	version = version || d.failed ? version : list_version;
	if (d.failed || !kind || !version) {
		if (!d.failed)
			decode_error(&d, root, "has no %s; is this a Kubernetes object?", kind ? "apiVersion" : "kind");
		lost(&d);
		return;
	}
	if (is_list_kind(kind)) {
		decode_list(root, kind, version, result);
		return;
	}
	/* another API's Pod or Node is none of ours; another API's NetworkPolicy somebody relies on */
	if (find_kind(kind, &known) && (known == KIND_POLICY || !strcmp(version, decode_version_of(known))) && is_wanted(root, known))
		decode_object(&d, root, known, version);
}

void decode_document(const struct doc *root, struct decode_result *result)
{
	decode_value(root, NULL, NULL, result);
}

void decode_item(const struct doc *root, enum object_kind kind, struct decode_result *result)
{
	struct decode d = {.result = result};
	const char *given;

	snprintf(d.what, sizeof(d.what), "%s", object_kind_name(kind));
	if (!decode_expect(&d, root, DOC_MAP)) {
		lost(&d);
		return;
	}
	given = doc_text(root, "kind");
	if (doc_get(root, "kind") && (!given || strcmp(given, object_kind_name(kind)) != 0)) {
		decode_error(&d, root, "is a %s", TEXT(given));
		lost(&d);
		return;
	}
	given = doc_text(root, "apiVersion");
	decode_object(&d, root, kind, given ? given : decode_version_of(kind));
}

static void free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
}

void decode_result_done(struct decode_result *result)
{
	for (size_t i = 0; i < result->objects.n; i++)
		object_free(result->objects.v[i]);
	for (size_t i = 0; i < result->fallback.n; i++)
		object_free(result->fallback.v[i]);
	free_texts(result->errors.v, result->errors.n);
	free_texts(result->warnings.v, result->warnings.n);
	VEC_DONE(&result->objects);
	VEC_DONE(&result->fallback);
	VEC_DONE(&result->errors);
	VEC_DONE(&result->warnings);
}

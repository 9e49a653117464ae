/* SPDX-License-Identifier: Apache-2.0 */
/* What the API server answers, read: items of lists, events of watches, a Status. kube_reflector.c has the theory. */
#include <stdio.h>
#include <string.h>

#include "moat/text.h"
#include "policyd/source/kube_reflector_internal.h"

#define END_ANNOTATION "k8s.io/initial-events-end"

int kube_reflector_compare_versions(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);

	if (!la || !lb || strspn(a, "0123456789") != la || strspn(b, "0123456789") != lb)
		return 0;
	return la != lb ? (la > lb) - (la < lb) : strcmp(a, b);
}

/* Each item of a list. */
static int on_object(void *arg, const char *text, size_t len, struct err *err)
{
	struct kube_reflector *r = arg;
	char version[KUBE_VERSION_MAX];
	struct doc *root;
	int code;

	if (r->state != KUBE_LISTING)
		return 0;
	code = doc_parse_json(text, len, &root, err);
	if (code < 0)
		return code;
	code = kube_store_put(&r->store, root, false, version, err);
	doc_free(root);
	return code;
}

/* What is around the items: kind, resourceVersion, and where the next page is. */
static int take_list(struct kube_reflector *r, const struct doc *root, struct err *err)
{
	const char *kind = doc_text(root, "kind"), *token = doc_text(doc_get(root, "metadata"), "continue");
	CLEAN_FREE char *expected = mem_printf("%sList", object_kind_name(r->kind));
	const struct doc *items = doc_get(root, "items");
	int code;

	if (!kind || strcmp(kind, expected) != 0)
		return err_set(err, EBADMSG, "kind %s instead of %s", TEXT(kind), expected);
	if (!items || items->kind != DOC_LIST || items->n)
		return err_set(err, EBADMSG, "a %s without items", kind);
	if (token && strlen(token) >= sizeof(r->page_token))
		return err_set(err, EBADMSG, "a continue token of %zu bytes", strlen(token));
	code = kube_version_of(root, r->list_version, err);
	if (code == 0)
		snprintf(r->page_token, sizeof(r->page_token), "%s", token ? token : "");
	r->page_whole = code == 0;
	return code;
}

static bool ends_initial_events(const struct doc *object)
{
	const char *end = doc_text(doc_get(doc_get(object, "metadata"), "annotations"), END_ANNOTATION);

	return end && !strcmp(end, "true");
}

/* version: of an event or bookmark of a watch that continues. */
static int advance(struct kube_reflector *r, const char *version, struct err *err)
{
	if (kube_reflector_compare_versions(version, r->version) < 0) {
		r->went_back = true;
		return err_set(err, EBADMSG, "resourceVersion %s after %s", version, r->version);
	}
	snprintf(r->version, sizeof(r->version), "%s", version);
	return 0;
}

static int take_bookmark(struct kube_reflector *r, const struct doc *object, struct err *err)
{
	char version[KUBE_VERSION_MAX];
	int code = kube_version_of(object, version, err);

	if (code < 0)
		return code;
	if (r->state == KUBE_WATCHING)
		return advance(r, version, err);
	if (ends_initial_events(object)) {
		r->state = KUBE_WATCHING;
		kube_http_let_be_silent(r->request);
		kube_reflector_complete_list(r, version);
	}
	return 0;
}

/* A Status: the watch ends with it. */
static int take_error(struct kube_reflector *r, const struct doc *object, struct err *err)
{
	const struct doc *code = doc_get(object, "code");
	const char *reason = doc_text(object, "reason"), *message = doc_text(object, "message");
	bool gone = reason && (!strcmp(reason, "Expired") || !strcmp(reason, "Gone"));

	r->error_code = gone ? 410 : code && code->kind == DOC_NUMBER ? (int)strtol(code->text, NULL, 10) : 500;
	return err_set(err, EIO, "%s", TEXT(message));
}

static int take_event(struct kube_reflector *r, const struct doc *event, const struct doc *object, struct err *err)
{
	const char *type = doc_text(event, "type");
	char version[KUBE_VERSION_MAX];
	bool deleted;
	int code;

	if (type && !strcmp(type, "ERROR"))
		return take_error(r, object, err);
	if (type && !strcmp(type, "BOOKMARK"))
		return take_bookmark(r, object, err);
	deleted = type && !strcmp(type, "DELETED");
	if (!deleted && (!type || (strcmp(type, "ADDED") != 0 && strcmp(type, "MODIFIED") != 0)))
		return err_set(err, EBADMSG, "an event of type %s", TEXT(type));
	code = kube_store_put(&r->store, object, deleted, version, err);
	if (code == 0 && r->state == KUBE_WATCHING)
		code = advance(r, version, err);
	if (code == 0 && !r->store.listing)
		r->changed_fn(r->arg);
	return code;
}

static int take_watch(struct kube_reflector *r, const struct doc *event, struct err *err)
{
	struct doc *object;
	int code;

	if (!r->stream.object.n)
		return err_set(err, EBADMSG, "an event without object");
	code = doc_parse_json(r->stream.object.v, r->stream.object.n, &object, err);
	if (code < 0)
		return code;
	code = take_event(r, event, object, err);
	doc_free(object);
	r->stream.object.n = 0;
	return code;
}

static int on_envelope(void *arg, const char *text, size_t len, struct err *err)
{
	struct kube_reflector *r = arg;
	struct doc *root;
	int code = doc_parse_json(text, len, &root, err);

	if (code < 0)
		return code;
	code = r->stream.shape == KUBE_LIST ? take_list(r, root, err) : take_watch(r, root, err);
	r->answered |= code == 0;
	doc_free(root);
	return code;
}

int kube_reflector_read(struct kube_reflector *r, const char *bytes, size_t n)
{
	const struct kube_stream_events events = {.object = on_object, .envelope = on_envelope, .arg = r};

	if (r->abandoned)
		return -ECANCELED;
	return kube_stream_feed(&r->stream, bytes, n, &events, &r->broken);
}

/* The sentence of a Status, and whether it says that the server is not as new as it was asked to be. */
void kube_reflector_read_status(const struct kube_reply *reply, char *ret, size_t size, bool *ret_too_new)
{
	struct doc *root = NULL;
	const struct doc *causes;
	const char *message;
	struct err err;

	*ret_too_new = false;
	snprintf(ret, size, "status %d", reply->status);
	if (!reply->message_len || doc_parse_json(reply->message, reply->message_len, &root, &err) < 0)
		return;
	message = doc_text(root, "message");
	if (message)
		snprintf(ret, size, "status %d: %s", reply->status, TEXT(message));
	causes = doc_get(doc_get(root, "details"), "causes");
	for (size_t i = 0; causes && causes->kind == DOC_LIST && i < causes->n; i++) {
		const char *reason = doc_text(&causes->items[i], "reason");

		*ret_too_new |= reason && !strcmp(reason, "ResourceVersionTooLarge");
	}
	doc_free(root);
}

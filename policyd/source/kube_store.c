/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/source/kube_store.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "moat/log.h"
#include "policyd/decode/decode.h"

struct kube_waiting {
	char *key, *uid;
	struct decode_result result;
	bool deleted;
	UT_hash_handle hh;
};

void kube_store_init(struct kube_store *s, enum object_kind kind, struct cluster *cluster)
{
	*s = (struct kube_store){.kind = kind, .cluster = cluster};
}

static void free_entry(struct kube_entry **table, struct kube_entry *e)
{
	HASH_DEL(*table, e);
	object_free(e->object);
	free(e->key);
	free(e->uid);
	free(e->error);
	free(e);
}

static void free_table(struct kube_entry **table)
{
	struct kube_entry *e, *next;

	HASH_ITER(hh, *table, e, next)
		free_entry(table, e);
}

static void forget_waiting(struct kube_store *s, struct kube_waiting *w)
{
	HASH_DEL(s->waiting, w);
	decode_result_done(&w->result);
	free(w->key);
	free(w->uid);
	free(w);
}

void kube_store_drop(struct kube_store *s)
{
	free_table(&s->fresh);
	s->listing = false;
}

bool kube_store_begin(struct kube_store *s)
{
	uint64_t next_us;
	bool changed;

	kube_store_drop(s);
	changed = kube_store_take_turns(s, true, 0, &next_us); /* nobody knows how long the list will take */
	s->listing = true;
	return changed;
}

void kube_store_done(struct kube_store *s)
{
	while (s->waiting)
		forget_waiting(s, s->waiting);
	kube_store_drop(s);
	free_table(&s->objects);
}

static struct kube_entry *find(struct kube_entry *table, const char *key)
{
	struct kube_entry *e;

	HASH_FIND_STR(table, key, e);
	return e;
}

static struct kube_entry *get(struct kube_entry **table, const char *key)
{
	struct kube_entry *e = find(*table, key);

	if (!e) {
		e = mem_zalloc(sizeof(*e));
		e->key = mem_strdup(key);
		HASH_ADD_KEYPTR(hh, *table, e->key, strlen(e->key), e);
	}
	return e;
}

static void delete_by_key(struct kube_store *s, const char *key)
{
	const char *slash = strchr(key, '/');
	CLEAN_FREE char *ns = slash ? mem_strndup(key, (size_t)(slash - key)) : NULL;

	cluster_delete(s->cluster, s->kind, ns, slash ? slash + 1 : key);
}

void kube_store_take(struct kube_store *s)
{
	struct kube_entry *old, *next;

	for (struct kube_entry *e = s->fresh; e; e = e->hh.next) {
		old = find(s->objects, e->key);
		if (e->object)
			cluster_upsert(s->cluster, TAKE_PTR(e->object));
		else if (!e->keep && old && old->in_force)
			delete_by_key(s, e->key);
		e->keep = false;
		if (old)
			free_entry(&s->objects, old);
	}
	HASH_ITER(hh, s->objects, old, next)
		if (old->in_force)
			delete_by_key(s, old->key);
	free_table(&s->objects);
	s->objects = TAKE_PTR(s->fresh);
	s->listing = false;
}

int kube_version_of(const struct doc *root, char *ret, struct err *err)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~";
	const char *version = doc_text(doc_get(root, "metadata"), "resourceVersion");

	if (!version || !version[0])
		return err_set(err, EBADMSG, "no metadata.resourceVersion");
	if (strlen(version) >= KUBE_VERSION_MAX || version[strspn(version, allowed)])
		return err_set(err, EBADMSG, "resourceVersion \"%s\" is none", TEXT(version));
	snprintf(ret, KUBE_VERSION_MAX, "%s", version);
	return 0;
}

static bool is_namespaced(enum object_kind kind)
{
	return kind == KIND_POD || kind == KIND_POLICY || kind == KIND_ENDPOINTS;
}

/* Which object it is. The API server gives every object of a namespace its namespace; without one it would be another's. */
static int identify(const struct kube_store *s, const struct doc *root, char **ret_key, struct err *err)
{
	const struct doc *metadata = doc_get(root, "metadata");
	const char *name = doc_text(metadata, "name"), *ns = doc_text(metadata, "namespace"), *kind = object_kind_name(s->kind);

	if (!name || !text_is_dns1123_subdomain(name))
		return err_set(err, EBADMSG, "a %s without a valid name", kind);
	if (is_namespaced(s->kind) && (!ns || !text_is_dns1123_label(ns)))
		return err_set(err, EBADMSG, "%s %s without a valid namespace", kind, name);
	*ret_key = is_namespaced(s->kind) ? mem_printf("%s/%s", ns, name) : mem_strdup(name);
	return 0;
}

static void put_object(struct kube_store *s, struct kube_entry *e, struct object *take, bool good)
{
	e->in_force = true;
	e->keep = false;
	e->good = good;
	object_free(e->object);
	e->object = NULL;
	if (s->listing)
		e->object = take;
	else
		cluster_upsert(s->cluster, take);
}

static void put_nothing(struct kube_store *s, struct kube_entry *e)
{
	bool had = e->in_force;

	object_free(e->object);
	e->object = NULL;
	e->in_force = e->good = e->keep = false;
	if (had && !s->listing)
		delete_by_key(s, e->key);
}

static bool same_text(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* former: what the last good version would be, in this table or in what is in force. */
static void put_unreadable(struct kube_store *s, struct kube_entry *e, const struct kube_entry *former, const char *uid,
			   struct decode_result *result, const char *error)
{
	bool keep = former && former->good && same_text(former->uid, uid);
	const char *in_force = keep ? "last-good-version" : result->fallback.n ? "closed-reading" : "nothing";

	if (!e->error || strcmp(e->error, error) != 0)
		log_warn("kube-object-error object=%s/%s in-force=%s error=\"%s\"", object_kind_name(s->kind), e->key, in_force, TEXT(error));
	if (keep && former != e) {
		e->keep = e->in_force = e->good = true;
	} else if (!keep && result->fallback.n) {
		put_object(s, e, TAKE_PTR(result->fallback.v[0]), false);
	} else if (!keep) {
		put_nothing(s, e);
	}
}

static void put_version(struct kube_store *s, const char *key, const char *uid, struct decode_result *result)
{
	struct kube_entry **table = s->listing ? &s->fresh : &s->objects;
	const struct kube_entry *former = find(*table, key);
	struct kube_entry *e = get(table, key);

	former = former ? former : find(s->objects, key);
	if (result->objects.n)
		put_object(s, e, TAKE_PTR(result->objects.v[0]), true);
	else if (result->errors.n)
		put_unreadable(s, e, former, uid, result, result->errors.v[0]);
	else /* beyond a bound: as if it were not there */
		put_nothing(s, e);
	free(e->uid);
	e->uid = mem_strdup(uid);
	free(e->error);
	e->error = result->errors.n ? mem_strdup(result->errors.v[0]) : NULL;
}

static void remove_object(struct kube_store *s, const char *key)
{
	struct kube_entry **table = s->listing ? &s->fresh : &s->objects, *e = find(*table, key);

	if (!e)
		return;
	if (e->in_force && !s->listing)
		delete_by_key(s, key);
	free_entry(table, e);
}

/* Whose changes these are; NULL: nobody's. */
static char *namespace_of(const struct kube_store *s, const char *key)
{
	const char *slash = strchr(key, '/');

	if (s->kind == KIND_NAMESPACE)
		return mem_strdup(key);
	return slash ? mem_strndup(key, (size_t)(slash - key)) : NULL;
}

/* When an object may be changed: now, or later. */
static uint64_t turn_of(struct kube_store *s, const char *key, uint64_t now_us)
{
	CLEAN_FREE char *ns = s->turns ? namespace_of(s, key) : NULL;

	return ns ? turns_when(s->turns, ns, now_us) : now_us;
}

static struct kube_waiting *find_waiting(const struct kube_store *s, const char *key)
{
	struct kube_waiting *w;

	HASH_FIND_STR(s->waiting, key, w);
	return w;
}

static void wait_for_turn(struct kube_store *s, const char *key, const char *uid, struct decode_result *take, bool deleted)
{
	struct kube_waiting *w = mem_zalloc(sizeof(*w));

	w->key = mem_strdup(key);
	w->uid = mem_strdup(uid);
	w->result = *take;
	w->deleted = deleted;
	*take = (struct decode_result){0};
	HASH_ADD_KEYPTR(hh, s->waiting, w->key, strlen(w->key), w);
}

bool kube_store_take_turns(struct kube_store *s, bool all, uint64_t now_us, uint64_t *ret_next_us)
{
	struct kube_waiting *w, *next;
	bool changed = false;

	*ret_next_us = 0;
	HASH_ITER(hh, s->waiting, w, next) {
		uint64_t turn = all ? now_us : turn_of(s, w->key, now_us);

		if (turn > now_us) {
			*ret_next_us = !*ret_next_us || turn < *ret_next_us ? turn : *ret_next_us;
			continue;
		}
		if (w->deleted)
			remove_object(s, w->key);
		else
			put_version(s, w->key, w->uid, &w->result);
		forget_waiting(s, w);
		changed = true;
	}
	return changed;
}

size_t kube_store_count_waiting(const struct kube_store *s)
{
	return HASH_COUNT(s->waiting);
}

/* In a new list, or now, or later. */
static void put_in_turn(struct kube_store *s, const char *key, const char *uid, struct decode_result *result, bool deleted)
{
	struct kube_waiting *former = find_waiting(s, key);
	uint64_t now_us = uv_hrtime() / 1000;

	if (former)
		forget_waiting(s, former);
	if (!s->listing && turn_of(s, key, now_us) > now_us)
		wait_for_turn(s, key, uid, result, deleted);
	else if (deleted)
		remove_object(s, key);
	else
		put_version(s, key, uid, result);
}

int kube_store_put(struct kube_store *s, const struct doc *root, bool deleted, char *ret_version, struct err *err)
{
	struct decode_result result = {0};
	CLEAN_FREE char *key = NULL;
	int code = identify(s, root, &key, err);

	if (code == 0)
		code = kube_version_of(root, ret_version, err);
	if (code < 0)
		return code;
	decode_item(root, s->kind, &result);
	if (result.lost)
		code = err_set(err, EBADMSG, "%s", result.errors.n ? result.errors.v[0] : "an object that is none");
	else if (s->listing && !deleted && HASH_COUNT(s->fresh) >= KUBE_OBJECTS_MAX)
		code = err_set(err, E2BIG, "more than %d objects", KUBE_OBJECTS_MAX);
	else
		put_in_turn(s, key, doc_text(doc_get(root, "metadata"), "uid"), &result, deleted);
	decode_result_done(&result);
	return code;
}

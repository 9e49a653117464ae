/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an API server answers: the first byte says to which question, and in how large pieces it comes, the second of which kind. What is
 * read does not depend on the pieces, and of a list nothing is in force before its owner takes it.
 */
#include <string.h>

#include "policyd/source/kube_reflector_internal.h"
#include "tests/fuzz/fuzz.h"

static const char *const in_force[KIND_COUNT] = {
	[KIND_NAMESPACE] = "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"5\"}}",
	[KIND_NODE] = "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"5\"}}",
	[KIND_POD] = "{\"metadata\":{\"name\":\"a\",\"namespace\":\"a\",\"resourceVersion\":\"5\"}}",
	[KIND_POLICY] = "{\"metadata\":{\"name\":\"a\",\"namespace\":\"a\",\"resourceVersion\":\"5\"},\"spec\":{\"podSelector\":{}}}",
	[KIND_ENDPOINTS] = "{\"metadata\":{\"name\":\"a\",\"namespace\":\"a\",\"resourceVersion\":\"5\"},\"addressType\":\"IPv4\",\"endpoints\":[]}",
};

static void on_listed(struct kube_reflector *r, void *arg)
{
	(void)r;
	(void)arg;
}

static void on_changed(void *arg)
{
	(void)arg;
}

static void put(struct kube_reflector *r, const char *text)
{
	char version[KUBE_VERSION_MAX];
	struct doc *root;
	struct err err;

	FUZZ_CHECK(doc_parse_json(text, strlen(text), &root, &err) == 0);
	FUZZ_CHECK(kube_store_put(&r->store, root, false, version, &err) == 0);
	doc_free(root);
}

static int answer(struct kube_reflector *r, enum object_kind kind, enum kube_state state, const uint8_t *data, size_t len, size_t step)
{
	int code = 0;

	memset(r, 0, sizeof(*r));
	r->kind = kind;
	r->state = state;
	r->listed_fn = r->went_back_fn = on_listed;
	r->changed_fn = on_changed;
	strcpy(r->version, "5");
	kube_store_init(&r->store, kind, cluster_new());
	kube_stream_init(&r->stream, state == KUBE_LISTING ? KUBE_LIST : KUBE_WATCH);
	put(r, in_force[kind]);
	if (state != KUBE_WATCHING)
		kube_store_begin(&r->store);
	for (size_t i = 0; i < len && code == 0; i += step)
		code = kube_reflector_read(r, (const char *)data + i, len - i < step ? len - i : step);
	if (state != KUBE_WATCHING)
		FUZZ_CHECK(HASH_COUNT(r->store.objects) == 1);
	FUZZ_CHECK(code == 0 || r->broken.code);
	return code;
}

static void done(struct kube_reflector *r)
{
	struct cluster *c = r->store.cluster;

	kube_reflector_done(r);
	cluster_free(c);
}

static void run(const uint8_t *data, size_t len)
{
	static const enum kube_state states[] = {KUBE_LISTING, KUBE_STREAMING, KUBE_WATCHING};
	struct kube_reflector whole, pieces;
	enum kube_state state;
	enum object_kind kind;
	int code;

	if (len < 2)
		return;
	state = states[data[0] % 3];
	kind = (enum object_kind)(data[1] % KIND_COUNT);
	code = answer(&whole, kind, state, data + 2, len - 2, len);
	FUZZ_CHECK((answer(&pieces, kind, state, data + 2, len - 2, data[0] / 3 + 1) < 0) == (code < 0));
	FUZZ_CHECK(!strcmp(whole.broken.text, pieces.broken.text) && !strcmp(whole.version, pieces.version));
	FUZZ_CHECK(whole.page_whole == pieces.page_whole && whole.listed == pieces.listed && whole.error_code == pieces.error_code);
	FUZZ_CHECK(HASH_COUNT(whole.store.objects) == HASH_COUNT(pieces.store.objects));
	FUZZ_CHECK(HASH_COUNT(whole.store.fresh) == HASH_COUNT(pieces.store.fresh));
	done(&whole);
	done(&pieces);
}

static void prepare(void)
{
	stderr = fopen("/dev/null", "we");
}

const struct fuzz_target fuzz_kube = {"kube", prepare, run};

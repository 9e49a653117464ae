/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the decoder share. */
#ifndef TESTS_DECODE_CHECK_H
#define TESTS_DECODE_CHECK_H

#include <check.h>
#include <string.h>

#include "policyd/decode/decode.h"

#define POLICY "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: ns}\n"
#define POD "apiVersion: v1\nkind: Pod\nmetadata: {name: a.b, namespace: ns, uid: u}\n"

static inline struct decode_result decode(const char *text)
{
	struct decode_result result = {0};
	struct doc_list docs = {0};
	struct err err = {0};

	ck_assert_msg(doc_parse(text, strlen(text), &docs, &err) == 0, "%s", err.text);
	for (size_t i = 0; i < docs.n; i++)
		decode_document(docs.v[i], &result);
	doc_list_done(&docs);
	return result;
}

/* One good object and no errors. */
static inline struct decode_result good(const char *text)
{
	struct decode_result r = decode(text);

	ck_assert_msg(r.errors.n == 0, "%s", r.errors.n ? r.errors.v[0] : "");
	ck_assert_uint_eq(r.objects.n, 1);
	ck_assert_uint_eq(r.fallback.n, 0);
	ck_assert(!r.lost);
	return r;
}

static inline bool says(char *const *texts, size_t n, const char *expected)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(texts[i], expected))
			return true;
	return false;
}

#endif

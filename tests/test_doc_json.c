/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to a tree: what RFC 8259 says, and what is refused. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "policyd/decode/doc.h"

static struct doc *parse(const char *text)
{
	struct doc *root = NULL;
	struct err err = {0};

	ck_assert_msg(doc_parse_json(text, strlen(text), &root, &err) == 0, "%s: %s", text, err.text);
	return root;
}

static void refuse(const char *text, const char *expected)
{
	struct doc *root = NULL;
	struct err err = {0};

	ck_assert_msg(doc_parse_json(text, strlen(text), &root, &err) < 0, "accepted: %s", text);
	ck_assert_ptr_null(root);
	ck_assert_msg(strstr(err.text, expected) != NULL, "%s: \"%s\" lacks \"%s\"", text, err.text, expected);
}

static void ck_value(const char *text, enum doc_kind kind, const char *value)
{
	struct doc *root = parse(text);

	ck_assert_msg(root->kind == kind, "%s is kind %d", text, root->kind);
	if (value)
		ck_assert_str_eq(root->text, value);
	else
		ck_assert_ptr_null(root->text);
	doc_free(root);
}

START_TEST(values_are_what_they_are)
{
	ck_value(" null ", DOC_NULL, NULL);
	ck_value("true", DOC_BOOL, "true");
	ck_value("false\n", DOC_BOOL, "false");
	ck_value("0", DOC_NUMBER, "0");
	ck_value("-10.25e+3", DOC_NUMBER, "-10.25e+3");
	ck_value("\"80\"", DOC_STRING, "80");
	ck_value("\"\"", DOC_STRING, "");
	ck_value("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", DOC_STRING, "a\"\\/\b\f\n\r\tz");
	ck_value("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", DOC_STRING, "A\u00e9\u20ac\U0001f600");
	ck_value("\"\\u003c\\u003E\"", DOC_STRING, "<>");
}
END_TEST

/* What no object that an API server validates can be selected by. */
START_TEST(nul_and_lone_surrogates_are_replaced)
{
	ck_value("\"a\\u0000b\"", DOC_STRING, "a\ufffdb");
	ck_value("\"\\ud800\"", DOC_STRING, "\ufffd");
	ck_value("\"\\ud800\\u0041\"", DOC_STRING, "\ufffdA");
	ck_value("\"\\udc00x\"", DOC_STRING, "\ufffdx");
	ck_value("\"\\ud800\\ud83d\\ude00\"", DOC_STRING, "\ufffd\U0001f600");
}
END_TEST

START_TEST(lists_and_maps_nest)
{
	struct doc *root = parse("{ \"a\" : [ 1 , {\"b\":null,\"c\":\"x\"}, [] ] ,\n \"d\":{} }");
	const struct doc *list = doc_get(root, "a");

	ck_assert_uint_eq(list->n, 3);
	ck_assert_str_eq(doc_text(&list->items[1], "c"), "x");
	ck_assert_ptr_null(doc_get(&list->items[1], "b"));
	ck_assert_ptr_null(doc_text(root, "a"));
	ck_assert_uint_eq(doc_get(root, "d")->line, 2);
	doc_free(root);
}
END_TEST

START_TEST(managed_fields_of_the_object_are_left_out_and_others_stay)
{
	struct doc *root = parse("{\"metadata\":{\"managedFields\":[{\"f\":{}}],\"labels\":{\"managedFields\":\"x\"}},"
				 "\"spec\":{\"metadata\":{\"managedFields\":\"y\"}}}");
	const struct doc *metadata = doc_get(root, "metadata");

	ck_assert_ptr_null(doc_get(metadata, "managedFields"));
	ck_assert_str_eq(doc_text(doc_get(metadata, "labels"), "managedFields"), "x");
	ck_assert_str_eq(doc_text(doc_get(doc_get(root, "spec"), "metadata"), "managedFields"), "y");
	doc_free(root);
}
END_TEST

START_TEST(broken_json_is_refused)
{
	static const char *const texts[] = {
		"",	 " ",	    "{",       "[",	"[1,",	   "[1,]",    "{\"a\"}",  "{\"a\":}", "{\"a\":1,}", "{a:1}",  "{'a':1}", "01",
		"1.",	 ".5",	    "-",       "+1",	"1e",	   "tru",     "nulll",	  "\"",	      "\"\\\"",    "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"",
		"\"\n\"", "[1 2]",  "{}{}",    "1 2",	"[1}",	   "{\"a\":1]", "NaN",	  "Infinity", "// x\n1",   "\"\\",	"{1:2}",    "\"a\\",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		refuse(texts[i], "line ");
	refuse("{\"a\":1,\n\"b\":x}", "line 2");
}
END_TEST

/* Each makes one Pod of a list unreadable, and so the list: a tenant of an API server can write them. */
START_TEST(what_nobody_reads_may_say_anything)
{
	struct doc *root = parse("{\"metadata\":{\"name\":\"a\"},\"volumes\":{\"\\u0000\":\"\",\"\\ufffd\":\"x\"}}");

	ck_assert_str_eq(doc_text(doc_get(root, "metadata"), "name"), "a");
	doc_free(root);
	root = parse("{\"a\":\"first\",\"b\":2,\"a\":\"second\"}");
	ck_assert_str_eq(doc_text(root, "a"), "first");
	doc_free(root);
}
END_TEST

START_TEST(managed_fields_have_any_depth)
{
	char deep[4 * DOC_DEPTH_MAX + 1], text[8 * DOC_DEPTH_MAX + 200];
	struct doc *root;

	memset(deep, '[', 2 * DOC_DEPTH_MAX);
	memset(deep + 2 * DOC_DEPTH_MAX, ']', 2 * DOC_DEPTH_MAX);
	deep[4 * DOC_DEPTH_MAX] = '\0';
	snprintf(text, sizeof(text), "{\"metadata\":{\"managedFields\":%s , \"name\":\"a\"}}", deep);
	root = parse(text);
	ck_assert_str_eq(doc_text(doc_get(root, "metadata"), "name"), "a");
	doc_free(root);
	for (size_t i = 0; i < 4; i++) {
		static const char *const values[] = {"null", "\"]}\\\"\"", "12", "{\"}\": [\"]\"]}"};

		snprintf(text, sizeof(text), "{\"metadata\":{\"managedFields\":%s,\"name\":\"a\"}}", values[i]);
		root = parse(text);
		ck_assert_str_eq(doc_text(doc_get(root, "metadata"), "name"), "a");
		doc_free(root);
	}
	refuse("{\"metadata\":{\"managedFields\":[{\"a\"", "in a value");
	refuse("{\"metadata\":{\"managedFields\":[\"a", "in a string");
}
END_TEST

START_TEST(nesting_is_bounded)
{
	char text[2 * DOC_DEPTH_MAX + 3];

	memset(text, '[', DOC_DEPTH_MAX);
	memset(text + DOC_DEPTH_MAX, ']', DOC_DEPTH_MAX);
	text[2 * DOC_DEPTH_MAX] = '\0';
	doc_free(parse(text));
	memset(text, '[', DOC_DEPTH_MAX + 1);
	memset(text + DOC_DEPTH_MAX + 1, ']', DOC_DEPTH_MAX + 1);
	text[2 * DOC_DEPTH_MAX + 2] = '\0';
	refuse(text, "nested more than");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("doc_json");
	TCase *t = tcase_create("doc_json");
	SRunner *r;
	int failed;

	tcase_add_test(t, values_are_what_they_are);
	tcase_add_test(t, nul_and_lone_surrogates_are_replaced);
	tcase_add_test(t, lists_and_maps_nest);
	tcase_add_test(t, managed_fields_of_the_object_are_left_out_and_others_stay);
	tcase_add_test(t, broken_json_is_refused);
	tcase_add_test(t, what_nobody_reads_may_say_anything);
	tcase_add_test(t, managed_fields_have_any_depth);
	tcase_add_test(t, nesting_is_bounded);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policyd/decode/doc.h"

static struct doc_list parse(const char *text)
{
	struct doc_list l = {0};
	struct err err = {0};

	ck_assert_msg(doc_parse(text, strlen(text), &l, &err) == 0, "%s", err.text);
	return l;
}

/* The text is refused, and the sentence contains what is expected. */
static void refuse_bytes(const char *text, size_t len, const char *expected)
{
	struct doc_list l = {0};
	struct err err = {0};
	int r = doc_parse(text, len, &l, &err);

	ck_assert_msg(r < 0, "accepted: %.60s", text);
	ck_assert_ptr_null(l.v);
	ck_assert_msg(strstr(err.text, expected) != NULL, "\"%s\" lacks \"%s\"", err.text, expected);
	ck_assert_msg(!strncmp(err.text, "line ", 5), "%s", err.text);
}

static void refuse(const char *text, const char *expected)
{
	refuse_bytes(text, strlen(text), expected);
}

static void ck_kind(const char *scalar, enum doc_kind kind)
{
	CLEAN_FREE char *text = mem_printf("k: %s\n", scalar);
	struct doc_list l = parse(text);

	ck_assert_uint_eq(l.n, 1);
	ck_assert_msg(l.v[0]->items[0].kind == kind, "%s is kind %d", scalar, l.v[0]->items[0].kind);
	doc_list_done(&l);
}

START_TEST(plain_scalars_are_what_kubernetes_reads)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
	static const char *const bools[] = {"true", "True", "TRUE", "yes", "No", "ON", "off", "false", "y", "N"};
	static const char *const numbers[] = {"0", "80", "-1", "+1", "0x50", "0o17", "010", "1_000", "1.5", ".5", "1.",
					      "1e3", "-1.5E-3", ".inf", "-.Inf", ".nan", "99999999999999999999999999", "0b11"};
	static const char *const strings[] = {"http", "10.0.0.1", "10.0.0.0/8", "tRue", "'80'", "\"true\"", "'null'", "''",
					      "1-2", "e3", ".", "-x", "0x", "0xg", "1e", "2024-01-01T00:00:00Z", "::1",
					      "!!str 80", "! yes", "12:30", "v1", "nuLL", "yess", "_1"};

	for (size_t i = 0; i < ARRAY_SIZE(nulls); i++)
		ck_kind(nulls[i], DOC_NULL);
	for (size_t i = 0; i < ARRAY_SIZE(bools); i++)
		ck_kind(bools[i], DOC_BOOL);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		ck_kind(numbers[i], DOC_NUMBER);
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		ck_kind(strings[i], DOC_STRING);
}
END_TEST

START_TEST(documents_lists_and_lines)
{
	struct doc_list l = parse("# first\n---\na: 1\nb:\n- x\n-\n- c: d\n---\n---\ne: f\n...\n");
	const struct doc *b;

	ck_assert_uint_eq(l.n, 2);
	ck_assert_uint_eq(l.v[0]->line, 3);
	b = doc_get(l.v[0], "b");
	ck_assert_uint_eq(b->n, 3);
	ck_assert_uint_eq(b->items[0].line, 5);
	ck_assert_int_eq(b->items[1].kind, DOC_NULL);
	ck_assert_str_eq(doc_get(&b->items[2], "c")->text, "d");
	ck_assert_uint_eq(doc_get(l.v[1], "e")->line, 10);
	doc_list_done(&l);
	l = parse("");
	ck_assert_uint_eq(l.n, 0);
	l = parse("# only a comment\n---\n~\n");
	ck_assert_uint_eq(l.n, 0);
	doc_list_done(&l);
}
END_TEST

START_TEST(get_takes_null_for_absent)
{
	struct doc_list l = parse("a: null\nb: {}\nc: ''\n");

	ck_assert_ptr_null(doc_get(l.v[0], "a"));
	ck_assert_ptr_nonnull(doc_get(l.v[0], "b"));
	ck_assert_ptr_nonnull(doc_get(l.v[0], "c"));
	ck_assert_ptr_null(doc_get(l.v[0], "d"));
	ck_assert_ptr_null(doc_get(NULL, "a"));
	ck_assert_ptr_null(doc_get(doc_get(l.v[0], "c"), "a"));
	doc_list_done(&l);
}
END_TEST

START_TEST(json_is_read)
{
	struct doc_list l = parse("{\"kind\":\"Pod\",\n\t\"n\":[1,true,null,\"80\"],\"s\":\"a\\/\\u0041\\n\"}\n");
	const struct doc *n = doc_get(l.v[0], "n");

	ck_assert_str_eq(doc_get(l.v[0], "kind")->text, "Pod");
	ck_assert_uint_eq(n->line, 2);
	ck_assert_int_eq(n->items[0].kind, DOC_NUMBER);
	ck_assert_int_eq(n->items[1].kind, DOC_BOOL);
	ck_assert_int_eq(n->items[2].kind, DOC_NULL);
	ck_assert_int_eq(n->items[3].kind, DOC_STRING);
	ck_assert_str_eq(doc_get(l.v[0], "s")->text, "a/A\n");
	doc_list_done(&l);
}
END_TEST

START_TEST(windows_lines_and_byte_order_mark_are_read)
{
	struct doc_list l = parse("\xef\xbb\xbf" "a: b\r\nc: d\r\n");

	ck_assert_str_eq(doc_get(l.v[0], "a")->text, "b");
	ck_assert_uint_eq(doc_get(l.v[0], "c")->line, 2);
	doc_list_done(&l);
}
END_TEST

START_TEST(aliases_are_refused_before_they_expand)
{
	refuse("a: &x [1,2]\nb: [*x,*x,*x]\n", "line 1: anchor &x");
	refuse("a: 1\nb: *x\n", "line 2");
	refuse("&k a: 1\n", "line 1: anchor &k");
	refuse("a:\n  <<: {b: c}\n", "line 2: merge keys");
}
END_TEST

START_TEST(duplicate_keys_name_both_lines)
{
	refuse("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "line 5: key \"c\" is given twice in one map, first on line 3");
	refuse("z: 1\nb: 1\nz: 2\nb: 2\n", "line 3: key \"z\"");
	refuse("{\"a\":1,\"a\":2}", "line 1: key \"a\"");
	refuse("\"\\e[31m\": 1\n\"\\e[31m\": 2\n", "\\x1b[31m");
}
END_TEST

START_TEST(keys_must_be_strings)
{
	refuse("a: 1\n80: x\n", "line 2: key 80 reads as a number; quote it");
	refuse("on: x\n", "line 1: key on reads as a boolean");
	refuse("~: x\n", "reads as a null");
	refuse("? [a]\n: b\n", "must be a string");
	refuse("? {a: b}\n: b\n", "must be a string");
	ck_kind("{'80': x, '<<': y}", DOC_MAP);
}
END_TEST

START_TEST(tags_are_refused)
{
	refuse("a: !!int '80'\n", "tag tag:yaml.org,2002:int");
	refuse("a: !mine {}\n", "tag !mine");
	refuse("a: !!set {x}\n", "line 1: tag");
	refuse("%TAG ! tag:x:\n---\na: b\n", "line 1: %TAG");
	refuse("# x\n%TAG ! tag:x:\n---\na: b\n", "line 2: %TAG");
}
END_TEST

START_TEST(broken_text_names_its_line)
{
	refuse("a: [1,\nb: 2\n", "line ");
	refuse("a: b\n c: d\n", "line 2: broken YAML");
	refuse("a: \"x\n", "line 2: broken YAML");
	refuse("{\"a\": 1", "broken YAML");
	refuse("a: b\n\tc: d\n", "line 2");
	refuse("a: 1\nb: \"\\0\"\n", "line 2: a NUL character");
	refuse("a: \"\\ud800\"\n", "line 1");
}
END_TEST

START_TEST(what_is_no_utf8_text_is_refused)
{
	refuse("a: 1\nb: \xff\xfe\n", "line 2");
	refuse("a: \xc0\xaf\n", "UTF-8");
	refuse("a: \xed\xa0\x80\n", "UTF-8");
	refuse("a: 1\nb: 2\nc: \x1b[31m\n", "line 3");
	refuse("\xff\xfe" "a: b\n", "line 1");
	refuse_bytes("a: b\0c", 6, "line 1");
	refuse_bytes("\xff\xfe" "a\0:\0 \0b\0", 10, "line 1");
}
END_TEST

/* Repeats a text between a head and a tail. */
static char *repeat(const char *head, const char *text, size_t times, const char *tail, size_t *ret_len)
{
	size_t h = strlen(head), t = strlen(text), e = strlen(tail);
	char *all = mem_alloc(h + times * t + e + 1);

	memcpy(all, head, h);
	for (size_t i = 0; i < times; i++)
		memcpy(all + h + i * t, text, t);
	memcpy(all + h + times * t, tail, e + 1);
	*ret_len = h + times * t + e;
	return all;
}

START_TEST(deep_nesting_is_refused)
{
	static const char *const units[] = {"[", "{\"a\":", "{a: [", "- "};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t len;
		CLEAN_FREE char *text = repeat("", units[i], 10000, "", &len);

		refuse_bytes(text, len, "nested more than 64 deep");
	}
	for (size_t depth = 63; depth <= 64; depth++) {
		size_t open_len, len;
		CLEAN_FREE char *open = repeat("", "[", depth, "x", &open_len);
		CLEAN_FREE char *text = repeat(open, "]", depth, "", &len);
		struct doc_list l = {0};

		ck_assert_int_eq(doc_parse(text, len, &l, NULL) == 0, depth == 63);
		doc_list_done(&l);
	}
}
END_TEST

START_TEST(large_files_are_refused_at_once)
{
	size_t len;
	CLEAN_FREE char *ten_megabytes = repeat("", "a: bcdefg\n", 1 << 20, "", &len);
	CLEAN_FREE char *many = repeat("[", "1,", DOC_NODES_MAX, "1]", &len);
	size_t many_len = len;

	refuse_bytes(ten_megabytes, 10u << 20, "more than 4194304");
	/* 4 MB of "1," are just above the limit of bytes; empty documents and shorter texts reach that of values */
	refuse_bytes(many, many_len < DOC_FILE_BYTES_MAX ? many_len : DOC_FILE_BYTES_MAX, "line 1: ");
}
END_TEST

START_TEST(large_maps_are_read_in_time)
{
	CLEAN_FREE char *text = mem_alloc(DOC_FILE_BYTES_MAX + 32);
	size_t len = 0, n = 0;
	struct doc_list l = {0};
	struct timespec before, after;
	struct err err;

	while (len < DOC_FILE_BYTES_MAX - 32)
		len += (size_t)sprintf(text + len, "k%zu: v\n", n++);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	ck_assert_msg(doc_parse(text, len, &l, &err) == 0, "%s", err.text);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	ck_assert_uint_eq(l.v[0]->n, n);
	doc_list_done(&l);
	/* a quadratic search takes minutes; sanitizers and busy machines get their share */
	ck_assert_int_lt(after.tv_sec - before.tv_sec, 15);
	sprintf(text + len, "k7: v\n");
	refuse(text, "key \"k7\" is given twice in one map, first on line 8");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doc");
	TCase *tc = tcase_create("doc"), *large = tcase_create("large");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, plain_scalars_are_what_kubernetes_reads);
	tcase_add_test(tc, documents_lists_and_lines);
	tcase_add_test(tc, get_takes_null_for_absent);
	tcase_add_test(tc, json_is_read);
	tcase_add_test(tc, windows_lines_and_byte_order_mark_are_read);
	tcase_add_test(tc, aliases_are_refused_before_they_expand);
	tcase_add_test(tc, duplicate_keys_name_both_lines);
	tcase_add_test(tc, keys_must_be_strings);
	tcase_add_test(tc, tags_are_refused);
	tcase_add_test(tc, broken_text_names_its_line);
	tcase_add_test(tc, what_is_no_utf8_text_is_refused);
	tcase_add_test(tc, deep_nesting_is_refused);
	suite_add_tcase(suite, tc);
	tcase_set_timeout(large, 60);
	tcase_set_tags(large, "large");
	tcase_add_test(large, large_files_are_refused_at_once);
	tcase_add_test(large, large_maps_are_read_in_time);
	suite_add_tcase(suite, large);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

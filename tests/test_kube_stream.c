/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and watches cut into objects, whole, byte by byte, and wrong. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "policyd/source/kube_stream.h"

static char seen[4096]; /* "o:<object>|" and "e:<envelope>|" in order */

static int note(char what, const char *text, size_t len)
{
	size_t at = strlen(seen);

	snprintf(seen + at, sizeof(seen) - at, "%c:%.*s|", what, (int)len, text);
	return 0;
}

static int on_object(void *arg, const char *text, size_t len, struct err *err)
{
	(void)arg;
	(void)err;
	return note('o', text, len);
}

static int on_envelope(void *arg, const char *text, size_t len, struct err *err)
{
	(void)arg;
	(void)err;
	return note('e', text, len);
}

static const struct kube_stream_events events = {.object = on_object, .envelope = on_envelope};

/* In pieces of `step` bytes. Returns whether it may end there. */
static int feed(enum kube_shape shape, const char *text, size_t step, bool *ret_may_end, struct err *err)
{
	struct kube_stream s;
	size_t len = strlen(text);
	int code = 0;

	seen[0] = '\0';
	kube_stream_init(&s, shape);
	for (size_t i = 0; i < len && code == 0; i += step)
		code = kube_stream_feed(&s, text + i, len - i < step ? len - i : step, &events, err);
	*ret_may_end = kube_stream_may_end(&s);
	kube_stream_done(&s);
	return code;
}

static void expect(enum kube_shape shape, const char *text, const char *expected)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		struct err err = {0};
		bool may_end;

		ck_assert_msg(feed(shape, text, step, &may_end, &err) == 0, "%s", err.text);
		ck_assert_str_eq(seen, expected);
		ck_assert(may_end);
	}
}

static void refuse(enum kube_shape shape, const char *text, const char *expected)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		struct err err = {0};
		bool may_end;

		ck_assert_msg(feed(shape, text, step, &may_end, &err) < 0, "accepted: %s", text);
		ck_assert_msg(strstr(err.text, expected) != NULL, "\"%s\" lacks \"%s\"", err.text, expected);
	}
}

START_TEST(items_are_cut_out_of_a_list)
{
	expect(KUBE_LIST, "{\"kind\":\"PodList\",\"items\":[{\"a\":[1,{}]} , {\"b\":\"]}\"}],\"metadata\":{\"items\":[{}]}}\n",
	       "o:{\"a\":[1,{}]}|o:{\"b\":\"]}\"}|e:{\"kind\":\"PodList\",\"items\":[],\"metadata\":{\"items\":[{}]}}|");
	expect(KUBE_LIST, "{\"items\":[ ]}", "e:{\"items\":[]}|");
	expect(KUBE_LIST, "{\"items\":null,\"x\":[{}]}", "e:{\"items\":null,\"x\":[{}]}|");
	expect(KUBE_LIST, "{\"x\":\"items\",\"y\":[{}]}", "e:{\"x\":\"items\",\"y\":[{}]}|");
	expect(KUBE_LIST, "{\"itemsx\":[{}]}", "e:{\"itemsx\":[{}]}|");
}
END_TEST

START_TEST(objects_are_cut_out_of_events)
{
	expect(KUBE_WATCH, "{\"type\":\"ADDED\",\"object\":{\"object\":{\"x\":\"\\\"}\"}}}\n\n {\"object\":{},\"type\":\"B\"}",
	       "o:{\"object\":{\"x\":\"\\\"}\"}}|e:{\"type\":\"ADDED\",\"object\":{}}|o:{}|e:{\"object\":{},\"type\":\"B\"}|");
	expect(KUBE_WATCH, "{\"object\":3,\"x\":{}}", "e:{\"object\":3,\"x\":{}}|");
	expect(KUBE_WATCH, "\n", "");
}
END_TEST

START_TEST(what_is_no_stream_of_objects_is_refused)
{
	refuse(KUBE_LIST, "<html>", "byte 0x3c where an object was expected");
	refuse(KUBE_WATCH, "{} 3", "where an object was expected");
	refuse(KUBE_LIST, "{} {}", "where nothing more was expected");
	refuse(KUBE_LIST, "{\"items\":[3]}", "between items");
	refuse(KUBE_LIST, "{\"items\":[{}{}]}", "no comma between items");
	refuse(KUBE_LIST, "{\"items\":[,{}]}", "between items");
	refuse(KUBE_LIST, "{\"items\":[{}}", "between items");
	refuse(KUBE_LIST, "{\"items\":[[]]}", "an item is no object");
	refuse(KUBE_WATCH, "}", "where an object was expected");
}
END_TEST

START_TEST(what_is_cut_off_may_not_end_there)
{
	static const char *const texts[] = {"{", "{\"items\":[{\"a\":1}", "{\"items\":[{\"a\":\"x", "{\"items\":[{}],\"k\":1"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct err err;
		bool may_end;

		for (int shape = KUBE_LIST; shape <= KUBE_WATCH; shape++) {
			feed((enum kube_shape)shape, texts[i], 3, &may_end, &err);
			ck_assert(!may_end);
		}
	}
}
END_TEST

static size_t largest;

static int on_large(void *arg, const char *text, size_t len, struct err *err)
{
	(void)arg;
	(void)text;
	(void)err;
	largest = len;
	return 0;
}

/* A list with one object of so many bytes. */
static int feed_giant(size_t bytes, bool around)
{
	const struct kube_stream_events large = {.object = on_large, .envelope = on_large};
	char block[65536];
	struct kube_stream s;
	struct err err;
	int code;

	memset(block, 'x', sizeof(block));
	kube_stream_init(&s, KUBE_LIST);
	code = around ? kube_stream_feed(&s, "{\"a\":\"", 6, &large, &err) : kube_stream_feed(&s, "{\"items\":[{\"a\":\"", 16, &large, &err);
	for (size_t left = bytes; left && code == 0;) {
		size_t n = left < sizeof(block) ? left : sizeof(block);

		code = kube_stream_feed(&s, block, n, &large, &err);
		left -= n;
	}
	if (code == 0)
		code = around ? kube_stream_feed(&s, "\"}", 2, &large, &err) : kube_stream_feed(&s, "\"}]}", 4, &large, &err);
	kube_stream_done(&s);
	return code;
}

START_TEST(giants_are_refused_at_the_bound)
{
	ck_assert_int_eq(feed_giant(KUBE_OBJECT_BYTES_MAX - 8, false), 0);
	ck_assert_int_lt(feed_giant(KUBE_OBJECT_BYTES_MAX - 7, false), 0);
	ck_assert_int_eq(feed_giant(KUBE_ENVELOPE_BYTES_MAX - 8, true), 0);
	ck_assert_int_lt(feed_giant(KUBE_ENVELOPE_BYTES_MAX - 7, true), 0);
}
END_TEST

static int refuse_object(void *arg, const char *text, size_t len, struct err *err)
{
	(void)arg;
	(void)text;
	(void)len;
	return err_set(err, EBADMSG, "not wanted");
}

START_TEST(reader_that_wants_no_more_ends_it)
{
	const struct kube_stream_events refusing = {.object = refuse_object, .envelope = on_envelope};
	static const char text[] = "{\"items\":[{},{}]}";
	struct kube_stream s;
	struct err err;

	seen[0] = '\0';
	kube_stream_init(&s, KUBE_LIST);
	ck_assert_int_lt(kube_stream_feed(&s, text, strlen(text), &refusing, &err), 0);
	ck_assert_str_eq(err.text, "not wanted");
	ck_assert_str_eq(seen, "");
	kube_stream_done(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kube_stream");
	TCase *t = tcase_create("kube_stream");
	SRunner *r;
	int failed;

	tcase_add_test(t, items_are_cut_out_of_a_list);
	tcase_add_test(t, objects_are_cut_out_of_events);
	tcase_add_test(t, what_is_no_stream_of_objects_is_refused);
	tcase_add_test(t, what_is_cut_off_may_not_end_there);
	tcase_add_test(t, giants_are_refused_at_the_bound);
	tcase_add_test(t, reader_that_wants_no_more_ends_it);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}

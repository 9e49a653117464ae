/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "policyd/model/selector.h"

#define VALUES(...) (const char *const[]){__VA_ARGS__}, ARRAY_SIZE(((const char *const[]){__VA_ARGS__}))

static void ck_canonical(const struct selector *s, const char *expected)
{
	CLEAN_FREE char *text = selector_canonical(s);

	ck_assert_str_eq(text, expected);
}

START_TEST(labels_are_sorted_and_replaced)
{
	struct labels l = {0};

	labels_set(&l, "b", "1");
	labels_set(&l, "c", "2");
	labels_set(&l, "a", "3");
	labels_set(&l, "b", "4");
	ck_assert_uint_eq(l.n, 3);
	ck_assert_str_eq(l.v[0].key, "a");
	ck_assert_str_eq(l.v[2].key, "c");
	ck_assert_str_eq(labels_get(&l, "b"), "4");
	ck_assert_ptr_null(labels_get(&l, "bb"));
	labels_set(&l, "b", labels_get(&l, "b"));
	ck_assert_str_eq(labels_get(&l, "b"), "4");
	labels_done(&l);
	ck_assert_ptr_null(labels_get(&l, "b"));
}
END_TEST

START_TEST(labels_are_equal_by_keys_and_values)
{
	struct labels a = {0}, b = {0};

	ck_assert(labels_equal(&a, &b));
	labels_set(&a, "x", "1");
	ck_assert(!labels_equal(&a, &b));
	labels_set(&b, "x", "2");
	ck_assert(!labels_equal(&a, &b));
	labels_set(&b, "x", "1");
	ck_assert(labels_equal(&a, &b));
	labels_done(&a);
	labels_done(&b);
}
END_TEST

static bool matches(enum selector_op op, const char *value_or_null, const char *label_or_null)
{
	struct selector s = {0};
	struct labels l = {0};
	bool result;

	if (value_or_null)
		selector_add(&s, "app", op, VALUES("zz", value_or_null, "aa"));
	else
		selector_add(&s, "app", op, NULL, 0);
	if (label_or_null)
		labels_set(&l, "app", label_or_null);
	result = selector_matches(&s, &l);
	selector_done(&s);
	labels_done(&l);
	return result;
}

START_TEST(not_in_and_does_not_exist_match_an_absent_key)
{
	ck_assert(matches(OP_NOT_IN, "web", NULL));
	ck_assert(matches(OP_DOES_NOT_EXIST, NULL, NULL));
	ck_assert(!matches(OP_IN, "web", NULL));
	ck_assert(!matches(OP_EXISTS, NULL, NULL));
}
END_TEST

START_TEST(operators_read_a_present_key)
{
	ck_assert(matches(OP_IN, "web", "web"));
	ck_assert(!matches(OP_IN, "web", "db"));
	ck_assert(!matches(OP_NOT_IN, "web", "web"));
	ck_assert(matches(OP_NOT_IN, "web", "db"));
	ck_assert(matches(OP_EXISTS, NULL, ""));
	ck_assert(!matches(OP_DOES_NOT_EXIST, NULL, ""));
	ck_assert(matches(OP_IN, "", ""));
}
END_TEST

START_TEST(an_empty_selector_matches_everything_and_all_requirements_must_hold)
{
	struct selector s = {0};
	struct labels l = {0};

	ck_assert(selector_matches(&s, &l));
	labels_set(&l, "a", "1");
	selector_add(&s, "a", OP_IN, VALUES("1"));
	ck_assert(selector_matches(&s, &l));
	selector_add(&s, "b", OP_EXISTS, NULL, 0);
	ck_assert(!selector_matches(&s, &l));
	selector_done(&s);
	labels_done(&l);
}
END_TEST

START_TEST(an_in_without_values_matches_nothing)
{
	struct selector s = {0};
	struct labels l = {0};

	labels_set(&l, "a", "");
	selector_add(&s, "a", OP_IN, NULL, 0);
	ck_assert(!selector_matches(&s, &l));
	selector_done(&s);
	labels_done(&l);
}
END_TEST

START_TEST(one_canonical_text_whatever_the_order)
{
	struct selector a = {0}, b = {0}, copy;

	ck_canonical(&a, "");
	selector_add(&a, "x", OP_IN, VALUES("2", "1", "2"));
	selector_add(&a, "b", OP_DOES_NOT_EXIST, NULL, 0);
	selector_add(&b, "b", OP_DOES_NOT_EXIST, NULL, 0);
	selector_add(&b, "x", OP_IN, VALUES("1", "2"));
	selector_add(&b, "x", OP_IN, VALUES("2", "1"));
	ck_canonical(&a, "!b,x in (1,2)");
	ck_canonical(&b, "!b,x in (1,2)");
	selector_copy(&copy, &a);
	selector_done(&a);
	ck_canonical(&copy, "!b,x in (1,2)");
	selector_done(&copy);
	selector_done(&b);
}
END_TEST

START_TEST(different_selectors_differ_in_text)
{
	static const struct {
		enum selector_op op;
		const char *text;
	} cases[] = {{OP_IN, "k in (v)"}, {OP_NOT_IN, "k notin (v)"}, {OP_EXISTS, "k"}, {OP_DOES_NOT_EXIST, "!k"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct selector s = {0};
		bool values = cases[i].op == OP_IN || cases[i].op == OP_NOT_IN;

		selector_add(&s, "k", cases[i].op, (const char *const[]){"v"}, values);
		ck_canonical(&s, cases[i].text);
		selector_done(&s);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("selector");
	TCase *tc = tcase_create("selector");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, labels_are_sorted_and_replaced);
	tcase_add_test(tc, labels_are_equal_by_keys_and_values);
	tcase_add_test(tc, not_in_and_does_not_exist_match_an_absent_key);
	tcase_add_test(tc, operators_read_a_present_key);
	tcase_add_test(tc, an_empty_selector_matches_everything_and_all_requirements_must_hold);
	tcase_add_test(tc, an_in_without_values_matches_nothing);
	tcase_add_test(tc, one_canonical_text_whatever_the_order);
	tcase_add_test(tc, different_selectors_differ_in_text);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

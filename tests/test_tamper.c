/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "policyd/kernel/tamper.h"

static struct tamper t;

static void setup(void)
{
	memset(&t, 0, sizeof(t));
}

START_TEST(nothing_found_is_nothing_repaired)
{
	tamper_repaired(&t, 5);
	ck_assert_uint_eq(t.by_event + t.by_checks, 0);
	ck_assert_uint_eq(tamper_median_us(&t), 0);
	ck_assert_str_eq(t.last, "");
}
END_TEST

START_TEST(time_goes_from_the_first_word_to_the_commit)
{
	tamper_found(&t, false, 1000, "deletion of table inet moat", "nft[7]");
	tamper_found(&t, false, 3000, "change of chain to", "nft[8]");
	tamper_repaired(&t, 4500);
	ck_assert_uint_eq(t.by_event, 1);
	ck_assert_uint_eq(tamper_median_us(&t), 3500);
	ck_assert_str_eq(t.last, "deletion of table inet moat by nft[7], put right after 3.50 ms");
	ck_assert(!t.open);
}
END_TEST

START_TEST(what_needed_no_commit_was_nothing)
{
	tamper_found(&t, false, 1000, "change of elements of pods", "nft[7]");
	tamper_repaired(&t, 900); /* the last commit is an older one */
	ck_assert(!t.open);
	ck_assert_uint_eq(t.by_event, 0);
}
END_TEST

START_TEST(what_a_check_finds_counts_for_itself)
{
	uint64_t now = clock_monotonic_us();

	tamper_found(&t, true, now - 900000, "chain to differs", "");
	tamper_repaired(&t, now - 1000); /* an older commit has nothing to do with it */
	ck_assert_uint_eq(t.by_checks, 0);
	tamper_found(&t, true, now - 900000, "chain to differs", "");
	now = clock_monotonic_us();
	tamper_repaired(&t, now);
	ck_assert_uint_eq(t.by_event, 0);
	ck_assert_uint_eq(t.by_checks, 1);
	ck_assert_uint_eq(t.max_us, 0);
	ck_assert_uint_ge(t.max_unnoticed_us, 900000);
	ck_assert_uint_eq(tamper_median_us(&t), 0);
}
END_TEST

START_TEST(median_is_of_the_last_ones)
{
	for (uint64_t i = 0; i < 2 * TAMPER_KEPT; i++) {
		tamper_found(&t, false, 1000, "x", "");
		tamper_repaired(&t, 1000 + (i < TAMPER_KEPT ? 50000 : i % 3));
	}
	ck_assert_uint_eq(tamper_median_us(&t), 1);
	ck_assert_uint_eq(t.max_us, 50000);
	ck_assert_uint_eq(t.by_event, 2 * TAMPER_KEPT);
}
END_TEST

/* Whoever has a socket chooses the name of his process. */
START_TEST(names_of_processes_are_escaped)
{
	tamper_found(&t, false, 1, "x", "\x1b[31m[7]");
	ck_assert_str_eq(t.by, "\\x1b[31m[7]");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tamper");
	TCase *tcase = tcase_create("tamper");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, nothing_found_is_nothing_repaired);
	tcase_add_test(tcase, time_goes_from_the_first_word_to_the_commit);
	tcase_add_test(tcase, what_needed_no_commit_was_nothing);
	tcase_add_test(tcase, what_a_check_finds_counts_for_itself);
	tcase_add_test(tcase, median_is_of_the_last_ones);
	tcase_add_test(tcase, names_of_processes_are_escaped);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

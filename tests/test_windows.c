/* SPDX-License-Identifier: Apache-2.0 */
/* The deny window: who waits, for how long, and who does not count. */
#include <check.h>
#include <string.h>

#include "policyd/model/windows.h"
#include "tests/build.h"

static struct windows w;
static struct cluster *c;
static char *key;

static void set_up(void)
{
	struct attachment *a = build_attachment("c1", "default", "web", "10.0.0.2");

	memset(&w, 0, sizeof(w));
	c = cluster_new();
	cluster_upsert(c, build_namespace("default", NULL));
	cluster_attach(c, a);
	key = attachment_key(a);
	attachment_free(a);
}

static void tear_down(void)
{
	windows_done(&w);
	cluster_free(c);
	free(key);
}

static void apply(uint64_t now_us)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
	windows_applied(&w, c, now_us);
}

START_TEST(a_pod_that_had_its_policy_waits_for_nothing)
{
	windows_answered(&w, key, true, 1000);
	apply(5000);
	ck_assert(w.in_place == 1 && w.late == 0 && windows_percentile(&w, 50) == 0);
}
END_TEST

START_TEST(a_pod_waits_until_it_is_known_and_what_it_may_is_applied)
{
	windows_answered(&w, key, false, 1000);
	apply(2000);
	ck_assert_uint_eq(w.late, 0);
	cluster_upsert(c, build_pod("default", "web", NULL, NULL, NULL));
	apply(8000);
	apply(9000);
	ck_assert_uint_eq(w.late, 1);
	ck_assert_uint_eq(w.max_us, 7000);
	ck_assert_uint_eq(windows_percentile(&w, 99), 7000);
}
END_TEST

START_TEST(a_pod_that_goes_before_is_no_window)
{
	windows_answered(&w, key, false, 1000);
	cluster_detach(c, key);
	apply(2000);
	ck_assert(w.late == 0 && !w.waiting);
}
END_TEST

START_TEST(an_add_that_comes_again_begins_anew)
{
	windows_answered(&w, key, false, 1000);
	windows_answered(&w, key, false, 4000);
	cluster_upsert(c, build_pod("default", "web", NULL, NULL, NULL));
	apply(5000);
	ck_assert(w.late == 1 && w.max_us == 1000);
}
END_TEST

START_TEST(percentiles_are_of_the_newest_and_waiting_is_bounded)
{
	cluster_upsert(c, build_pod("default", "web", NULL, NULL, NULL));
	for (uint64_t i = 0; i < WINDOWS_KEPT + 100; i++) {
		windows_answered(&w, key, false, 0);
		apply(i < 100 ? 1000000 : i);
	}
	ck_assert_uint_eq(windows_percentile(&w, 100), WINDOWS_KEPT + 99);
	ck_assert_uint_eq(windows_percentile(&w, 0), 100);
	ck_assert_uint_eq(w.max_us, 1000000);
	for (int i = 0; i < WINDOWS_WAITING + 10; i++) {
		CLEAN_FREE char *other = mem_printf("net/x%d:eth0", i);

		windows_answered(&w, other, false, 0);
	}
	ck_assert_uint_eq(HASH_COUNT(w.waiting), WINDOWS_WAITING);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("windows");
	Suite *s = suite_create("windows");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_pod_that_had_its_policy_waits_for_nothing);
	tcase_add_test(t, a_pod_waits_until_it_is_known_and_what_it_may_is_applied);
	tcase_add_test(t, a_pod_that_goes_before_is_no_window);
	tcase_add_test(t, an_add_that_comes_again_begins_anew);
	tcase_add_test(t, percentiles_are_of_the_newest_and_waiting_is_bounded);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of the daemon's time, and the work that they are made from. */
#include <check.h>

#include "policyd/source/turns.h"
#include "tests/build.h"

static struct turns t;

static void setup(void)
{
	turns_init(&t);
}

static void teardown(void)
{
	turns_done(&t);
}

#define SECOND UINT64_C(1000000)

START_TEST(what_is_waited_for_costs_but_a_stopped_daemon_does_not)
{
	ck_assert_uint_eq(turns_cost(3000, 1000), 3000);
	ck_assert_uint_eq(turns_cost(10000000, 1000), 1000 * TURNS_WAITING);
}
END_TEST

START_TEST(who_owes_little_does_not_wait)
{
	ck_assert_uint_eq(turns_when(&t, "a", 7), 7);
	turns_charge(&t, "a", TURNS_MOMENT_US, 10 * SECOND);
	ck_assert_uint_eq(turns_when(&t, "a", 10 * SECOND), 10 * SECOND);
	ck_assert_uint_eq(turns_when(&t, "b", 10 * SECOND), 10 * SECOND);
}
END_TEST

START_TEST(who_owes_more_waits_until_it_is_paid_back_and_nobody_else_does)
{
	turns_charge(&t, "a", TURNS_MOMENT_US + 200000, 10 * SECOND);
	ck_assert_uint_eq(turns_when(&t, "a", 10 * SECOND), 12 * SECOND);
	ck_assert_uint_eq(turns_when(&t, "a", 11 * SECOND), 12 * SECOND);
	ck_assert_uint_eq(turns_when(&t, "a", 12 * SECOND), 12 * SECOND);
	ck_assert_uint_eq(turns_when(&t, "b", 10 * SECOND), 10 * SECOND);
	turns_charge(&t, "a", 100000, 12 * SECOND);
	ck_assert_uint_eq(turns_when(&t, "a", 12 * SECOND), 13 * SECOND);
}
END_TEST

START_TEST(who_asks_without_end_has_a_tenth)
{
	uint64_t now = SECOND, used = 0;

	for (int i = 0; i < 1000; i++) {
		now = turns_when(&t, "a", now);
		turns_charge(&t, "a", 30000, now += 30000);
		used += 30000;
	}
	ck_assert_uint_gt(now, 9 * used);
	ck_assert_uint_lt(now, 11 * used);
}
END_TEST

START_TEST(asking_pays_nothing_back)
{
	turns_charge(&t, "a", TURNS_MOMENT_US + 200000, 10 * SECOND);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_uint_eq(turns_when(&t, "a", 9 * SECOND), 11 * SECOND); /* before it was charged */
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_uint_eq(turns_when(&t, "a", 10 * SECOND + i * 7) / 10, 12 * SECOND / 10);
}
END_TEST

START_TEST(who_is_not_heard_of_again_is_forgotten)
{
	for (unsigned i = 0; i < 1000; i++) {
		CLEAN_FREE char *ns = mem_printf("ns%u", i);

		turns_charge(&t, ns, 1000, SECOND + i * 100000); /* paid back before the next but one */
		ck_assert_uint_lt(HASH_COUNT(t.debts), 10);
	}
}
END_TEST

struct shares {
	uint64_t a, b;
};

static void note(const char *ns, uint64_t work, void *arg)
{
	struct shares *s = arg;

	*(ns[0] == 'a' ? &s->a : &s->b) += work;
}

static struct shares work_of(struct cluster *c)
{
	struct local_pod_list changed;
	struct shares s = {0};

	cluster_compile(c, &changed);
	free(changed.v);
	cluster_each_work(c, note, &s);
	cluster_forget_work(c);
	return s;
}

START_TEST(work_is_that_of_the_namespace_that_caused_it)
{
	struct cluster *c = cluster_new();
	struct object *much = build_policy("a", "much", NULL, INGRESS);
	struct shares s;

	for (int i = 0; i < 2; i++) {
		const char *ns = i ? "b" : "a";
		struct attachment *a = build_attachment(ns, ns, "p", i ? "10.0.0.2" : "10.0.0.1");

		cluster_upsert(c, build_namespace(ns, NULL));
		cluster_upsert(c, build_pod(ns, "p", "x=y", NULL, NULL));
		cluster_attach(c, a);
		attachment_free(a);
	}
	work_of(c);
	for (unsigned i = 0; i < 100; i++) {
		struct policy_rule *rule = build_rule(much, INGRESS);
		CLEAN_FREE char *peer = mem_printf("20.0.%u.0/24", i), *port = mem_printf("tcp/%u", 2 * i + 1);

		build_peer(rule, peer);
		build_port(rule, port);
	}
	cluster_upsert(c, much);
	cluster_upsert(c, build_policy("b", "none", NULL, INGRESS));
	s = work_of(c);
	ck_assert_uint_gt(s.b, 0);
	ck_assert_uint_gt(s.a, 100 * s.b);
	s = work_of(c);
	ck_assert_uint_eq(s.a + s.b, 0);
	cluster_delete(c, KIND_POLICY, "b", "none");
	s = work_of(c);
	ck_assert_uint_eq(s.a, 0);
	ck_assert_uint_gt(s.b, 0);
	cluster_free(c); /* with work that nobody asked for */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("turns");
	TCase *tc = tcase_create("turns");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_waited_for_costs_but_a_stopped_daemon_does_not);
	tcase_add_test(tc, who_owes_little_does_not_wait);
	tcase_add_test(tc, who_owes_more_waits_until_it_is_paid_back_and_nobody_else_does);
	tcase_add_test(tc, who_asks_without_end_has_a_tenth);
	tcase_add_test(tc, asking_pays_nothing_back);
	tcase_add_test(tc, who_is_not_heard_of_again_is_forgotten);
	tcase_add_test(tc, work_is_that_of_the_namespace_that_caused_it);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}

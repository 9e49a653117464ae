/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has beside what it should have, and what is done with strays, each test in namespaces of its own. */
#include <check.h>
#include <linux/netlink.h>
#include <string.h>
#include <time.h>

#include "moat/dump.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "policyd/kernel/strays.h"
#include "policyd/kernel/verify.h"
#include "tests/rundir.h"

#define THERE "lo" /* an interface that every namespace has */

static struct cluster *c;
static struct reconcile r;
static struct attachment *pod;
static struct verified v;
static struct strays strays;
static struct nl nl;
static struct err err;

static bool refresh(void *arg)
{
	(void)arg;
	return false;
}

static struct attachment *attach(const char *id, const char *port, const char *address, uint64_t created)
{
	struct attachment *a = rundir_attachment(id, port, address);

	a->created = created;
	ck_assert_int_eq(podstore_put(a, &err), 0);
	ck_assert_msg(pod_close(a, NULL, 0, &err) == 0, "%s", err.text);
	return a;
}

static void setup(void)
{
	rundir_leave_host();
	rundir_make();
	ck_assert_int_eq(podstore_init(&err), 0);
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	c = cluster_new();
	ck_assert_int_eq(reconcile_init(&r, c, &err), 0);
	r.refresh = refresh;
	pod = attach("a", "veth0", "10.1.0.2", 1);
	cluster_attach(c, pod);
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
	verified_done(&v);
	strays_done(&strays);
	reconcile_done(&r);
	cluster_free(c);
	attachment_free(pod);
	nl_close(&nl);
	rundir_remove();
}

static void commit(struct txn *t)
{
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
}

static void look(void)
{
	verified_done(&v);
	ck_assert_msg(verify(&r, &v, &err) == 0, "%s", err.text);
}

static void check_nothing_differs(void)
{
	look();
	ck_assert_str_eq(v.what, "");
	ck_assert_uint_eq(v.left.elements.n + v.left.chains.n, 0);
}

START_TEST(what_the_daemon_made_does_not_differ)
{
	check_nothing_differs();
}
END_TEST

START_TEST(a_port_that_waits_for_its_links_end_is_wanted)
{
	struct attachment *closing = attach("b", "veth1", "10.1.0.3", 2);

	ck_assert_int_eq(pod_withdraw(closing, &err), 0);
	ck_assert_int_eq(podstore_mark_closing(closing, &err), 0);
	check_nothing_differs();
	attachment_free(closing);
}
END_TEST

START_TEST(what_a_pod_misses_makes_it_suspect)
{
	struct txn *t = txn_new();

	txn_delete_element(t, &set_self[0], key_with_addr(key_of_addr(&pod->addrs[0]), &pod->addrs[0]));
	commit(t);
	look();
	ck_assert_str_eq(v.what, "missing: element of set self");
	ck_assert_uint_eq(v.pods, 1);
	ck_assert(reconcile_restore(&r, false));
	reconcile_forget_restored(&r);
	check_nothing_differs();
}
END_TEST

START_TEST(rules_and_fixed_sets_are_of_the_static_part)
{
	struct txn *t = txn_new();

	txn_add_element(t, &set_tunnel_protocols, key_with_protocol((struct key){.len = 0}, 6), NULL);
	rule_begin(t, "input");
	rule_accept(t);
	rule_end(t);
	commit(t);
	look();
	ck_assert(v.static_part && !v.program && !v.surroundings && !v.pods);
	ck_assert_msg(reconcile_bar(&r, &err) == 0, "%s", err.text);
	check_nothing_differs();
}
END_TEST

START_TEST(nodes_are_of_the_surroundings)
{
	struct txn *t = txn_new();

	txn_add_element(t, &set_nodes[0], key_of_addr(&pod->addrs[0]), NULL);
	commit(t);
	look();
	ck_assert(v.surroundings && !v.program && !v.static_part);
	surroundings_distrust(&r.surroundings);
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
	check_nothing_differs();
}
END_TEST

/* The pod store forgets the attachment whole. */
static void lose_state(const struct attachment *a)
{
	ck_assert_int_eq(podstore_remove(a, &err), 0);
}

START_TEST(a_stray_whose_link_is_gone_goes_without_a_trace)
{
	struct attachment *lost = attach("b", "veth9", "10.1.0.9", 2);

	lose_state(lost);
	look();
	ck_assert_str_eq(v.what, "");
	ck_assert_uint_eq(v.left.chains.n, 2);
	ck_assert(strays_settle(&strays, &r, &v));
	ck_assert_uint_eq(strays.told.n, 0);
	check_nothing_differs();
	attachment_free(lost);
}
END_TEST

/* Its pod may still run. */
START_TEST(a_stray_whose_link_is_there_is_closed_and_told)
{
	static const char *const open[] = {CHAIN_OPEN, CHAIN_OPEN};
	struct attachment *lost = attach("b", THERE, "10.1.0.9", 2);
	struct txn *t = txn_new();

	pod_put(t, lost, open);
	commit(t);
	lose_state(lost);
	look();
	ck_assert(strays_settle(&strays, &r, &v));
	ck_assert_uint_eq(strays.told.n, 1);
	ck_assert_str_eq(strays.told.v[0], "port lo with 10.1.0.9 is no attachment's in the pod store (a lost state file?): "
					   "closed until the link goes");
	ck_assert_msg(pod_check(lost, &err) == 0, "%s", err.text);
	t = txn_new();
	txn_flush_chain(t, CHAIN_OPEN);
	txn_delete_chain(t, CHAIN_OPEN);
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "something still goes to it: %s", err.text);
	txn_free(t);
	attachment_free(lost);
}
END_TEST

/* An ADD between the look and what follows from it: the kernel refuses to take anything of the new owner's. */
START_TEST(a_new_owner_loses_nothing_to_a_strays_end)
{
	struct attachment *lost = attach("b", "veth9", "10.1.0.9", 2), *heir;

	lose_state(lost);
	look();
	heir = attach("c", "veth10", "10.1.0.9", 3);
	ck_assert(!strays_settle(&strays, &r, &v));
	ck_assert_msg(pod_check(heir, &err) == 0, "%s", err.text);
	cluster_attach(c, heir);
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
	look(); /* what the ADD did not take over */
	ck_assert(strays_settle(&strays, &r, &v));
	check_nothing_differs();
	attachment_free(lost);
	attachment_free(heir);
}
END_TEST

START_TEST(an_element_for_itself_goes_unless_it_is_a_port_that_is_there)
{
	struct txn *t = txn_new();
	struct addr other;

	ck_assert_int_eq(addr_parse("10.1.0.9", &other, NULL), 0);
	txn_add_element(t, &set_self[0], key_with_addr(key_of_addr(&pod->addrs[0]), &other), NULL);
	txn_add_element(t, &set_pods[0], key_of_addr(&other), NULL);
	txn_add_element(t, &set_ports, key_of_port(THERE), NULL);
	txn_add_element(t, &set_ports, key_of_port("gone"), NULL);
	commit(t);
	look();
	ck_assert(strays_settle(&strays, &r, &v));
	ck_assert_str_ne(strays.what, "");
	ck_assert_uint_eq(strays.told.n, 1);
	look();
	ck_assert_uint_eq(v.left.elements.n, 1);
	ck_assert_str_eq((const char *)v.left.elements.v[0].key.bytes, THERE);
}
END_TEST

START_TEST(while_another_writer_is_at_work_strays_wait)
{
	struct attachment *lost = attach("b", "veth9", "10.1.0.9", 2);
	CLEAN_CLOSE int lock = podstore_lock(0, &err);

	lose_state(lost);
	look();
	ck_assert(!strays_settle(&strays, &r, &v));
	ck_assert_msg(pod_check(lost, &err) == 0, "%s", err.text);
	attachment_free(lost);
}
END_TEST

START_TEST(nothing_is_known_before_the_first_build)
{
	reconcile_distrust(&r);
	ck_assert_int_eq(verify(&r, &v, &err), -ENOTSUP);
}
END_TEST

/* ---- the look in turns --------------------------------------------------------------------------------------------------- */

static void run(void)
{
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
}

static struct attachment *attach_known(unsigned i)
{
	CLEAN_FREE char *id = mem_printf("n%u", i), *port = mem_printf("veth-n%u", i), *address = mem_printf("10.2.%u.%u", i / 250, 1 + i % 250);
	struct attachment *a = attach(id, port, address, 100 + i);

	cluster_attach(c, a);
	return a;
}

static struct survey *survey_wanting_all(void)
{
	struct survey *s = survey_new(&r, &err);

	ck_assert_msg(s != NULL, "%s", err.text);
	while (!survey_want(s, 0))
		;
	return s;
}

static void damage(void)
{
	struct txn *t = txn_new();

	txn_delete_element(t, &set_self[0], key_with_addr(key_of_addr(&pod->addrs[0]), &pod->addrs[0]));
	commit(t);
}

static uint64_t cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Whatever the machine: of its own time, no turn takes more than a small part of the whole. */
START_TEST(many_pods_are_asked_for_in_short_turns)
{
	enum { PODS = 300 };
	uint64_t total = 0, longest = 0;
	struct survey *s;
	bool over = false;

	for (unsigned i = 0; i < PODS; i++)
		attachment_free(attach_known(i));
	run();
	s = survey_new(&r, &err);
	while (!over) {
		uint64_t began = cpu_us(), took;

		over = survey_want(s, 100);
		took = cpu_us() - began;
		total += took;
		longest = took > longest ? took : longest;
	}
	ck_assert_msg(longest * 4 < total, "one turn took %u of %u us", (unsigned)longest, (unsigned)total);
	survey_read(s, &nl);
	ck_assert_int_eq(survey_judge(s, NULL, &v, &err), 0);
	ck_assert_str_eq(v.what, "");
	survey_free(s);
}
END_TEST

/* A pod comes between what is wanted and what is read, twice; and another goes. What is really missing is found all the same. */
START_TEST(a_model_that_goes_on_changing_is_no_difference)
{
	struct attachment *b = attach_known(1), *d;
	struct survey *first, *second;
	CLEAN_FREE char *key = attachment_key(b);

	run();
	first = survey_wanting_all();
	d = attach_known(2);
	cluster_detach(c, key);
	ck_assert_int_eq(pod_withdraw(b, &err), 0);
	ck_assert_int_eq(podstore_remove(b, &err), 0);
	run();
	if (_i)
		damage();
	survey_read(first, &nl);
	ck_assert_int_eq(survey_judge(first, NULL, &v, &err), -EAGAIN);
	second = survey_wanting_all();
	attachment_free(attach_known(3));
	run();
	survey_read(second, &nl);
	ck_assert_int_eq(survey_judge(second, first, &v, &err), 0);
	ck_assert_str_eq(v.what, _i ? "missing: element of set self" : "");
	ck_assert_uint_eq(v.pods, _i);
	ck_assert(!v.program && !v.static_part && !v.surroundings);
	ck_assert_uint_eq(v.left.chains.n, 0);
	survey_free(first);
	survey_free(second);
	attachment_free(b);
	attachment_free(d);
}
END_TEST

START_TEST(what_is_built_anew_meanwhile_is_not_compared)
{
	struct survey *s = survey_wanting_all();

	reconcile_distrust(&r);
	run();
	survey_read(s, &nl);
	ck_assert_int_eq(survey_judge(s, NULL, &v, &err), -ENOTSUP);
	survey_free(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verify");
	TCase *tcase = tcase_create("verify");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, what_the_daemon_made_does_not_differ);
	tcase_add_test(tcase, a_port_that_waits_for_its_links_end_is_wanted);
	tcase_add_test(tcase, what_a_pod_misses_makes_it_suspect);
	tcase_add_test(tcase, rules_and_fixed_sets_are_of_the_static_part);
	tcase_add_test(tcase, nodes_are_of_the_surroundings);
	tcase_add_test(tcase, a_stray_whose_link_is_gone_goes_without_a_trace);
	tcase_add_test(tcase, a_stray_whose_link_is_there_is_closed_and_told);
	tcase_add_test(tcase, a_new_owner_loses_nothing_to_a_strays_end);
	tcase_add_test(tcase, an_element_for_itself_goes_unless_it_is_a_port_that_is_there);
	tcase_add_test(tcase, while_another_writer_is_at_work_strays_wait);
	tcase_add_test(tcase, nothing_is_known_before_the_first_build);
	tcase_add_test(tcase, many_pods_are_asked_for_in_short_turns);
	tcase_add_loop_test(tcase, a_model_that_goes_on_changing_is_no_difference, 0, 2);
	tcase_add_test(tcase, what_is_built_anew_meanwhile_is_not_compared);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

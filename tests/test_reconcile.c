/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon puts back into a real kernel, and what it leaves out, each test in a user and network namespace of its own. */
#include <check.h>
#include <linux/netlink.h>
#include <string.h>
#include <unistd.h>

#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "policyd/reconcile.h"
#include "tests/rundir.h"

static struct cluster *c;
static struct reconcile r;
static struct attachment *pod;
static struct nl nl;
static struct err err;

static void refresh(void *arg)
{
	(void)arg;
}

/* A pod that the plugin has closed and the daemon has taken. */
static void setup(void)
{
	rundir_leave_host();
	rundir_make();
	ck_assert_int_eq(podstore_init(&err), 0);
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	c = cluster_new();
	ck_assert_int_eq(reconcile_init(&r, c, &err), 0);
	r.refresh = refresh;
	pod = rundir_attachment("a", "veth0", "10.1.0.2");
	pod->created = 1; /* not young: nobody is about to put it */
	ck_assert_int_eq(podstore_put(pod, &err), 0);
	ck_assert_msg(pod_close(pod, NULL, 0, &err) == 0, "%s", err.text);
	cluster_attach(c, pod);
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
	reconcile_done(&r);
	cluster_free(c);
	attachment_free(pod);
	nl_close(&nl);
	rundir_remove();
}

static bool has_port(void)
{
	char chain[CHAIN_NAME_MAX];

	return txn_read_verdict(&nl, &set_ports, key_of_port(pod->port), chain) == 0;
}

static bool has_address(void)
{
	char chain[CHAIN_NAME_MAX];

	return txn_read_verdict(&nl, &map_to_pod[0], key_of_addr(&pod->addrs[0]), chain) == 0;
}

static void lose_everything(void)
{
	struct txn *t = txn_new();

	txn_delete_table(t);
	ck_assert_int_eq(txn_commit(t, &nl, &err), 0);
	txn_free(t);
	reconcile_distrust(&r);
}

/* The daemon has something to swap to in the pod's chains. */
static void change_mode(void)
{
	cluster_set_network_mode(c, pod->network, MODE_AUDIT, DENY_DROP);
}

START_TEST(pods_come_back_after_a_flush)
{
	lose_everything();
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
	ck_assert(has_port());
	ck_assert(has_address());
}
END_TEST

START_TEST(port_of_a_closing_attachment_comes_back_without_its_address)
{
	ck_assert_int_eq(pod_withdraw(pod, &err), 0);
	ck_assert_int_eq(podstore_mark_closing(pod, &err), 0);
	lose_everything(); /* and the model has not heard of the DEL */
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
	ck_assert(has_port());
	ck_assert(!has_address());
}
END_TEST

START_TEST(lost_pod_is_put_whole)
{
	ck_assert_int_eq(pod_withdraw(pod, &err), 0);
	change_mode();
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
	ck_assert(has_address());
	ck_assert_uint_eq(r.pending.n, 0);
}
END_TEST

START_TEST(pod_is_not_put_in_the_middle_of_its_del)
{
	int lock = podstore_lock(0, &err);

	ck_assert_int_ge(lock, 0);
	ck_assert_int_eq(pod_withdraw(pod, &err), 0);
	change_mode();
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
	ck_assert(!has_address());
	ck_assert_uint_eq(r.pending.n, 1);
	ck_assert_int_eq(podstore_mark_closing(pod, &err), 0);
	close(lock);
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
	ck_assert(!has_address());
	ck_assert_uint_eq(r.pending.n, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reconcile");
	TCase *tcase = tcase_create("reconcile");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, pods_come_back_after_a_flush);
	tcase_add_test(tcase, port_of_a_closing_attachment_comes_back_without_its_address);
	tcase_add_test(tcase, lost_pod_is_put_whole);
	tcase_add_test(tcase, pod_is_not_put_in_the_middle_of_its_del);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* namespaces are left by ending the process */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

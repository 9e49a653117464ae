/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon puts back into a real kernel, and what it leaves out, each test in a user and network namespace of its own. */
#include <check.h>
#include <linux/netlink.h>
#include <string.h>
#include <unistd.h>

#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/proof.h"
#include "moat/ruleset.h"
#include "policyd/kernel/reconcile.h"
#include "tests/rundir.h"

static struct cluster *c;
static struct reconcile r;
static struct attachment *pod;
static struct nl nl;
static struct err err;

static bool refresh(void *arg)
{
	(void)arg;
	return false;
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

static void rob(const struct set_spec *set, struct key key)
{
	struct txn *t = txn_new();

	txn_delete_element(t, set, key);
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
}

START_TEST(what_a_pod_was_robbed_of_comes_back)
{
	struct key address = key_of_addr(&pod->addrs[0]);

	rob(&map_to_pod[0], address);
	rob(&set_pods[0], address);
	rob(&set_ports, key_of_port(pod->port));
	ck_assert(reconcile_suspect_element(&r, address.bytes, address.len));
	ck_assert(reconcile_restore(&r, false));
	ck_assert_msg(pod_check(pod, &err) == 0, "%s", err.text);
	reconcile_forget_restored(&r);
	ck_assert_uint_eq(r.suspects.n, 0);
}
END_TEST

START_TEST(another_verdict_is_replaced)
{
	struct key address = key_of_addr(&pod->addrs[0]);
	struct txn *t = txn_new();

	rob(&map_to_pod[0], address);
	txn_add_element(t, &map_to_pod[0], address, CHAIN_OPEN);
	ck_assert_int_eq(txn_commit(t, &nl, &err), 0);
	txn_free(t);
	ck_assert(reconcile_suspect_element(&r, address.bytes, address.len));
	ck_assert(reconcile_restore(&r, false));
	ck_assert_msg(pod_check(pod, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(an_emptied_chain_has_its_rule_again)
{
	char chain[CHAIN_NAME_MAX];
	struct txn *t = txn_new();

	txn_flush_chain(t, pod_chain_name(INGRESS, pod, chain));
	ck_assert_int_eq(txn_commit(t, &nl, &err), 0);
	txn_free(t);
	ck_assert(reconcile_suspect_chain(&r, chain));
	ck_assert(reconcile_restore(&r, false));
	ck_assert_msg(pod_check(pod, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(what_del_took_is_not_put_back)
{
	struct key address = key_of_addr(&pod->addrs[0]);

	ck_assert_int_eq(pod_withdraw(pod, &err), 0);
	ck_assert_int_eq(podstore_mark_closing(pod, &err), 0);
	ck_assert(reconcile_suspect_element(&r, address.bytes, address.len)); /* the model has not heard of it */
	ck_assert(reconcile_restore(&r, false));
	ck_assert(!has_address());
}
END_TEST

START_TEST(while_another_writer_is_at_work_nothing_is_put_back)
{
	struct key address = key_of_addr(&pod->addrs[0]);
	int lock = podstore_lock(0, &err);

	ck_assert_int_ge(lock, 0);
	rob(&map_to_pod[0], address);
	ck_assert(reconcile_suspect_element(&r, address.bytes, address.len));
	ck_assert(!reconcile_restore(&r, false));
	ck_assert(!has_address());
	close(lock);
	ck_assert(reconcile_restore(&r, false));
	ck_assert(has_address());
}
END_TEST

/* It may have stopped for good: then at least nothing is open. */
START_TEST(a_writer_that_holds_the_lock_for_long_does_not_keep_a_robbed_pod_open)
{
	struct key address = key_of_addr(&pod->addrs[0]);
	int lock = podstore_lock(0, &err);

	ck_assert_int_ge(lock, 0);
	rob(&map_to_pod[0], address);
	ck_assert(reconcile_suspect_element(&r, address.bytes, address.len));
	ck_assert(!reconcile_restore(&r, true));
	ck_assert(has_address());
	ck_assert_uint_eq(r.suspects.n, 1);
	close(lock);
}
END_TEST

START_TEST(elements_of_others_concern_nobody)
{
	struct addr other;

	ck_assert_int_eq(addr_parse("10.1.0.3", &other, NULL), 0);
	ck_assert(!reconcile_suspect_element(&r, other.bytes, addr_len(&other)));
	ck_assert(!reconcile_suspect_chain(&r, "i-veth0-0000000000000002"));
	ck_assert_uint_eq(r.suspects.n, 0);
}
END_TEST

/* The maps are empty after it, so that a packet of the pod's finds its port or its address, and no verdict. */
START_TEST(the_bar_has_the_static_part_ports_and_addresses)
{
	char chain[CHAIN_NAME_MAX];

	lose_everything();
	ck_assert_msg(reconcile_bar(&r, &err) == 0, "%s", err.text);
	ck_assert_msg(ruleset_prove(&nl, TABLE_INET, &err) == 0, "%s", err.text);
	ck_assert(has_port());
	ck_assert_int_eq(txn_read_verdict(&nl, &set_pods[0], key_of_addr(&pod->addrs[0]), chain), 0);
	ck_assert(!has_address());
}
END_TEST

/* The kernel does not delete a chain to which a rule goes. */
static bool is_used(const char *chain)
{
	struct txn *t = txn_new();
	int code;

	txn_flush_chain(t, chain);
	txn_delete_chain(t, chain);
	code = txn_commit(t, &nl, &err);
	txn_free(t);
	return code == -EBUSY;
}

/* What stands of a pod goes on to work while the rest is put: its chain keeps its target. */
START_TEST(guarding_puts_what_is_missing_and_leaves_what_stands)
{
	struct txn *t = txn_new();

	pod_put_target(t, pod, INGRESS, CHAIN_OPEN);
	ck_assert_int_eq(txn_commit(t, &nl, &err), 0);
	txn_free(t);
	rob(&set_pods[0], key_of_addr(&pod->addrs[0]));
	r.pods_unsure = true;
	ck_assert_msg(reconcile_guard(&r, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_check(pod, &err) == 0, "%s", err.text);
	ck_assert(is_used(CHAIN_OPEN));
}
END_TEST

START_TEST(what_the_daemon_commits_hands_the_proof_on)
{
	struct proof p;

	r.built = false; /* anew, beside what stands */
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
	proof_begin(&p, &nl, true);
	ck_assert_int_eq(p.now.static_part[TABLE_INET] != 0, rundir_netns_has_cookie());
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
	tcase_add_test(tcase, what_the_daemon_commits_hands_the_proof_on);
	tcase_add_test(tcase, pods_come_back_after_a_flush);
	tcase_add_test(tcase, port_of_a_closing_attachment_comes_back_without_its_address);
	tcase_add_test(tcase, lost_pod_is_put_whole);
	tcase_add_test(tcase, pod_is_not_put_in_the_middle_of_its_del);
	tcase_add_test(tcase, what_a_pod_was_robbed_of_comes_back);
	tcase_add_test(tcase, another_verdict_is_replaced);
	tcase_add_test(tcase, an_emptied_chain_has_its_rule_again);
	tcase_add_test(tcase, what_del_took_is_not_put_back);
	tcase_add_test(tcase, while_another_writer_is_at_work_nothing_is_put_back);
	tcase_add_test(tcase, a_writer_that_holds_the_lock_for_long_does_not_keep_a_robbed_pod_open);
	tcase_add_test(tcase, elements_of_others_concern_nobody);
	tcase_add_test(tcase, the_bar_has_the_static_part_ports_and_addresses);
	tcase_add_test(tcase, guarding_puts_what_is_missing_and_leaves_what_stands);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* namespaces are left by ending the process */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

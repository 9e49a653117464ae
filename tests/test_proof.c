/* SPDX-License-Identifier: Apache-2.0 */
/* The record of the last proof, against the real kernel, each test in a user and network namespace of its own. */
#include <check.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/proof.h"
#include "moat/ruleset.h"
#include "tests/rundir.h"

static struct nl nl;
static struct err err;
static struct attachment *pod;

static void close_pod(void)
{
	ck_assert_int_eq(podstore_put(pod, &err), 0);
	ck_assert_msg(pod_close(pod, NULL, 0, &err) == 0, "%s", err.text);
}

/* Two: the first one finds no ruleset, the second one takes the first one's word. */
static void setup(void)
{
	rundir_leave_host();
	rundir_make();
	ck_assert_int_eq(podstore_init(&err), 0);
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	pod = rundir_attachment("a", "veth0", "10.1.0.2");
	close_pod();
	close_pod();
}

static void teardown(void)
{
	attachment_free(pod);
	nl_close(&nl);
	rundir_remove();
}

static bool is_recorded(void)
{
	struct proof p;

	proof_begin(&p, &nl, true);
	return p.now.static_part[TABLE_INET] != 0;
}

static void stranger_flushes(const char *chain)
{
	struct txn *t = txn_new();

	txn_flush_chain(t, chain);
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
}

START_TEST(pods_that_come_and_go_hand_the_record_on)
{
	ck_assert(is_recorded());
	ck_assert_int_eq(pod_withdraw(pod, &err), 0);
	ck_assert(is_recorded());
	ck_assert_int_eq(pod_release_port(pod, &err), 0);
	ck_assert(is_recorded());
	close_pod();
	ck_assert(is_recorded());
}
END_TEST

START_TEST(strangers_commit_ends_the_record)
{
	stranger_flushes("open");
	ck_assert(!is_recorded());
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_INET, &err), -EBADMSG);
	close_pod();
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_INET, &err), 0);
	ck_assert(is_recorded());
}
END_TEST

START_TEST(strangers_commit_before_ours_is_not_handed_on)
{
	struct proof p;
	struct txn *t = txn_new();

	proof_begin(&p, &nl, true);
	ck_assert_uint_ne(p.now.static_part[TABLE_INET], 0);
	stranger_flushes("forward");
	pod_put_target(t, pod, INGRESS, CHAIN_DENY_INGRESS);
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
	proof_keep(&p);
	ck_assert(!is_recorded());
}
END_TEST

START_TEST(withdrawal_after_a_strangers_commit_records_nothing)
{
	stranger_flushes("forward");
	ck_assert_int_eq(pod_withdraw(pod, &err), 0);
	ck_assert(!is_recorded());
}
END_TEST

/* Else a stranger's commit right behind it would look like ours. */
START_TEST(commit_that_changes_nothing_counts)
{
	struct txn *t = txn_new();
	struct proof before, after;

	proof_begin(&before, &nl, true);

	txn_add_element(t, &set_ports, key_of_port(pod->port), NULL); /* it is there */
	ck_assert_msg(proof_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
	proof_begin(&after, &nl, true);
	ck_assert_uint_ne(after.now.static_part[TABLE_INET], 0);
	ck_assert_uint_eq(after.now.generation, before.now.generation + 1);
}
END_TEST

START_TEST(commit_that_writes_static_rules_does_not)
{
	struct txn *t = txn_new();

	ruleset_put(t, TABLE_INET);
	ck_assert_msg(proof_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
	ck_assert(!is_recorded());
}
END_TEST

/* A pod of a bridge, so that there is table bridge moat. Closed twice, as in setup. */
static struct attachment *close_bridged_pod(void)
{
	struct attachment *a = rundir_attachment("b", "veth1", "10.1.0.3");

	snprintf(a->bridge, sizeof(a->bridge), "cni0");
	a->bridge_index = 5;
	memcpy(a->bridge_mac, "\2\0\0\0\0\1", 6);
	memcpy(a->mac, "\2\0\0\0\1\7", 6);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(podstore_put(a, &err), 0);
		ck_assert_msg(pod_close(a, NULL, 0, &err) == 0, "%s", err.text);
	}
	return a;
}

static bool bridge_is_recorded(void)
{
	struct proof p;

	proof_begin(&p, &nl, true);
	return p.now.static_part[TABLE_INET] && p.now.static_part[TABLE_BRIDGE];
}

static struct txn *flush_bridge_prerouting(void)
{
	struct txn *t = txn_new();

	txn_on(t, TABLE_BRIDGE);
	txn_flush_chain(t, "prerouting");
	return t;
}

START_TEST(both_tables_are_recorded_and_handed_on)
{
	struct attachment *bridged = close_bridged_pod();

	ck_assert(bridge_is_recorded());
	close_pod(); /* a routed one */
	ck_assert(bridge_is_recorded());
	ck_assert_int_eq(pod_withdraw(bridged, &err), 0);
	ck_assert(bridge_is_recorded());
	attachment_free(bridged);
}
END_TEST

START_TEST(strangers_commit_ends_the_record_of_both)
{
	struct txn *t;

	attachment_free(close_bridged_pod());
	t = flush_bridge_prerouting();
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
	close_pod(); /* which looks at table inet only */
	ck_assert(is_recorded() && !bridge_is_recorded());
	attachment_free(close_bridged_pod());
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_BRIDGE, &err), 0);
	ck_assert(bridge_is_recorded());
}
END_TEST

/* Seen by a flaw that only a commit of ours could make. */
START_TEST(what_is_recorded_of_table_bridge_is_not_asked_again)
{
	struct txn *t;

	attachment_free(close_bridged_pod());
	t = flush_bridge_prerouting();
	ck_assert_msg(proof_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
	attachment_free(close_bridged_pod());
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_BRIDGE, &err), -EBADMSG);
}
END_TEST

START_TEST(record_of_other_rules_is_not_believed)
{
	struct proof p;

	proof_begin(&p, &nl, true);
	p.now.static_part[TABLE_INET] ^= 1; /* what another version would have written */
	stranger_flushes("forward");
	ck_assert_int_eq(proof_make(&p, TABLE_INET, &err), -EBADMSG);
}
END_TEST

START_TEST(record_of_another_namespace_is_not_believed)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	nl_close(&nl);
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	for (int i = 0; i < 8; i++) { /* past the count that was recorded */
		ck_assert(!is_recorded());
		struct txn *t = txn_new();

		if (i % 2)
			txn_delete_table(t);
		else
			txn_add_table(t);
		ck_assert_int_eq(txn_commit(t, &nl, &err), 0);
		txn_free(t);
	}
}
END_TEST

START_TEST(torn_short_and_foreign_records_are_none)
{
	CLEAN_FREE char *path = rundir_path("proof");
	FILE *f = fopen(path, "r+");

	ck_assert(f && fseek(f, offsetof(struct proof_record, static_part), SEEK_SET) == 0 && fputc(0x5a, f) == 0x5a && fclose(f) == 0);
	ck_assert(!is_recorded());
	close_pod();
	ck_assert(is_recorded());
	ck_assert_int_eq(truncate(path, 20), 0);
	ck_assert(!is_recorded());
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	close_pod();
	ck_assert(!is_recorded());
}
END_TEST

/* Of the kernel that the tests run on: before Linux 5.14 the next ADD proves all, always. */
START_TEST(without_a_cookie_of_the_namespace_nothing_is_recorded)
{
	ck_assert_int_eq(is_recorded(), rundir_netns_has_cookie());
}
END_TEST

static void add_tests_of_records(TCase *tcase)
{
	tcase_add_test(tcase, pods_that_come_and_go_hand_the_record_on);
	tcase_add_test(tcase, strangers_commit_ends_the_record);
	tcase_add_test(tcase, strangers_commit_before_ours_is_not_handed_on);
	tcase_add_test(tcase, withdrawal_after_a_strangers_commit_records_nothing);
	tcase_add_test(tcase, commit_that_changes_nothing_counts);
	tcase_add_test(tcase, commit_that_writes_static_rules_does_not);
	tcase_add_test(tcase, both_tables_are_recorded_and_handed_on);
	tcase_add_test(tcase, strangers_commit_ends_the_record_of_both);
	tcase_add_test(tcase, what_is_recorded_of_table_bridge_is_not_asked_again);
	tcase_add_test(tcase, record_of_other_rules_is_not_believed);
	tcase_add_test(tcase, record_of_another_namespace_is_not_believed);
	tcase_add_test(tcase, torn_short_and_foreign_records_are_none);
}

int main(void)
{
	Suite *suite = suite_create("proof");
	TCase *tcase = tcase_create("proof");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, without_a_cookie_of_the_namespace_nothing_is_recorded);
	if (rundir_netns_has_cookie())
		add_tests_of_records(tcase);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* namespaces are left by ending the process */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

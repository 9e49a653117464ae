/* SPDX-License-Identifier: Apache-2.0 */
/* What the real kernel tells of changes, in a user and network namespace of each test's own. */
#include <check.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moat/ruleset.h"
#include "moat/table_event.h"
#include "tests/rundir.h"

/* As the kernel has it: 15 characters at most, and valgrind's own under valgrind. */
static const char *own_name(void)
{
	static char name[16];

	ck_assert_int_eq(prctl(PR_GET_NAME, name), 0);
	return name;
}

static struct nl nl;
static int ear;
static struct err err;
static char heard[8192]; /* "NEW element pods 0a010002\n"… */

static void setup(void)
{
	static const int group = NFNLGRP_NFTABLES;
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};

	rundir_leave_host();
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	ear = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_NETFILTER);
	ck_assert_int_eq(bind(ear, (struct sockaddr *)&self, sizeof(self)), 0);
	ck_assert_int_eq(setsockopt(ear, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)), 0);
	heard[0] = '\0';
}

static void teardown(void)
{
	close(ear);
	nl_close(&nl);
}

static void add(const char *text)
{
	strncat(heard, text, sizeof(heard) - strlen(heard) - 1);
}

static void on_element(const struct element *e, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < e->key_len; i++) {
		char hex[3];

		snprintf(hex, sizeof(hex), "%02x", ((const uint8_t *)e->key)[i]);
		add(hex);
	}
	add(" ");
	add(e->chain);
}

static uint32_t generation;

static void on_event(const struct table_event *e)
{
	static const char *const kinds[] = {[TABLE_EVENT_TABLE] = "table",       [TABLE_EVENT_CHAIN] = "chain", [TABLE_EVENT_RULE] = "rule",
					    [TABLE_EVENT_SET] = "set",           [TABLE_EVENT_ELEMENTS] = "element"};

	if (e->kind == TABLE_EVENT_GENERATION) {
		generation = e->generation;
		ck_assert_str_eq(e->process, own_name());
		ck_assert_uint_eq(e->pid, (uint32_t)getpid());
		return;
	}
	add(e->added ? "NEW " : "DEL ");
	add(kinds[e->kind]);
	add(" ");
	add(e->name);
	if (e->elements)
		add(" ");
	elements_each(e->elements, on_element, NULL);
	add("\n");
}

static void hear(void)
{
	char buf[65536] __attribute__((aligned(8)));
	struct table_event e;
	ssize_t got;

	heard[0] = '\0';
	while ((got = recv(ear, buf, sizeof(buf), 0)) > 0)
		for (struct nlmsghdr *nlh = (struct nlmsghdr *)buf; NLMSG_OK(nlh, got); nlh = NLMSG_NEXT(nlh, got))
			if (table_event_parse(nlh, &e))
				on_event(&e);
}

static void commit(struct txn *t)
{
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
}

START_TEST(each_kind_of_change_is_told_by_name)
{
	struct addr addr;
	struct txn *t = txn_new();

	ck_assert_int_eq(addr_parse("10.1.0.2", &addr, NULL), 0);
	txn_add_table(t);
	txn_add_chain(t, "c", NULL);
	txn_add_set(t, &set_pods[0]);
	txn_add_set(t, &map_to_pod[0]);
	commit(t);
	hear();
	ck_assert_str_eq(heard, "NEW table \nNEW chain c\nNEW set pods\nNEW set to_pod\n");

	t = txn_new();
	txn_add_element(t, &set_pods[0], key_of_addr(&addr), NULL);
	txn_add_element(t, &map_to_pod[0], key_of_addr(&addr), "c");
	commit(t);
	hear();
	ck_assert_str_eq(heard, "NEW element pods 0a010002 \nNEW element to_pod 0a010002 c\n");

	t = txn_new();
	txn_delete_element(t, &map_to_pod[0], key_of_addr(&addr));
	txn_delete_table(t);
	commit(t);
	hear();
	ck_assert_ptr_nonnull(strstr(heard, "DEL element to_pod 0a010002 c\n"));
	ck_assert_ptr_nonnull(strstr(heard, "DEL table \n"));
}
END_TEST

START_TEST(generations_are_consecutive_and_asked_for)
{
	uint32_t before, after;

	ck_assert_int_eq(table_generation(&nl, &before), 0);
	for (uint32_t i = 1; i <= 3; i++) {
		struct txn *t = txn_new();
		char chain[16];

		snprintf(chain, sizeof(chain), "c%u", i);
		txn_add_table(t);
		txn_add_chain(t, chain, NULL);
		commit(t);
		hear();
		ck_assert_uint_eq(generation, before + i);
	}
	ck_assert_int_eq(table_generation(&nl, &after), 0);
	ck_assert_uint_eq(after, before + 3);
}
END_TEST

START_TEST(what_is_cut_or_foreign_is_no_event)
{
	struct {
		struct nlmsghdr nlh;
		char payload[16];
	} m = {.nlh = {.nlmsg_len = sizeof(struct nlmsghdr) + 3, .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | 3}};
	struct table_event e;

	ck_assert(!table_event_parse(&m.nlh, &e)); /* shorter than its own header */
	m.nlh.nlmsg_len = sizeof(m);
	ck_assert(!table_event_parse(&m.nlh, &e)); /* no table's name */
	m.nlh.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | 3;
	ck_assert(!table_event_parse(&m.nlh, &e));
	m.nlh.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | 0xff;
	ck_assert(!table_event_parse(&m.nlh, &e));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table_event");
	TCase *tcase = tcase_create("table_event");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, each_kind_of_change_is_told_by_name);
	tcase_add_test(tcase, generations_are_consecutive_and_asked_for);
	tcase_add_test(tcase, what_is_cut_or_foreign_is_no_event);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is wanted beside what the real kernel has, each test in a user and network namespace of its own. */
#include <check.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "moat/inventory.h"
#include "moat/pod.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "tests/rundir.h"

static struct nl nl;
static struct err err;
static struct attachment *pod;
static struct inventory *inv;
static char differs[4096]; /* "+element pods\n" is there and not wanted, "-chain e-…\n" is missing */

static const struct set_spec ranges = {.name = "b4", .fields = {FIELD_IPV4}, .flags = SET_INTERVAL};
static const struct set_spec map = {.name = "m", .fields = {FIELD_PROTOCOL, FIELD_PORT}, .flags = SET_VERDICT | SET_INTERVAL};

static struct addr addr_of(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(text, &addr, NULL), 0);
	return addr;
}

static struct key proto_port(uint8_t protocol, uint16_t port)
{
	return key_with_port(key_with_protocol((struct key){.len = 0}, protocol), port);
}

/* Every kind of set that moat makes, with the ends of the number line in it. */
static struct txn *everything(void)
{
	static const char *const target[] = {CHAIN_OPEN, CHAIN_DENY_EGRESS};
	struct addr first = addr_of("0.0.0.0"), low = addr_of("10.255.255.255"), next = addr_of("11.0.0.0"), last = addr_of("255.255.255.255");
	struct txn *t = txn_new();

	ruleset_put(t, TABLE_BRIDGE);
	ruleset_put(t, TABLE_INET);
	pod_put(t, pod, target);
	txn_add_set(t, &ranges);
	txn_add_range(t, &ranges, key_of_addr(&first), key_of_addr(&low), NULL);
	txn_add_range(t, &ranges, key_of_addr(&next), key_of_addr(&last), NULL);
	txn_add_chain(t, "g", NULL);
	txn_add_set(t, &map);
	txn_add_range(t, &map, proto_port(6, 80), proto_port(6, 90), "g");
	txn_add_range(t, &map, proto_port(17, 0), proto_port(17, 65535), NULL);
	rule_begin(t, "g");
	rule_return(t);
	rule_end(t);
	return t;
}

static void setup(void)
{
	struct txn *t;

	rundir_leave_host();
	rundir_make();
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	pod = rundir_attachment("a", "veth0", "10.1.0.2");
	pod->addrs[pod->n_addrs++] = addr_of("10.1.0.3");
	pod->addrs[pod->n_addrs++] = addr_of("fd00::2");
	t = everything();
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	inv = inventory_new();
	inventory_want(inv, t, NULL, pod);
	txn_free(t);
}

static void teardown(void)
{
	inventory_free(inv);
	attachment_free(pod);
	nl_close(&nl);
	rundir_remove();
}

static void add(char sign, const struct inventory_object *o)
{
	static const char *const kinds[] = {"chain", "rule", "set", "element"};
	size_t len = strlen(differs);

	snprintf(differs + len, sizeof(differs) - len, "%c%s %s\n", sign, kinds[o->kind], o->name);
}

static void extra(const struct inventory_object *o, void *arg)
{
	ck_assert_ptr_eq(arg, &nl);
	add('+', o);
}

static void missing(const struct inventory_object *o, void *arg)
{
	ck_assert_ptr_eq(arg, &nl);
	ck_assert_ptr_eq(o->owner, pod);
	add('-', o);
}

/* Lines in any order: what is missing comes in that of its hashes. */
static void check_differs(const char *expected)
{
	CLEAN_FREE char *lines = mem_strdup(expected);

	ck_assert_msg(strlen(differs) == strlen(expected), "%s", differs);
	for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_msg(strstr(differs, line) != NULL, "%s is not in:\n%s", line, differs);
}

static void compare(const char *expected)
{
	differs[0] = '\0';
	ck_assert_int_eq(inventory_compare(inv, &nl, TABLE_INET, extra, missing, &nl), 0);
	ck_assert_int_eq(inventory_compare(inv, &nl, TABLE_BRIDGE, extra, missing, &nl), 0);
	check_differs(expected);
}

static void commit(struct txn *t)
{
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
}

START_TEST(what_was_put_is_what_stands)
{
	compare("");
}
END_TEST

START_TEST(what_is_taken_is_missing)
{
	struct txn *t = txn_new();

	txn_delete_element(t, &set_pods[0], key_of_addr(&pod->addrs[1]));
	txn_delete_element(t, &map_to_pod[1], key_of_addr(&pod->addrs[2]));
	txn_flush_chain(t, "g");
	commit(t);
	compare("-element to_pod6\n-rule g\n-element pods\n");
}
END_TEST

START_TEST(what_is_added_is_extra)
{
	struct addr other = addr_of("10.1.0.9");
	struct txn *t = txn_new();

	txn_add_element(t, &set_self[0], key_with_addr(key_of_addr(&pod->addrs[0]), &other), NULL);
	txn_add_chain(t, "e-veth9-0000000000000001", NULL);
	rule_begin(t, "forward");
	rule_accept(t);
	rule_end(t);
	commit(t);
	compare("+chain e-veth9-0000000000000001\n+rule forward\n+element self\n");
}
END_TEST

START_TEST(another_verdict_and_another_rule_differ)
{
	struct txn *t = txn_new();

	txn_delete_element(t, &map_to_pod[0], key_of_addr(&pod->addrs[0]));
	txn_add_element(t, &map_to_pod[0], key_of_addr(&pod->addrs[0]), CHAIN_OPEN);
	commit(t);
	compare("+element to_pod\n-element to_pod\n");
	t = txn_new();
	txn_flush_chain(t, "g");
	rule_begin(t, "g");
	rule_drop(t);
	rule_end(t);
	commit(t);
	compare("+rule g\n+element to_pod\n-element to_pod\n-rule g\n");
}
END_TEST

START_TEST(elements_of_sets_with_a_timeout_are_left_out)
{
	struct addr other = addr_of("10.1.0.9");
	struct txn *t = txn_new();
	struct key key;

	key = key_with_port(key_with_addr(key_with_protocol((struct key){.len = 0}, 17), &other), 80);
	txn_add_element(t, &set_revoked[0], key_with_port(key_with_addr(key, &other), 80), NULL);
	commit(t);
	compare("");
}
END_TEST

START_TEST(without_a_table_everything_is_missing)
{
	struct txn *t = txn_new();

	txn_delete_table(t);
	commit(t);
	differs[0] = '\0';
	ck_assert_int_eq(inventory_compare(inv, &nl, TABLE_BRIDGE, extra, missing, &nl), 0);
	ck_assert_str_eq(differs, "");
	ck_assert_int_eq(inventory_compare(inv, &nl, TABLE_INET, extra, missing, &nl), 0);
	ck_assert_ptr_nonnull(strstr(differs, "-chain forward\n"));
	ck_assert_ptr_null(strstr(differs, "+"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inventory");
	TCase *tcase = tcase_create("inventory");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_was_put_is_what_stands);
	tcase_add_test(tcase, what_is_taken_is_missing);
	tcase_add_test(tcase, what_is_added_is_extra);
	tcase_add_test(tcase, another_verdict_and_another_rule_differ);
	tcase_add_test(tcase, elements_of_sets_with_a_timeout_are_left_out);
	tcase_add_test(tcase, without_a_table_everything_is_missing);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Connection tracking entries are found by their ends and deleted exactly, in the real kernel, each test in namespaces of its own. */
#include <check.h>
#include <netinet/in.h>

#include "moat/conntrack.h"
#include "tests/build.h"
#include "tests/flows.h"
#include "tests/rundir.h"

static struct conntrack ct;
static struct conntrack_entries found;
static struct flows flows;
static struct err err;

static void setup(void)
{
	rundir_leave_host();
	ck_assert_msg(conntrack_open(&ct, &err) == 0, "%s", err.text);
	flows_open(&flows);
}

static void teardown(void)
{
	free(found.v);
	flows_close(&flows);
	conntrack_close(&ct);
}

/* from:from_port → to:to_port, answered by `by` (NULL: to itself) at port. */
static void add(uint8_t protocol, const char *from, uint16_t from_port, const char *to, uint16_t to_port, const char *by, uint16_t port)
{
	const struct conntrack_flow flow = {
		.protocol = protocol,
		.source = build_addr(from),
		.source_port = from_port,
		.destination = build_addr(to),
		.destination_port = to_port,
		.reply_source = build_addr(by ? by : to),
		.reply_source_port = by ? port : to_port,
		.reply_destination = build_addr(from),
		.reply_destination_port = from_port,
	};

	flows_add(&flows, &flow);
}

static size_t find(const char *address, enum conntrack_end end)
{
	const struct conntrack_place place = {.addr = build_addr(address), .end = end};

	found.n = 0;
	flows_send(&flows);
	ck_assert_uint_eq(flows.refused, 0);
	ck_assert_msg(conntrack_find(&ct, &place, 1, &found, &err) == 0, "%s", err.text);
	return found.n;
}

static void add_some(void)
{
	add(IPPROTO_TCP, "10.1.0.2", 40000, "10.1.0.3", 80, NULL, 0);
	add(IPPROTO_UDP, "10.1.0.2", 40001, "10.96.0.10", 8080, "10.1.0.3", 53); /* a Service */
	add(IPPROTO_UDP, "10.1.0.4", 40002, "10.1.0.2", 53, NULL, 0);
	add(IPPROTO_TCP, "fd00::2", 40003, "fd00:96::10", 8080, "fd00::3", 80);
}

static void check_ends(void)
{
	ck_assert_uint_eq(find("10.1.0.2", CONNTRACK_SOURCE), 2);
	ck_assert_uint_eq(find("10.1.0.2", CONNTRACK_DESTINATION), 1);
	ck_assert_uint_eq(find("10.1.0.3", CONNTRACK_REPLY_SOURCE), 2);
	ck_assert_uint_eq(find("10.1.0.3", CONNTRACK_DESTINATION), 1);
	ck_assert_uint_eq(find("10.1.0.4", CONNTRACK_REPLY_DESTINATION), 1);
	ck_assert_uint_eq(find("10.1.0.5", CONNTRACK_SOURCE), 0);
	ck_assert_uint_eq(find("fd00::3", CONNTRACK_REPLY_SOURCE), 1);
	ck_assert_uint_eq(found.v[0].flow.protocol, IPPROTO_TCP);
	ck_assert_uint_eq(found.v[0].flow.source_port, 40003);
	ck_assert_uint_eq(found.v[0].flow.destination_port, 8080);
	ck_assert_uint_eq(found.v[0].flow.reply_source_port, 80);
}

START_TEST(entries_are_found_by_the_end_that_an_address_is)
{
	ck_assert_uint_eq(find("10.1.0.2", CONNTRACK_SOURCE), 0);
	add_some();
	check_ends();
}
END_TEST

/* So many entries that each address is looked for by a filter of its own, or so many addresses that all is copied. */
START_TEST(nothing_is_missed_however_the_table_is_walked)
{
	for (unsigned i = 0; i < 20000; i++)
		add(IPPROTO_UDP, "10.9.0.1", (uint16_t)i, i % 2 ? "10.9.0.2" : "10.9.0.3", 53, NULL, 0);
	for (unsigned i = 0; i < 2000; i++)
		add(IPPROTO_UDP, "fd00:9::1", (uint16_t)i, "fd00:9::2", 53, NULL, 0);
	add_some();
	check_ends();
}
END_TEST

START_TEST(many_places_are_one_walk)
{
	struct conntrack_place places[200];

	add_some();
	flows_send(&flows);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		places[i] = (struct conntrack_place){.addr = build_addr("10.1.0.0"), .end = CONNTRACK_REPLY_SOURCE};
		places[i].addr.bytes[3] = (uint8_t)i;
	}
	ck_assert_int_eq(conntrack_find(&ct, places, ARRAY_SIZE(places), &found, &err), 0);
	ck_assert_uint_eq(found.n, 3);
}
END_TEST

START_TEST(only_what_is_named_is_deleted)
{
	size_t deleted = 0;

	add_some();
	ck_assert_uint_eq(find("10.1.0.3", CONNTRACK_REPLY_SOURCE), 2);
	ck_assert_msg(conntrack_delete(&ct, found.v, found.n, &deleted, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(deleted, 2);
	ck_assert_msg(conntrack_delete(&ct, found.v, found.n, &deleted, &err) == 0, "%s", err.text); /* gone meanwhile */
	ck_assert_uint_eq(deleted, 0);
	ck_assert_uint_eq(flows_count(), 2);
}
END_TEST

START_TEST(of_equal_tuples_the_one_of_its_zone_is_deleted)
{
	size_t deleted = 0, other;

	add(IPPROTO_UDP, "10.1.0.2", 40000, "10.1.0.3", 53, NULL, 0);
	flows.zone = 5;
	add(IPPROTO_UDP, "10.1.0.2", 40000, "10.1.0.3", 53, NULL, 0);
	ck_assert_uint_eq(find("10.1.0.2", CONNTRACK_SOURCE), 2);
	other = found.v[0].has_zone ? 0 : 1;
	ck_assert_int_eq(conntrack_delete(&ct, &found.v[other], 1, &deleted, &err), 0);
	ck_assert_uint_eq(deleted, 1);
	ck_assert_uint_eq(find("10.1.0.2", CONNTRACK_SOURCE), 1);
	ck_assert(!found.v[0].has_zone);
}
END_TEST

START_TEST(another_entry_of_the_same_tuple_is_not_deleted)
{
	size_t deleted = 1;

	add(IPPROTO_UDP, "10.1.0.2", 40000, "10.1.0.3", 53, NULL, 0);
	ck_assert_uint_eq(find("10.1.0.2", CONNTRACK_SOURCE), 1);
	found.v[0].id ^= 1; /* as of one that ended, and was opened again */
	ck_assert_int_eq(conntrack_delete(&ct, found.v, 1, &deleted, &err), 0);
	ck_assert_uint_eq(deleted, 0);
	ck_assert_uint_eq(flows_count(), 1);
}
END_TEST

START_TEST(thousands_are_deleted_and_counted)
{
	size_t deleted = 0;

	for (unsigned i = 0; i < 5000; i++)
		add(IPPROTO_UDP, "10.1.0.2", (uint16_t)(1024 + i), "10.1.0.3", 53, NULL, 0);
	add(IPPROTO_UDP, "10.1.0.9", 1, "10.1.0.3", 53, NULL, 0);
	ck_assert_uint_eq(find("10.1.0.2", CONNTRACK_SOURCE), 5000);
	ck_assert_int_eq(conntrack_delete(&ct, found.v, found.n, &deleted, &err), 0);
	ck_assert_uint_eq(deleted, 5000);
	ck_assert_uint_eq(flows_count(), 1);
}
END_TEST

START_TEST(forgotten_addresses_are_in_no_entry)
{
	const struct addr addrs[] = {build_addr("10.1.0.2"), build_addr("fd00:96::10")};

	add_some();
	for (unsigned i = 0; i < 20000; i++)
		add(IPPROTO_UDP, "10.9.0.1", (uint16_t)i, "10.9.0.2", (uint16_t)(i % 7), NULL, 0);
	flows_send(&flows);
	ck_assert_msg(conntrack_forget(addrs, ARRAY_SIZE(addrs), &err) == 0, "%s", err.text);
	ck_assert_uint_eq(flows_count(), 20000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conntrack");
	TCase *tcase = tcase_create("conntrack");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, entries_are_found_by_the_end_that_an_address_is);
	tcase_add_test(tcase, nothing_is_missed_however_the_table_is_walked);
	tcase_add_test(tcase, many_places_are_one_walk);
	tcase_add_test(tcase, only_what_is_named_is_deleted);
	tcase_add_test(tcase, of_equal_tuples_the_one_of_its_zone_is_deleted);
	tcase_add_test(tcase, another_entry_of_the_same_tuple_is_not_deleted);
	tcase_add_test(tcase, thousands_are_deleted_and_counted);
	tcase_add_test(tcase, forgotten_addresses_are_in_no_entry);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* namespaces are left by ending the process */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

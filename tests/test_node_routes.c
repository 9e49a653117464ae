/* SPDX-License-Identifier: Apache-2.0 */
/* What --node-routes makes of the Nodes: routes by family, blocks none within another, and no range that takes more than pods. */
#include <check.h>
#include <stdio.h>

#include "policyd/kernel/node_routes.h"
#include "policyd/model/objects.h"
#include "tests/build.h"

static struct cluster *c;
static struct node_plan plan;

static void setup(void)
{
	c = cluster_new();
}

static void teardown(void)
{
	node_plan_done(&plan);
	cluster_free(c);
}

/* NULL: not there */
static void put(const char *name, const char *address, const char *other_address, const char *range, const char *other_range)
{
	const char *addresses[] = {address, other_address}, *ranges[] = {range, other_range};
	struct object *node = object_new(KIND_NODE, NULL, name);
	struct addr addr;

	for (int i = 0; i < 2; i++) {
		if (addresses[i]) {
			ck_assert_int_eq(addr_parse(addresses[i], &addr, NULL), 0);
			VEC_PUSH(&node->node.addrs, addr);
		}
		if (ranges[i])
			VEC_PUSH(&node->node.pod_cidrs, build_block(ranges[i]));
	}
	cluster_upsert(c, node);
}

static void ck_routes(const char *expected)
{
	char text[1024] = "", to[BLOCK_TEXT_MAX], via[ADDR_TEXT_MAX];
	size_t len = 0;

	node_plan_done(&plan);
	node_plan_make(c, "one", &plan);
	for (size_t i = 0; i < plan.routes.n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s via %s;", addr_block_text(&plan.routes.v[i].to, to),
					addr_text(&plan.routes.v[i].via, via));
	ck_assert_str_eq(text, expected);
}

static void ck_blocks(const struct block *v, size_t n, const char *expected)
{
	char text[1024] = "", block[BLOCK_TEXT_MAX];
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s;", addr_block_text(&v[i], block));
	ck_assert_str_eq(text, expected);
}

START_TEST(each_family_by_the_address_of_its_own)
{
	put("one", "192.0.2.1", "2001:db8::1", "10.1.0.0/24", "fd00:1::/64");
	put("two", "192.0.2.2", "2001:db8::2", "10.2.0.0/24", "fd00:2::/64");
	put("three", "192.0.2.3", NULL, "10.3.0.0/24", "fd00:3::/64"); /* no IPv6 address: no way there */
	ck_routes("10.2.0.0/24 via 192.0.2.2;10.3.0.0/24 via 192.0.2.3;fd00:2::/64 via 2001:db8::2;");
	ck_blocks(plan.own.v, plan.own.n, "10.1.0.0/24;fd00:1::/64;");
	ck_blocks(plan.cluster.v, plan.cluster.n,
		  "10.1.0.0/24;10.2.0.0/24;10.3.0.0/24;192.0.2.1/32;192.0.2.2/32;192.0.2.3/32;"
		  "2001:db8::1/128;2001:db8::2/128;fd00:1::/64;fd00:2::/64;fd00:3::/64;");
}
END_TEST

START_TEST(nothing_while_the_own_node_is_unknown)
{
	put("two", "192.0.2.2", NULL, "10.2.0.0/24", NULL);
	ck_routes("");
	ck_assert_uint_eq(plan.cluster.n, 0);
	node_plan_done(&plan);
	node_plan_make(c, NULL, &plan); /* nor while its name is */
	ck_assert_uint_eq(plan.routes.n, 0);
}
END_TEST

START_TEST(what_takes_more_than_pods_is_left_out)
{
	put("one", "192.0.2.1", "2001:db8::1", "10.1.0.0/24", NULL);
	put("all", "192.0.2.2", "2001:db8::2", "0.0.0.0/0", "::/0");
	put("wide", "192.0.2.3", "2001:db8::3", "10.0.0.0/7", "fd00::/31");
	put("me", "192.0.2.4", "2001:db8::4", "192.0.2.0/30", "2001:db8::/64");
	put("itself", "192.0.2.77", NULL, "192.0.2.76/30", NULL);
	ck_routes("");
	ck_blocks(plan.own.v, plan.own.n, "10.1.0.0/24;");
}
END_TEST

START_TEST(blocks_within_others_and_doubles_are_one)
{
	put("one", "192.0.2.1", NULL, "10.1.0.0/24", "10.1.0.0/25");
	put("two", "192.0.2.2", NULL, "10.2.0.0/16", "10.2.3.0/24");
	put("two-again", "192.0.2.3", NULL, "10.2.0.0/16", NULL);
	ck_routes("10.2.0.0/16 via 192.0.2.2;10.2.3.0/24 via 192.0.2.2;");
	ck_blocks(plan.own.v, plan.own.n, "10.1.0.0/24;");
	ck_blocks(plan.cluster.v, plan.cluster.n, "10.1.0.0/24;10.2.0.0/16;192.0.2.1/32;192.0.2.2/32;192.0.2.3/32;");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_routes");
	TCase *tc = tcase_create("plan");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_family_by_the_address_of_its_own);
	tcase_add_test(tc, nothing_while_the_own_node_is_unknown);
	tcase_add_test(tc, what_takes_more_than_pods_is_left_out);
	tcase_add_test(tc, blocks_within_others_and_doubles_are_one);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

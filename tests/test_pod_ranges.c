/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "policyd/model/pod_ranges.h"
#include "tests/build.h"

static struct cluster *c;
static struct pod_ranges p;

static void setup(void)
{
	c = cluster_new();
	cluster_set_node(c, "node1");
}

static void teardown(void)
{
	pod_ranges_done(&p);
	cluster_free(c);
}

static void give(const char *text)
{
	struct block block = build_block(text);

	cluster_give_pod_range(c, &block);
}

static void put_node(const char *name, const char *first, const char *second)
{
	struct object *node = object_new(KIND_NODE, NULL, name);

	VEC_PUSH(&node->node.pod_cidrs, build_block(first));
	if (second)
		VEC_PUSH(&node->node.pod_cidrs, build_block(second));
	cluster_upsert(c, node);
}

static void attach(const char *container, const char *addrs, enum mode mode)
{
	struct attachment *a = build_attachment(container, NULL, NULL, addrs);

	a->mode = mode;
	cluster_attach(c, a);
	attachment_free(a);
}

/* "10.1.0.0/24 fd00:1::/64 deny", or the reason why not */
static void check(const char *expected)
{
	char text[512] = "", buf[BLOCK_TEXT_MAX];

	pod_ranges_done(&p);
	cluster_pod_ranges(c, &p);
	for (size_t i = 0; i < p.blocks.n; i++) {
		strcat(text, addr_block_text(&p.blocks.v[i], buf));
		strcat(text, " ");
	}
	strcat(text, p.deny ? "deny" : "count");
	ck_assert_str_eq(text, expected);
	ck_assert(p.deny == !p.why_not || p.source == RANGES_UNKNOWN);
}

START_TEST(without_anybodys_word_nothing_is_known)
{
	put_node("node2", "10.2.0.0/24", NULL);
	attach("a", "10.1.0.2", MODE_STRICT);
	check("count");
	ck_assert_int_eq(p.source, RANGES_UNKNOWN);
}
END_TEST

START_TEST(the_own_nodes_ranges_count)
{
	put_node("node2", "10.2.0.0/24", NULL);
	put_node("node1", "fd00:1::/64", "10.1.0.0/24");
	attach("a", "10.1.0.2,fd00:1::2", MODE_STRICT);
	check("10.1.0.0/24 fd00:1::/64 deny");
	ck_assert_int_eq(p.source, RANGES_OF_NODE);
}
END_TEST

START_TEST(what_is_given_comes_first_and_nested_blocks_count_once)
{
	put_node("node1", "10.1.0.0/24", NULL);
	attach("a", "10.1.0.2", MODE_STRICT);
	give("10.3.0.0/16");
	give("10.3.7.0/24");
	give("10.4.0.0/24");
	check("10.3.0.0/16 10.4.0.0/24 deny");
	ck_assert_int_eq(p.source, RANGES_GIVEN);
}
END_TEST

START_TEST(only_strict_denies)
{
	give("10.1.0.0/24");
	check("10.1.0.0/24 count");
	attach("a", "10.1.0.2", MODE_STANDARD);
	check("10.1.0.0/24 count");
	attach("b", "10.1.0.3", MODE_STRICT);
	check("10.1.0.0/24 deny");
	cluster_set_network_mode(c, "net", MODE_PREVIEW, DENY_DROP); /* the conflist has the word */
	check("10.1.0.0/24 count");
	cluster_set_network_mode(c, "net", MODE_STRICT, DENY_DROP);
	check("10.1.0.0/24 deny");
}
END_TEST

/* Its pods are elsewhere: what is in its podCIDRs may be another node's. */
START_TEST(a_node_whose_pods_are_elsewhere_is_not_believed)
{
	put_node("node1", "10.1.0.0/24", NULL);
	attach("a", "10.1.0.2,fd00:9::2", MODE_STRICT);
	check("10.1.0.0/24 deny"); /* it says nothing of IPv6 */
	attach("b", "192.168.7.2", MODE_STRICT);
	check("10.1.0.0/24 count");
	give("10.1.0.0/24"); /* but the administrator is */
	check("10.1.0.0/24 deny");
}
END_TEST

START_TEST(a_change_is_noticed)
{
	struct pod_ranges former;

	put_node("node1", "10.1.0.0/24", NULL);
	attach("a", "10.1.0.2", MODE_STRICT);
	cluster_pod_ranges(c, &former);
	check("10.1.0.0/24 deny");
	ck_assert(pod_ranges_equal(&former, &p));
	attach("b", "10.7.0.2", MODE_STRICT);
	check("10.1.0.0/24 count");
	ck_assert(!pod_ranges_equal(&former, &p));
	pod_ranges_done(&former);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pod_ranges");
	TCase *tcase = tcase_create("pod_ranges");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, without_anybodys_word_nothing_is_known);
	tcase_add_test(tcase, the_own_nodes_ranges_count);
	tcase_add_test(tcase, what_is_given_comes_first_and_nested_blocks_count_once);
	tcase_add_test(tcase, only_strict_denies);
	tcase_add_test(tcase, a_node_whose_pods_are_elsewhere_is_not_believed);
	tcase_add_test(tcase, a_change_is_noticed);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Golden bytecode of compiled policies: what profiles and groups become in the kernel. Needs no kernel and no privilege. */
#include <check.h>
#include <string.h>

#include "policyd/kernel/program.h"
#include "tests/build.h"
#include "tests/bytecode.h"

static struct epoch epoch;
static struct cluster *c;

/* Two namespaces, three peers, and the pod that policies select, here at two addresses. */
static void setup(void)
{
	struct attachment *a = build_attachment("db", "default", "db", "10.0.0.1,fd00::1");

	epoch = (struct epoch){.name = "0000002a", .family = {true, true}};
	c = cluster_new();
	cluster_upsert(c, build_namespace("default", NULL));
	cluster_upsert(c, build_namespace("shop", "team=shop"));
	cluster_upsert(c, build_pod("default", "db", "role=db", NULL, NULL));
	cluster_upsert(c, build_pod("default", "web", "role=web", "10.1.0.2,fd00:1::2", "metrics=tcp/9100"));
	cluster_upsert(c, build_pod("shop", "cart", "role=cart", "10.1.0.3", "metrics=tcp/9200"));
	cluster_attach(c, a);
	attachment_free(a);
}

static void teardown(void)
{
	cluster_free(c);
}

static struct profile *compiled(enum direction d)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
	return build_local(c, "db")->profile[d];
}

/* As reconcile queues a profile: its groups and itself, then the rules; after that what removes all of it. */
static void check_profile(struct profile *p, const char *golden)
{
	struct txn *t = txn_new();
	CLEAN_FREE char *text = NULL;

	for (struct group *g = cluster_groups(c); g; g = g->hh.next) {
		g->number = epoch.numbers++;
		program_add_group(t, g, &epoch);
		if (g->kind == GROUP_ADDRS)
			program_add_group_chain(t, g, program_variant(p), &epoch);
	}
	p->number = epoch.numbers++;
	program_add_profile(t, p, &epoch);
	for (struct group *g = cluster_groups(c); g; g = g->hh.next)
		if (g->kind == GROUP_ADDRS)
			program_fill_group_chain(t, g, program_variant(p), &epoch);
	program_fill_profile(t, p, &epoch);
	program_delete_profile(t, p, &epoch);
	for (struct group *g = cluster_groups(c); g; g = g->hh.next) {
		if (g->kind == GROUP_ADDRS)
			program_delete_group_chain(t, g, program_variant(p), &epoch);
		program_delete_group_sets(t, g, &epoch);
	}
	text = bytecode_of(t);
	bytecode_check(golden, text);
	txn_free(t);
}

START_TEST(ports_and_ranges_are_one_interval_map)
{
	struct object *o = build_policy("default", "p", "role=db", INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);

	build_peer(rule, "pods role=web");
	build_port(rule, "tcp/80");
	build_port(rule, "tcp/8000-8999");
	build_port(rule, "udp/all");
	rule = build_rule(o, INGRESS);
	build_port(rule, "sctp/65535"); /* from everyone */
	cluster_upsert(c, o);
	check_profile(compiled(INGRESS), "program-ranges");
}
END_TEST

START_TEST(blocks_of_both_families_are_interval_sets)
{
	struct object *o = build_policy("default", "p", "role=db", EGRESS);
	struct policy_rule *rule = build_rule(o, EGRESS);

	build_peer(rule, "10.0.0.0/8 except 10.1.0.0/16");
	build_peer(rule, "fd00::/16 except fd00:1::/64");
	build_peer(rule, "namespaces team=shop");
	cluster_upsert(c, o);
	check_profile(compiled(EGRESS), "program-blocks");
}
END_TEST

START_TEST(whole_family_is_no_set)
{
	struct object *o = build_policy("default", "p", "role=db", INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);

	build_peer(rule, "0.0.0.0/0");
	build_peer(rule, "pods role=web");
	cluster_upsert(c, o);
	check_profile(compiled(INGRESS), "program-family");
}
END_TEST

START_TEST(named_port_of_egress_is_a_set_of_endpoints)
{
	struct object *o = build_policy("default", "p", "role=db", EGRESS);
	struct policy_rule *rule = build_rule(o, EGRESS);

	build_peer(rule, "namespaces");
	build_port(rule, "tcp/metrics");
	cluster_upsert(c, o);
	check_profile(compiled(EGRESS), "program-endpoints");
}
END_TEST

/* The sets of its members, but not those of its blocks: they are of the family that they name. */
START_TEST(family_that_nobody_has_costs_no_set)
{
	struct object *o = build_policy("default", "p", "role=db", INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);

	build_peer(rule, "pods role=web");
	build_peer(rule, "fd00::/16");
	build_port(rule, "tcp/80");
	build_port(rule, "udp/53");
	cluster_upsert(c, o);
	epoch.family[1] = false;
	check_profile(compiled(INGRESS), "program-one-family");
}
END_TEST

START_TEST(empty_and_open_profiles_need_no_chain)
{
	struct attachment *a = build_attachment("db", "default", "db", "10.0.0.1");
	char buf[CHAIN_NAME_MAX];

	ck_assert(!program_needs_chain(compiled(INGRESS)));
	ck_assert_str_eq(program_target(compiled(INGRESS), &epoch, buf), "deny_ingress");
	ck_assert_str_eq(program_target(compiled(EGRESS), &epoch, buf), "deny_egress");
	a->deny = DENY_REJECT;
	cluster_attach(c, a);
	ck_assert_str_eq(program_target(compiled(EGRESS), &epoch, buf), "reject_egress");
	a->mode = MODE_PREVIEW;
	cluster_attach(c, a);
	ck_assert_str_eq(program_target(compiled(INGRESS), &epoch, buf), "observe_ingress");
	a->mode = MODE_STANDARD;
	cluster_attach(c, a);
	ck_assert(!program_needs_chain(compiled(INGRESS)));
	ck_assert_str_eq(program_target(compiled(INGRESS), &epoch, buf), "open");
	attachment_free(a);
}
END_TEST

START_TEST(member_that_comes_or_goes_is_one_element)
{
	struct object *o = build_policy("default", "p", "role=db", INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);
	struct group_list changed;
	CLEAN_FREE char *text = NULL;
	struct txn *t = txn_new();
	struct group *g;

	build_peer(rule, "pods role=web");
	cluster_upsert(c, o);
	compiled(INGRESS);
	g = cluster_groups(c);
	ck_assert_ptr_null(g->hh.next);
	group_changes_clear(g);
	g->installed = true;
	cluster_upsert(c, build_pod("default", "web2", "role=web", "10.1.0.4", NULL));
	cluster_delete(c, KIND_POD, "default", "web");
	compiled(INGRESS);
	cluster_take_changed_groups(c, &changed);
	ck_assert_uint_eq(changed.n, 1);
	ck_assert_uint_eq(g->changes.n, 3);
	for (size_t i = 0; i < g->changes.n; i++)
		program_change_member(t, g, &epoch, &g->changes.v[i]);
	text = bytecode_of(t);
	bytecode_check("program-members", text);
	txn_free(t);
	free(changed.v);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("program");
	Suite *suite = suite_create("program");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, ports_and_ranges_are_one_interval_map);
	tcase_add_test(t, blocks_of_both_families_are_interval_sets);
	tcase_add_test(t, whole_family_is_no_set);
	tcase_add_test(t, named_port_of_egress_is_a_set_of_endpoints);
	tcase_add_test(t, family_that_nobody_has_costs_no_set);
	tcase_add_test(t, empty_and_open_profiles_need_no_chain);
	tcase_add_test(t, member_that_comes_or_goes_is_one_element);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

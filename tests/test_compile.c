/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tests/build.h"

static struct cluster *c;

static void attach(const char *container, const char *ns, const char *name, const char *addrs)
{
	struct attachment *a = build_attachment(container, ns, name, addrs);

	cluster_attach(c, a);
	attachment_free(a);
}

/* A cluster with a local pod shop/db (10.0.0.1, container db) and remote peers. */
static void setup(void)
{
	c = cluster_new();
	cluster_upsert(c, build_namespace("shop", "team=a"));
	cluster_upsert(c, build_namespace("other", "team=b"));
	cluster_upsert(c, build_pod("shop", "db", "role=db", NULL, "web=tcp/80,dns=udp/53"));
	cluster_upsert(c, build_pod("shop", "front", "role=front", "10.0.0.2,fd00::2", "web=tcp/8080"));
	cluster_upsert(c, build_pod("other", "front", "role=front", "10.0.1.2", "web=tcp/9090"));
	attach("db", "shop", "db", "10.0.0.1,fd00::1");
}

static void teardown(void)
{
	cluster_free(c);
	c = NULL;
}

static size_t compile(void)
{
	struct local_pod_list changed;
	size_t n;

	cluster_compile(c, &changed);
	n = changed.n;
	free(changed.v);
	return n;
}

static const struct profile *profile_of(enum direction d)
{
	compile();
	return build_local(c, "db")->profile[d];
}

static bool allowed(enum direction d, const char *peer, uint8_t protocol, uint16_t port)
{
	struct addr a = build_addr(peer);

	return profile_allows(profile_of(d), &a, protocol, port);
}

/* One policy on role=db with one rule: peer (NULL: anyone) and port (NULL: any). */
static void policy(const char *name, enum direction d, const char *peer, const char *port)
{
	struct object *o = build_policy("shop", name, "role=db", d);
	struct policy_rule *rule = build_rule(o, d);

	if (peer)
		build_peer(rule, peer);
	if (port)
		build_port(rule, port);
	cluster_upsert(c, o);
}

START_TEST(neighbouring_intervals_with_the_same_peers_are_one_entry)
{
	policy("a", INGRESS, "pods role=front", "tcp/80-89");
	policy("b", INGRESS, "pods role=front", "tcp/90-99");
	policy("c", INGRESS, "pods role=front", "tcp/85-95");
	ck_assert_uint_eq(profile_of(INGRESS)->entries.n, 1);
	ck_assert_uint_eq(profile_of(INGRESS)->entries.v[0].first, 80);
	ck_assert_uint_eq(profile_of(INGRESS)->entries.v[0].last, 99);
}
END_TEST

START_TEST(overlapping_intervals_hold_the_union_of_peers)
{
	policy("a", INGRESS, "pods role=front", "tcp/80-90");
	policy("b", INGRESS, "10.9.0.0/16", "tcp/85-99");
	ck_assert_uint_eq(profile_of(INGRESS)->entries.n, 3);
	ck_assert(allowed(INGRESS, "10.0.0.2", IPPROTO_TCP, 80));
	ck_assert(!allowed(INGRESS, "10.9.0.2", IPPROTO_TCP, 84));
	ck_assert(allowed(INGRESS, "10.0.0.2", IPPROTO_TCP, 85));
	ck_assert(allowed(INGRESS, "10.9.0.2", IPPROTO_TCP, 90));
	ck_assert(!allowed(INGRESS, "10.0.0.2", IPPROTO_TCP, 91));
	ck_assert(allowed(INGRESS, "10.9.0.2", IPPROTO_TCP, 99));
	ck_assert(!allowed(INGRESS, "10.9.0.2", IPPROTO_TCP, 100));
}
END_TEST

START_TEST(whole_protocol_ends_at_the_last_port)
{
	policy("a", INGRESS, "pods role=front", "sctp/all");
	policy("b", INGRESS, "pods role=front", "tcp/65535");
	ck_assert_uint_eq(profile_of(INGRESS)->entries.n, 2);
	ck_assert(allowed(INGRESS, "10.0.0.2", IPPROTO_SCTP, 65535));
	ck_assert(allowed(INGRESS, "10.0.0.2", IPPROTO_SCTP, 0));
	ck_assert(allowed(INGRESS, "10.0.0.2", IPPROTO_TCP, 65535));
	ck_assert(!allowed(INGRESS, "10.0.0.2", IPPROTO_UDP, 65535));
	ck_assert(!allowed(INGRESS, "10.0.0.2", 0, 0));
}
END_TEST

START_TEST(entries_include_portless_peers_and_equal_ones_are_dropped)
{
	policy("a", INGRESS, "pods role=front", NULL);
	policy("b", INGRESS, "pods role=front", "tcp/80");
	ck_assert_uint_eq(profile_of(INGRESS)->entries.n, 0);
	policy("c", INGRESS, "10.9.0.0/16", "tcp/80");
	ck_assert_uint_eq(profile_of(INGRESS)->entries.n, 1);
	ck_assert(allowed(INGRESS, "10.0.0.2", IPPROTO_TCP, 80));
	ck_assert(allowed(INGRESS, "10.0.0.2", IPPROTO_ICMP, 0));
	ck_assert(!allowed(INGRESS, "10.9.0.2", IPPROTO_ICMP, 0));
}
END_TEST

START_TEST(everyone_on_every_port_is_open)
{
	policy("a", INGRESS, NULL, NULL);
	ck_assert(profile_of(INGRESS)->open);
	ck_assert(build_local(c, "db")->selected[INGRESS]);
}
END_TEST

START_TEST(both_families_whole_are_everyone)
{
	struct object *o = build_policy("shop", "a", NULL, INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);

	build_peer(rule, "0.0.0.0/0");
	build_peer(rule, "::/1");
	build_peer(rule, "8000::/1");
	build_port(rule, "tcp/80");
	cluster_upsert(c, o);
	ck_assert_uint_eq(profile_of(INGRESS)->entries.n, 1);
	ck_assert_ptr_null(profile_of(INGRESS)->entries.v[0].group);
}
END_TEST

START_TEST(one_whole_family_is_any_and_has_no_ranges)
{
	const struct group *g;

	policy("a", INGRESS, "0.0.0.0/0", "tcp/80");
	g = profile_of(INGRESS)->entries.v[0].group;
	ck_assert(g->any[0] && !g->any[1]);
	ck_assert_uint_eq(g->ranges.n, 0);
	ck_assert(allowed(INGRESS, "1.2.3.4", IPPROTO_TCP, 80));
	ck_assert(!allowed(INGRESS, "fd00::2", IPPROTO_TCP, 80));
}
END_TEST

START_TEST(except_does_not_remove_what_another_peer_gives)
{
	policy("a", INGRESS, "10.0.0.0/8 except 10.0.0.0/16 10.1.0.0/16", NULL);
	ck_assert(!allowed(INGRESS, "10.0.5.5", IPPROTO_TCP, 1));
	ck_assert_uint_eq(profile_of(INGRESS)->portless->ranges.n, 1);
	policy("b", INGRESS, "10.0.5.0/24", NULL);
	ck_assert(allowed(INGRESS, "10.0.5.5", IPPROTO_TCP, 1));
	ck_assert(!allowed(INGRESS, "10.1.5.5", IPPROTO_TCP, 1));
	ck_assert(allowed(INGRESS, "10.2.0.0", IPPROTO_TCP, 1));
}
END_TEST

START_TEST(peers_nobody_understands_allow_nobody)
{
	policy("a", INGRESS, "nothing", "tcp/80");
	policy("b", INGRESS, "nothing", NULL);
	ck_assert(profile_is_empty(profile_of(INGRESS)));
	ck_assert(build_local(c, "db")->selected[INGRESS]);
}
END_TEST

START_TEST(rule_whose_ports_nobody_understands_allows_nothing)
{
	struct object *o = build_policy("shop", "a", NULL, INGRESS);

	build_rule(o, INGRESS)->any_port = false;
	cluster_upsert(c, o);
	ck_assert(profile_is_empty(profile_of(INGRESS)));
}
END_TEST

START_TEST(ingress_named_port_is_this_pods_number_of_that_protocol)
{
	policy("a", INGRESS, NULL, "tcp/web");
	policy("b", INGRESS, NULL, "tcp/dns");
	ck_assert_uint_eq(profile_of(INGRESS)->entries.n, 1);
	ck_assert(allowed(INGRESS, "1.2.3.4", IPPROTO_TCP, 80));
	ck_assert(!allowed(INGRESS, "1.2.3.4", IPPROTO_TCP, 53));
	ck_assert(!allowed(INGRESS, "1.2.3.4", IPPROTO_UDP, 53));
	cluster_upsert(c, build_pod("shop", "db", "role=db", NULL, "web=tcp/81,web=tcp/83"));
	ck_assert(!allowed(INGRESS, "1.2.3.4", IPPROTO_TCP, 80));
	ck_assert(allowed(INGRESS, "1.2.3.4", IPPROTO_TCP, 81));
	ck_assert(allowed(INGRESS, "1.2.3.4", IPPROTO_TCP, 83));
}
END_TEST

START_TEST(egress_named_port_follows_each_destination)
{
	policy("a", EGRESS, "namespaces pods role=front", "tcp/web");
	ck_assert(allowed(EGRESS, "10.0.0.2", IPPROTO_TCP, 8080));
	ck_assert(allowed(EGRESS, "10.0.1.2", IPPROTO_TCP, 9090));
	ck_assert(!allowed(EGRESS, "10.0.1.2", IPPROTO_TCP, 8080));
	ck_assert(!allowed(EGRESS, "10.0.0.2", IPPROTO_UDP, 8080));
	cluster_upsert(c, build_pod("shop", "front", "role=front", "10.0.0.2", "web=tcp/8081"));
	ck_assert(!allowed(EGRESS, "10.0.0.2", IPPROTO_TCP, 8080));
	ck_assert(allowed(EGRESS, "10.0.0.2", IPPROTO_TCP, 8081));
}
END_TEST

START_TEST(egress_named_port_behind_a_block_and_for_anyone)
{
	policy("a", EGRESS, "10.0.0.0/16 except 10.0.1.0/24", "tcp/web");
	ck_assert(allowed(EGRESS, "10.0.0.2", IPPROTO_TCP, 8080));
	ck_assert(!allowed(EGRESS, "10.0.1.2", IPPROTO_TCP, 9090));
	ck_assert(!allowed(EGRESS, "10.0.0.77", IPPROTO_TCP, 8080));
	policy("b", EGRESS, NULL, "tcp/web");
	ck_assert(allowed(EGRESS, "10.0.1.2", IPPROTO_TCP, 9090));
	ck_assert(!allowed(EGRESS, "1.2.3.4", IPPROTO_TCP, 80));
}
END_TEST

START_TEST(equal_definitions_share_profile_and_group)
{
	cluster_upsert(c, build_pod("shop", "db2", "role=db", NULL, NULL));
	attach("db2", "shop", "db2", "10.0.0.3");
	policy("a", EGRESS, "pods role=front", "tcp/80");
	policy("b", EGRESS, "pods role=front", "udp/80");
	ck_assert_ptr_eq(profile_of(EGRESS), build_local(c, "db2")->profile[EGRESS]);
	ck_assert_ptr_eq(profile_of(EGRESS)->entries.v[0].group, profile_of(EGRESS)->entries.v[1].group);
	ck_assert_uint_eq(profile_of(EGRESS)->refs, 2);
	ck_assert_uint_eq(profile_of(EGRESS)->entries.v[0].group->refs, 2);
}
END_TEST

START_TEST(forgotten_profiles_release_their_groups)
{
	policy("a", INGRESS, "pods role=front", "tcp/80");
	compile();
	cluster_delete(c, KIND_POLICY, "shop", "a");
	compile();
	for (struct profile *p = cluster_profiles(c), *next; p; p = next) {
		next = p->hh.next;
		if (!p->refs)
			cluster_forget_profile(c, p);
	}
	ck_assert_ptr_nonnull(cluster_groups(c));
	ck_assert_uint_eq(cluster_groups(c)->refs, 0);
	cluster_forget_group(c, cluster_groups(c));
	ck_assert_ptr_null(cluster_groups(c));
}
END_TEST

static void set_mode(enum mode mode, enum deny deny)
{
	cluster_set_network_mode(c, "net", mode, deny);
	compile();
}

START_TEST(modes_end_and_open_as_the_table_says)
{
	static const struct {
		enum mode mode;
		enum profile_end selected, unselected;
		bool open;
	} table[] = {
		{MODE_STRICT, END_DROP, END_DROP, false},
		{MODE_STANDARD, END_DROP, END_DROP, true},
		{MODE_PREVIEW, END_DROP, END_OBSERVE, false},
		{MODE_AUDIT, END_OBSERVE, END_OBSERVE, false},
	};

	policy("a", INGRESS, "pods role=front", "tcp/80");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		set_mode(table[i].mode, DENY_DROP);
		ck_assert_int_eq(profile_of(INGRESS)->end, table[i].selected);
		ck_assert_int_eq(profile_of(EGRESS)->open, table[i].open);
		if (!table[i].open)
			ck_assert_int_eq(profile_of(EGRESS)->end, table[i].unselected);
		ck_assert_int_eq(build_local(c, "db")->node_open, table[i].mode == MODE_STANDARD);
	}
	set_mode(MODE_STRICT, DENY_REJECT);
	ck_assert_int_eq(profile_of(INGRESS)->end, END_REJECT);
	ck_assert_int_eq(profile_of(EGRESS)->end, END_REJECT);
}
END_TEST

START_TEST(unconfirmed_is_closed_and_never_rejected)
{
	set_mode(MODE_STANDARD, DENY_REJECT);
	cluster_delete(c, KIND_POD, "shop", "db");
	ck_assert(profile_is_empty(profile_of(INGRESS)));
	ck_assert_int_eq(profile_of(INGRESS)->end, END_DROP);
	ck_assert(!build_local(c, "db")->node_open);
	set_mode(MODE_PREVIEW, DENY_REJECT);
	ck_assert_int_eq(profile_of(INGRESS)->end, END_OBSERVE);
}
END_TEST

START_TEST(isolated_stays_isolated_when_the_pod_is_not_known_any_more)
{
	set_mode(MODE_PREVIEW, DENY_DROP);
	policy("a", INGRESS, "pods role=front", "tcp/80");
	compile();
	ck_assert_int_eq(profile_of(INGRESS)->end, END_DROP);
	ck_assert_int_eq(profile_of(EGRESS)->end, END_OBSERVE);
	cluster_delete(c, KIND_POD, "shop", "db");
	compile();
	ck_assert(profile_is_empty(profile_of(INGRESS)));
	ck_assert_int_eq(profile_of(INGRESS)->end, END_DROP);
	ck_assert_int_eq(profile_of(EGRESS)->end, END_OBSERVE);
}
END_TEST

START_TEST(namespace_label_tightens_and_loosens_only_if_allowed)
{
	set_mode(MODE_STANDARD, DENY_DROP);
	cluster_upsert(c, build_namespace("shop", "moat.cni/mode=strict"));
	compile();
	ck_assert_int_eq(build_local(c, "db")->mode, MODE_STRICT);
	cluster_upsert(c, build_namespace("shop", "moat.cni/mode=audit"));
	compile();
	ck_assert_int_eq(build_local(c, "db")->mode, MODE_STANDARD);
	ck_assert(build_local(c, "db")->label_ignored);
	cluster_allow_loosening(c, MODE_AUDIT);
	compile();
	ck_assert_int_eq(build_local(c, "db")->mode, MODE_AUDIT);
	ck_assert(!build_local(c, "db")->label_ignored);
	cluster_upsert(c, build_namespace("shop", "moat.cni/mode=of"));
	compile();
	ck_assert_int_eq(build_local(c, "db")->mode, MODE_STANDARD);
	ck_assert(build_local(c, "db")->label_ignored);
}
END_TEST

static struct local_pod *adopt_as(enum adoption adoption)
{
	struct attachment *a = build_attachment("old", "shop", "web", "10.0.0.9");

	a->adoption = adoption;
	a->mode = adoption == ADOPTION_HELD ? MODE_PREVIEW : MODE_STRICT;
	cluster_attach(c, a);
	attachment_free(a);
	compile();
	return build_local(c, "old");
}

START_TEST(adopted_pods_are_held_in_preview_whatever_labels_say)
{
	struct local_pod *p;

	cluster_upsert(c, build_namespace("shop", "moat.cni/mode=strict"));
	cluster_upsert(c, build_pod("shop", "web", NULL, NULL, NULL));
	p = adopt_as(ADOPTION_HELD);
	ck_assert(p->mode == MODE_PREVIEW && p->profile[INGRESS]->end == END_OBSERVE && !p->label_ignored);
	cluster_set_network_mode(c, "any", MODE_STANDARD, DENY_DROP); /* looser, and so it stays */
	compile();
	ck_assert(p->mode == MODE_STANDARD && p->profile[INGRESS]->open);
	cluster_set_network_mode(c, "any", MODE_STRICT, DENY_DROP);
	compile();
	ck_assert(p->mode == MODE_PREVIEW);
	p = adopt_as(ADOPTION_ENFORCED);
	ck_assert(p->mode == MODE_STRICT && p->profile[INGRESS]->end == END_DROP);
	cluster_upsert(c, build_namespace("shop", NULL));
	cluster_set_network_mode(c, "any", MODE_AUDIT, DENY_DROP); /* the node's conflist counts, of whatever network */
	compile();
	ck_assert(p->mode == MODE_AUDIT);
}
END_TEST

/* What was open when it was adopted is not looked for; what a policy takes away later is, and everything when somebody says so. */
START_TEST(adoption_makes_no_connection_one_that_was_lost)
{
	struct object *policy = build_policy("shop", "p", NULL, INGRESS);
	struct local_pod *p;

	cluster_upsert(c, build_namespace("shop", NULL));
	cluster_upsert(c, build_pod("shop", "web", NULL, NULL, NULL));
	build_rule(policy, INGRESS);
	cluster_upsert(c, policy);
	p = adopt_as(ADOPTION_HELD);
	ck_assert(!p->lost[INGRESS] && !p->lost[EGRESS]);
	cluster_upsert(c, build_policy("shop", "p", NULL, INGRESS));
	compile();
	ck_assert(p->lost[INGRESS] && !p->lost[EGRESS]);
	p->lost[INGRESS] = false;
	cluster_judge(c, p->key);
	ck_assert(p->lost[INGRESS] && p->lost[EGRESS]);
}
END_TEST

START_TEST(incomplete_source_opens_nothing_new)
{
	cluster_set_incomplete(c, true);
	set_mode(MODE_STANDARD, DENY_DROP);
	ck_assert(profile_is_empty(profile_of(INGRESS)) && !profile_of(INGRESS)->open);
	cluster_set_incomplete(c, false);
	ck_assert(profile_of(INGRESS)->open);
	cluster_set_incomplete(c, true);
	ck_assert(profile_of(INGRESS)->open);
	attach("db", "shop", "db", "10.0.0.1");
	ck_assert(!profile_of(INGRESS)->open);
}
END_TEST

START_TEST(only_what_changed_is_reported)
{
	ck_assert_uint_eq(compile(), 1);
	ck_assert_uint_eq(compile(), 0);
	cluster_upsert(c, build_pod("shop", "front", "role=back", "10.0.0.2", NULL));
	ck_assert_uint_eq(compile(), 0);
	policy("a", INGRESS, "pods role=front", "tcp/80");
	ck_assert_uint_eq(compile(), 1);
	policy("a", INGRESS, "pods role=front", "tcp/80");
	ck_assert_uint_eq(compile(), 0);
}
END_TEST

START_TEST(thousands_of_single_ports_are_one_union)
{
	struct object *o = build_policy("shop", "a", NULL, INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);
	uint64_t before;

	build_peer(rule, "pods role=front");
	for (unsigned i = 1; i < 4000; i += 2) {
		char port[16];

		snprintf(port, sizeof(port), "tcp/%u", i);
		build_port(rule, port);
	}
	cluster_upsert(c, o);
	before = cluster_evaluations(c);
	ck_assert_uint_eq(profile_of(INGRESS)->entries.n, 2000);
	ck_assert_uint_lt(cluster_evaluations(c) - before, 20);
}
END_TEST

/* 30,000 ports of one rule, or one too many of two: their pods are closed, others are not. */
START_TEST(too_many_separate_ports_close_their_pods_only)
{
	static const unsigned ends[] = {60000, 4002};

	policy("egress", EGRESS, "10.0.0.2/32", "tcp/80");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct object *o = build_policy("shop", "many", "role=db", INGRESS);
		struct policy_rule *rule = build_rule(o, INGRESS);

		build_peer(rule, "pods role=front");
		for (unsigned port = 2; port <= ends[i]; port += 2) {
			CLEAN_FREE char *text = mem_printf("tcp/%u", port);

			build_port(rule, text);
		}
		cluster_upsert(c, o);
		ck_assert(profile_is_empty(profile_of(INGRESS)));
		ck_assert_ptr_nonnull(build_local(c, "db")->excess[INGRESS]);
		ck_assert_ptr_null(build_local(c, "db")->excess[EGRESS]);
		ck_assert(allowed(EGRESS, "10.0.0.2", IPPROTO_TCP, 80));
	}
	policy("many", INGRESS, "20.0.0.0/24", "tcp/1-65535"); /* as one range it is no trouble */
	ck_assert(allowed(INGRESS, "20.0.0.1", IPPROTO_TCP, 80));
	ck_assert_ptr_null(build_local(c, "db")->excess[INGRESS]);
}
END_TEST

/* Nested ranges, each with a block of its own: as many unions as there are rules, each larger than the last. */
START_TEST(policies_that_multiply_close_their_pods_only)
{
	struct object *o = build_policy("shop", "nested", "role=db", INGRESS);

	for (int i = 0; i < 3000; i++) {
		struct policy_rule *rule = build_rule(o, INGRESS);
		char text[64];

		snprintf(text, sizeof(text), "20.%d.%d.0/24", i / 256, i % 256);
		build_peer(rule, text);
		snprintf(text, sizeof(text), "tcp/%d-%d", i + 1, 60000 - i);
		build_port(rule, text);
	}
	policy("egress", EGRESS, "10.0.0.2/32", "tcp/80");
	cluster_upsert(c, o);
	ck_assert(!allowed(INGRESS, "20.0.0.1", IPPROTO_TCP, 3000));
	ck_assert(profile_is_empty(profile_of(INGRESS)));
	ck_assert_ptr_nonnull(build_local(c, "db")->excess[INGRESS]);
	ck_assert_ptr_null(build_local(c, "db")->excess[EGRESS]);
	ck_assert(allowed(EGRESS, "10.0.0.2", IPPROTO_TCP, 80));
	policy("nested", INGRESS, "20.0.0.0/24", "tcp/80");
	ck_assert(allowed(INGRESS, "20.0.0.1", IPPROTO_TCP, 80));
	ck_assert_ptr_null(build_local(c, "db")->excess[INGRESS]);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("compile");
	Suite *s = suite_create("compile");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, neighbouring_intervals_with_the_same_peers_are_one_entry);
	tcase_add_test(t, overlapping_intervals_hold_the_union_of_peers);
	tcase_add_test(t, whole_protocol_ends_at_the_last_port);
	tcase_add_test(t, entries_include_portless_peers_and_equal_ones_are_dropped);
	tcase_add_test(t, everyone_on_every_port_is_open);
	tcase_add_test(t, both_families_whole_are_everyone);
	tcase_add_test(t, one_whole_family_is_any_and_has_no_ranges);
	tcase_add_test(t, except_does_not_remove_what_another_peer_gives);
	tcase_add_test(t, peers_nobody_understands_allow_nobody);
	tcase_add_test(t, rule_whose_ports_nobody_understands_allows_nothing);
	tcase_add_test(t, ingress_named_port_is_this_pods_number_of_that_protocol);
	tcase_add_test(t, egress_named_port_follows_each_destination);
	tcase_add_test(t, egress_named_port_behind_a_block_and_for_anyone);
	tcase_add_test(t, equal_definitions_share_profile_and_group);
	tcase_add_test(t, forgotten_profiles_release_their_groups);
	tcase_add_test(t, modes_end_and_open_as_the_table_says);
	tcase_add_test(t, unconfirmed_is_closed_and_never_rejected);
	tcase_add_test(t, isolated_stays_isolated_when_the_pod_is_not_known_any_more);
	tcase_add_test(t, namespace_label_tightens_and_loosens_only_if_allowed);
	tcase_add_test(t, adopted_pods_are_held_in_preview_whatever_labels_say);
	tcase_add_test(t, adoption_makes_no_connection_one_that_was_lost);
	tcase_add_test(t, incomplete_source_opens_nothing_new);
	tcase_add_test(t, only_what_changed_is_reported);
	tcase_add_test(t, thousands_of_single_ports_are_one_union);
	tcase_add_test(t, too_many_separate_ports_close_their_pods_only);
	tcase_add_test(t, policies_that_multiply_close_their_pods_only);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

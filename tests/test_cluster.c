/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/build.h"

static struct cluster *c;

static void setup(void)
{
	c = cluster_new();
	cluster_upsert(c, build_namespace("shop", NULL));
}

static void teardown(void)
{
	cluster_free(c);
}

static void compile(void)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
}

static void attach_uid(const char *container, const char *name, const char *addrs, const char *uid, uint64_t created)
{
	struct attachment *a = build_attachment(container, "shop", name, addrs);

	a->pod_uid = mem_strdup(uid);
	a->created = created;
	cluster_attach(c, a);
	attachment_free(a);
}

static void close_attachment(const char *container, const char *name, const char *addrs)
{
	struct attachment *a = build_attachment(container, "shop", name, addrs);

	a->closing = true;
	cluster_attach(c, a);
	attachment_free(a);
}

static struct object *pod_uid(const char *name, const char *uid, const char *static_id)
{
	struct object *o = build_pod("shop", name, "role=peer", NULL, NULL);

	o->uid = mem_strdup(uid);
	o->pod.static_id = mem_strdup(static_id);
	return o;
}

/* A local pod shop/watch that role=peer of its namespace may reach on tcp/1: its group shows who is a peer. */
static void watch(void)
{
	struct object *policy = build_policy("shop", "watch", "role=watch", INGRESS);
	struct policy_rule *rule = build_rule(policy, INGRESS);

	build_peer(rule, "pods role=peer");
	build_port(rule, "tcp/1");
	cluster_upsert(c, policy);
	cluster_upsert(c, build_pod("shop", "watch", "role=watch", NULL, NULL));
	attach_uid("watch", "watch", "10.9.9.9", NULL, 1);
	compile();
}

static struct group *watched(void)
{
	return build_local(c, "watch")->profile[INGRESS]->entries.v[0].group;
}

static bool is_peer(const char *addr)
{
	struct addr a = build_addr(addr);

	return profile_allows(build_local(c, "watch")->profile[INGRESS], &a, IPPROTO_TCP, 1);
}

static enum confirmation confirmation(const char *container)
{
	compile();
	return build_local(c, container)->confirmation;
}

START_TEST(own_node_uses_the_attachments_addresses_at_once)
{
	watch();
	attach_uid("x", "peer", "10.0.0.1,fd00::1", NULL, 1);
	ck_assert(!is_peer("10.0.0.1"));
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", "10.0.0.7", NULL));
	ck_assert(is_peer("10.0.0.1"));
	ck_assert(is_peer("fd00::1"));
	ck_assert_msg(!is_peer("10.0.0.7"), "status has no say while there is an attachment");
	cluster_detach(c, "net/x:eth0");
	ck_assert(!is_peer("10.0.0.1"));
	ck_assert(is_peer("10.0.0.7"));
}
END_TEST

START_TEST(closing_attachment_is_nobodys_peer_and_no_local_pod)
{
	watch();
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", "10.0.0.1", NULL));
	attach_uid("x", "peer", "10.0.0.1", NULL, 1);
	ck_assert(is_peer("10.0.0.1"));
	close_attachment("x", "peer", "10.0.0.1");
	ck_assert(!is_peer("10.0.0.1"));
	ck_assert_ptr_null(build_local(c, "x"));
	compile();
	cluster_detach(c, "net/x:eth0");
	ck_assert(is_peer("10.0.0.1"));
}
END_TEST

START_TEST(newest_attachment_of_a_pod_is_the_peer_and_both_are_guarded)
{
	watch();
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", NULL, NULL));
	attach_uid("new", "peer", "10.0.0.2", NULL, 20);
	attach_uid("old", "peer", "10.0.0.1", NULL, 10);
	ck_assert(is_peer("10.0.0.2"));
	ck_assert(!is_peer("10.0.0.1"));
	ck_assert_int_eq(confirmation("old"), POD_CONFIRMED);
	cluster_detach(c, "net/new:eth0");
	ck_assert(is_peer("10.0.0.1"));
}
END_TEST

START_TEST(interfaces_of_one_container_are_all_peers)
{
	struct attachment *second = build_attachment("x", "shop", "peer", "10.1.0.1");

	watch();
	free(second->ifname);
	second->ifname = mem_strdup("eth1");
	second->created = 5;
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", NULL, NULL));
	attach_uid("x", "peer", "10.0.0.1", NULL, 4);
	cluster_attach(c, second);
	attachment_free(second);
	ck_assert(is_peer("10.0.0.1") && is_peer("10.1.0.1"));
}
END_TEST

START_TEST(another_uid_is_another_pod)
{
	watch();
	cluster_upsert(c, pod_uid("peer", "new", NULL));
	attach_uid("x", "peer", "10.0.0.1", "old", 1);
	ck_assert_int_eq(confirmation("x"), POD_UNKNOWN);
	ck_assert(!is_peer("10.0.0.1"));
	cluster_upsert(c, pod_uid("peer", "old", NULL));
	ck_assert_int_eq(confirmation("x"), POD_CONFIRMED);
	ck_assert(!build_local(c, "x")->by_name_only);
	ck_assert(is_peer("10.0.0.1"));
}
END_TEST

START_TEST(static_pods_are_known_by_their_annotation)
{
	cluster_upsert(c, pod_uid("peer", "mirror", "hash"));
	attach_uid("x", "peer", "10.0.0.1", "hash", 1);
	ck_assert_int_eq(confirmation("x"), POD_CONFIRMED);
	cluster_upsert(c, pod_uid("peer", NULL, "hash2"));
	ck_assert_int_eq(confirmation("x"), POD_UNKNOWN);
}
END_TEST

START_TEST(without_uid_the_name_counts_and_it_is_said)
{
	cluster_upsert(c, pod_uid("peer", NULL, NULL));
	attach_uid("x", "peer", "10.0.0.1", "uid", 1);
	ck_assert_int_eq(confirmation("x"), POD_CONFIRMED);
	ck_assert(build_local(c, "x")->by_name_only);
}
END_TEST

START_TEST(unknown_namespace_closes)
{
	cluster_upsert(c, build_pod("shop", "peer", NULL, NULL, NULL));
	attach_uid("x", "peer", "10.0.0.1", NULL, 1);
	cluster_set_network_mode(c, "net", MODE_STANDARD, DENY_DROP);
	ck_assert_int_eq(confirmation("x"), POD_CONFIRMED);
	ck_assert(build_local(c, "x")->profile[INGRESS]->open);
	cluster_delete(c, KIND_NAMESPACE, NULL, "shop");
	ck_assert_int_eq(confirmation("x"), POD_NAMESPACE_UNKNOWN);
	ck_assert(profile_is_empty(build_local(c, "x")->profile[INGRESS]));
	cluster_upsert(c, build_namespace("shop", NULL));
	ck_assert_int_eq(confirmation("x"), POD_CONFIRMED);
}
END_TEST

START_TEST(attachment_without_a_pod_is_closed)
{
	struct attachment *a = build_attachment("x", NULL, NULL, "10.0.0.1");

	cluster_attach(c, a);
	attachment_free(a);
	ck_assert_int_eq(confirmation("x"), POD_NOT_KUBERNETES);
	ck_assert(profile_is_empty(build_local(c, "x")->profile[EGRESS]));
}
END_TEST

START_TEST(local_attachment_wins_an_address_over_status)
{
	watch();
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", "10.0.0.1", NULL));
	ck_assert(is_peer("10.0.0.1"));
	attach_uid("x", "stranger", "10.0.0.1", NULL, 1);
	ck_assert_msg(!is_peer("10.0.0.1"), "a new owner inherits nothing from whom status still names");
	ck_assert_uint_eq(cluster_doubled_addresses(c), 1);
	cluster_detach(c, "net/x:eth0");
	ck_assert(is_peer("10.0.0.1"));
	ck_assert_uint_eq(cluster_doubled_addresses(c), 0);
}
END_TEST

START_TEST(newest_start_wins_a_doubled_address)
{
	struct object *late = build_pod("shop", "a-late", "role=stranger", "10.0.0.1", NULL);

	watch();
	late->pod.started = 100;
	cluster_upsert(c, late);
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", "10.0.0.1", NULL));
	ck_assert(!is_peer("10.0.0.1"));
	cluster_delete(c, KIND_POD, "shop", "a-late");
	ck_assert(is_peer("10.0.0.1"));
}
END_TEST

START_TEST(finished_and_host_network_pods_are_no_peers)
{
	struct object *finished = build_pod("shop", "peer", "role=peer", "10.0.0.1", NULL);
	struct object *host = build_pod("shop", "host", "role=peer", "192.168.0.1", NULL);

	watch();
	finished->pod.finished = true;
	host->pod.host_network = true;
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", "10.0.0.1", NULL));
	ck_assert(is_peer("10.0.0.1"));
	cluster_upsert(c, finished);
	cluster_upsert(c, host);
	ck_assert(!is_peer("10.0.0.1"));
	ck_assert(!is_peer("192.168.0.1"));
}
END_TEST

START_TEST(pod_of_an_unknown_namespace_is_a_peer_of_its_own_namespace_only)
{
	struct object *policy = build_policy("shop", "watch", "role=watch", INGRESS);
	struct policy_rule *rule = build_rule(policy, INGRESS);

	watch();
	build_peer(rule, "namespaces pods role=far");
	build_port(rule, "tcp/1");
	cluster_upsert(c, policy);
	cluster_upsert(c, build_pod("far", "far", "role=far", "10.0.0.1", NULL));
	compile();
	ck_assert(!is_peer("10.0.0.1"));
	cluster_upsert(c, build_namespace("far", NULL));
	ck_assert(is_peer("10.0.0.1"));
}
END_TEST

static size_t take(struct group_list *changed)
{
	size_t n;

	cluster_take_changed_groups(c, changed);
	n = changed->n;
	free(changed->v);
	return n;
}

START_TEST(changes_are_recorded_once_installed_and_netted)
{
	struct group_list changed;
	struct group *g;

	watch();
	g = watched();
	cluster_upsert(c, build_pod("shop", "p1", "role=peer", "10.0.0.1", NULL));
	ck_assert_uint_eq(take(&changed), 0);
	g->installed = true;
	cluster_upsert(c, build_pod("shop", "p2", "role=peer", "10.0.0.2", NULL));
	cluster_upsert(c, build_pod("shop", "p3", "role=peer", "10.0.0.3", NULL));
	cluster_delete(c, KIND_POD, "shop", "p3");
	cluster_upsert(c, build_pod("shop", "p1", "role=none", "10.0.0.1", NULL));
	cluster_upsert(c, build_pod("shop", "p1", "role=peer,more=labels", "10.0.0.1", NULL));
	ck_assert_uint_eq(take(&changed), 1);
	ck_assert_uint_eq(g->changes.n, 1);
	ck_assert(g->changes.v[0].added);
	ck_assert_uint_eq(group_size(g), 2);
	group_changes_clear(g);
	cluster_delete(c, KIND_POD, "shop", "p2");
	ck_assert_uint_eq(take(&changed), 1);
	ck_assert(!g->changes.v[0].added);
}
END_TEST

START_TEST(renamed_port_moves_its_endpoint)
{
	struct object *policy = build_policy("shop", "out", "role=watch", EGRESS);
	struct policy_rule *rule = build_rule(policy, EGRESS);
	struct addr peer = build_addr("10.0.0.1");

	watch();
	build_peer(rule, "pods role=peer");
	build_port(rule, "tcp/web");
	cluster_upsert(c, policy);
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", "10.0.0.1", "web=tcp/80"));
	compile();
	ck_assert(profile_allows(build_local(c, "watch")->profile[EGRESS], &peer, IPPROTO_TCP, 80));
	cluster_upsert(c, build_pod("shop", "peer", "role=peer", "10.0.0.1", "dns=tcp/80"));
	ck_assert(!profile_allows(build_local(c, "watch")->profile[EGRESS], &peer, IPPROTO_TCP, 80));
}
END_TEST

START_TEST(node_changes_are_told_once)
{
	cluster_upsert(c, object_new(KIND_NODE, NULL, "n1"));
	ck_assert(cluster_take_nodes_changed(c));
	ck_assert(!cluster_take_nodes_changed(c));
	cluster_delete(c, KIND_NODE, NULL, "n2");
	ck_assert(!cluster_take_nodes_changed(c));
	cluster_delete(c, KIND_NODE, NULL, "n1");
	ck_assert(cluster_take_nodes_changed(c));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("cluster");
	Suite *s = suite_create("cluster");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, own_node_uses_the_attachments_addresses_at_once);
	tcase_add_test(t, closing_attachment_is_nobodys_peer_and_no_local_pod);
	tcase_add_test(t, newest_attachment_of_a_pod_is_the_peer_and_both_are_guarded);
	tcase_add_test(t, interfaces_of_one_container_are_all_peers);
	tcase_add_test(t, another_uid_is_another_pod);
	tcase_add_test(t, static_pods_are_known_by_their_annotation);
	tcase_add_test(t, without_uid_the_name_counts_and_it_is_said);
	tcase_add_test(t, unknown_namespace_closes);
	tcase_add_test(t, attachment_without_a_pod_is_closed);
	tcase_add_test(t, local_attachment_wins_an_address_over_status);
	tcase_add_test(t, newest_start_wins_a_doubled_address);
	tcase_add_test(t, finished_and_host_network_pods_are_no_peers);
	tcase_add_test(t, pod_of_an_unknown_namespace_is_a_peer_of_its_own_namespace_only);
	tcase_add_test(t, changes_are_recorded_once_installed_and_netted);
	tcase_add_test(t, renamed_port_moves_its_endpoint);
	tcase_add_test(t, node_changes_are_told_once);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

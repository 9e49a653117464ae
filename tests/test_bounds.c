/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants may write: at each bound everything is read, beyond it their pods are closed and told, and others' are not. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#include "policyd/model/bounds.h"
#include "policyd/model/explain.h"
#include "tests/build.h"
#include "tests/decode_check.h"

static struct cluster *c;

/* Two pods of "mine" attached, one of "yours" that its policy lets everybody reach on tcp/80. */
static void setup(void)
{
	static const char *const pods[][2] = {{"mine", "a"}, {"mine", "b"}, {"yours", "c"}};
	struct object *policy = build_policy("yours", "web", NULL, INGRESS);

	c = cluster_new();
	cluster_upsert(c, build_namespace("mine", NULL));
	cluster_upsert(c, build_namespace("yours", NULL));
	for (unsigned i = 0; i < ARRAY_SIZE(pods); i++) {
		CLEAN_FREE char *addr = mem_printf("10.0.0.%u", i + 1), *label = mem_printf("pod=%s", pods[i][1]);
		struct attachment *a = build_attachment(pods[i][1], pods[i][0], pods[i][1], addr);

		cluster_upsert(c, build_pod(pods[i][0], pods[i][1], label, NULL, "web=tcp/80"));
		cluster_attach(c, a);
		attachment_free(a);
	}
	build_port(build_rule(policy, INGRESS), "tcp/80");
	cluster_upsert(c, policy);
}

static void teardown(void)
{
	cluster_free(c);
}

static bool opens(const char *container, enum direction d, uint16_t port)
{
	struct addr peer = build_addr("192.0.2.1");
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
	return profile_allows(build_local(c, container)->profile[d], &peer, IPPROTO_TCP, port);
}

/* a and b are closed both ways, told why; c is not. */
static void ck_closed(const char *why)
{
	static const char *const mine[] = {"a", "b"};

	for (size_t i = 0; i < ARRAY_SIZE(mine); i++) {
		for (int d = 0; d < DIRECTION_COUNT; d++) {
			ck_assert(!opens(mine[i], (enum direction)d, 1));
			ck_assert(profile_is_empty(build_local(c, mine[i])->profile[d]));
			ck_assert_ptr_nonnull(build_local(c, mine[i])->excess[d]);
			ck_assert_msg(strstr(build_local(c, mine[i])->excess[d], why), "\"%s\" lacks \"%s\"",
				      build_local(c, mine[i])->excess[d], why);
		}
	}
	ck_assert(opens("c", INGRESS, 80));
	ck_assert_ptr_null(build_local(c, "c")->excess[INGRESS]);
}

static void ck_open(void)
{
	ck_assert(opens("a", INGRESS, 1));
	ck_assert_ptr_null(build_local(c, "a")->excess[INGRESS]);
	ck_assert_ptr_null(build_local(c, "a")->excess[EGRESS]);
	ck_assert(opens("c", INGRESS, 80));
}

/* ---- one policy ---- */

struct text {
	char *v;
	size_t n, cap;
};

static void add(struct text *t, const char *fmt, ...)
{
	char piece[512];
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = (size_t)vsnprintf(piece, sizeof(piece), fmt, args);
	va_end(args);
	for (size_t i = 0; i < len; i++)
		VEC_PUSH(t, piece[i]);
}

/* n times what item prints with the number. */
static void repeat(struct text *t, size_t n, const char *item)
{
	for (size_t i = 0; i < n; i++)
		add(t, item, i);
}

static void rules(struct text *t, size_t n)
{
	size_t ingress = n / 2;

	add(t, "ingress: [");
	repeat(t, ingress, "{},");
	add(t, "], egress: [");
	repeat(t, n - ingress, "{},");
	add(t, "]");
}

static void peers(struct text *t, size_t n)
{
	add(t, "ingress: [{from: [{ipBlock: {cidr: 'fd00::/8', except: [");
	repeat(t, n / 2, "'fd00:%zx::/32',");
	add(t, "]}},");
	repeat(t, n - n / 2 - 2, "{podSelector: {}},");
	add(t, "{ipBlock: {cidr: 192.0.2.0/24}}]}]");
}

static void ports(struct text *t, size_t n)
{
	add(t, "ingress: [{ports: [{port: 1}]}, {ports: [");
	repeat(t, n, "{port: 1%04zu, endPort: 60000},");
	add(t, "]}]");
}

static void selector_bytes(struct text *t, size_t n)
{
	/* ten of key, operator and value for each, and the keys of this API's fields */
	add(t, "podSelector: {matchExpressions: [{key: k, operator: NotIn, values: [");
	n -= strlen("matchExpressions" "key" "k" "operator" "NotIn" "values");
	repeat(t, n / 8, "v%07zu,");
	add(t, "%.*s]}]}, ingress: [{}]", (int)(n % 8), "v1234567");
}

static const struct {
	const char *why;
	size_t most;
	void (*write)(struct text *t, size_t n);
} bounds[] = {
	{"rules, at most 1000 are read", POLICY_RULES_MAX, rules},
	{"peers and excepts, at most 10000 are read", RULE_PEERS_MAX, peers},
	{"a rule with 1001 ports, at most 1000 are read", RULE_PORTS_MAX, ports},
	{"bytes of selectors, at most 131072 are read", POLICY_SELECTOR_BYTES_MAX, selector_bytes},
};

static struct object *written(void (*write)(struct text *t, size_t n), size_t n)
{
	struct text t = {0};
	struct decode_result r;
	struct object *o;

	add(&t, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: much, namespace: mine}\nspec: {");
	write(&t, n);
	add(&t, "}\n%c", 0);
	r = good(t.v);
	o = TAKE_PTR(r.objects.v[0]);
	ck_assert_uint_eq(r.warnings.n, o->policy.excess ? 1 : 0);
	decode_result_done(&r);
	VEC_DONE(&t);
	return o;
}

START_TEST(policy_at_a_bound_is_read_and_one_beyond_closes_its_pods)
{
	cluster_upsert(c, written(bounds[_i].write, bounds[_i].most));
	ck_open();
	cluster_upsert(c, written(bounds[_i].write, bounds[_i].most + 1));
	ck_closed(bounds[_i].why);
	ck_closed("NetworkPolicy much has");
	cluster_delete(c, KIND_POLICY, "mine", "much");
	cluster_upsert(c, written(rules, 2));
	ck_open();
}
END_TEST

static void of_a(struct text *t, size_t n)
{
	add(t, "podSelector: {matchLabels: {pod: a}},");
	rules(t, n);
}

START_TEST(only_pods_that_a_policy_beyond_a_bound_selects_are_closed)
{
	struct object *all = build_policy("mine", "all", NULL, INGRESS);

	build_port(build_rule(all, INGRESS), "tcp/1");
	cluster_upsert(c, all);
	cluster_upsert(c, written(of_a, POLICY_RULES_MAX + 1));
	ck_assert(!opens("a", INGRESS, 1)); /* whatever another policy says */
	ck_assert(opens("b", INGRESS, 1));
	ck_assert_ptr_null(build_local(c, "b")->excess[INGRESS]);
}
END_TEST

START_TEST(explain_names_the_bound)
{
	struct explain_query q = {.destination = {.ns = "mine", .name = "a"}, .protocol = IPPROTO_TCP, .port = 1};
	struct explain_result r;

	q.source.addr = build_addr("192.0.2.1");
	cluster_upsert(c, written(of_a, POLICY_RULES_MAX + 1));
	opens("a", INGRESS, 1);
	explain(c, &q, &r);
	ck_assert_int_eq(r.verdict, EXPLAIN_DENIED);
	ck_assert_str_eq(r.destination.reason, "closed: NetworkPolicy much has 1001 rules, at most 1000 are read");
	explain_result_done(&r);
	cluster_upsert(c, build_pod("mine", "a", "pod=a", "10.0.0.1", NULL));
	cluster_detach(c, "net/a:eth0"); /* attached elsewhere: its node does the same */
	explain(c, &q, &r);
	ck_assert_str_eq(r.destination.reason, "closed: NetworkPolicy much has 1001 rules, at most 1000 are read");
	explain_result_done(&r);
}
END_TEST

/* ---- objects ---- */

static struct decode_result labelled(const char *kind, size_t n)
{
	struct text t = {0};
	struct decode_result r;

	add(&t, "apiVersion: v1\nkind: %s\nmetadata:\n  name: a\n  labels: {", kind);
	repeat(&t, n / 8, "v%06zu: v,");
	add(&t, "%.*s}\n%c", n % 8 ? 99 : 0, "more: v", 0);
	r = decode(t.v);
	VEC_DONE(&t);
	return r;
}

START_TEST(object_with_too_many_bytes_of_labels_is_not_known)
{
	static const char *const kinds[] = {"Pod", "Namespace"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct decode_result r = labelled(kinds[i], LABEL_BYTES_MAX);

		ck_assert_uint_eq(r.objects.n, 1);
		ck_assert_uint_eq(r.warnings.n, 0);
		decode_result_done(&r);
		r = labelled(kinds[i], LABEL_BYTES_MAX + 1);
		ck_assert_uint_eq(r.objects.n + r.fallback.n + r.errors.n, 0); /* no error: the rest of its file is used */
		ck_assert(!r.lost);
		ck_assert_msg(says(r.warnings.v, r.warnings.n, "at most 65536 are read: the object is not used"), "%s", r.warnings.v[0]);
		decode_result_done(&r);
	}
}
END_TEST

START_TEST(named_ports_beyond_the_bound_are_left_out)
{
	struct text t = {0};
	struct decode_result r;

	add(&t, POD "spec: {containers: [{ports: [");
	repeat(&t, POD_NAMED_PORTS_MAX + 10, "{name: p, containerPort: 80},");
	add(&t, "]}]}\n%c", 0);
	r = good(t.v);
	ck_assert_uint_eq(r.objects.v[0]->pod.ports.n, POD_NAMED_PORTS_MAX);
	ck_assert(says(r.warnings.v, r.warnings.n, "one named port too many, at most 256 are read"));
	decode_result_done(&r);
	VEC_DONE(&t);
}
END_TEST

/* ---- a namespace ---- */

START_TEST(namespace_with_too_many_policies_is_closed_until_one_goes)
{
	for (unsigned i = 0; i < SPACE_POLICIES_MAX; i++) {
		CLEAN_FREE char *name = mem_printf("p%u", i);
		struct object *o = build_policy("mine", name, i ? "pod=none" : NULL, INGRESS);

		build_port(build_rule(o, INGRESS), "tcp/1");
		cluster_upsert(c, o);
	}
	ck_open();
	cluster_upsert(c, build_policy("mine", "more", "pod=none", EGRESS));
	ck_closed("its namespace has 1001 policies, at most 1000 are read");
	cluster_delete(c, KIND_POLICY, "mine", "p7");
	ck_open();
}
END_TEST

/* A policy of a (or everybody): n rules, each with a port and a peer of its own, and further peers, "%u" being the rule's number. */
static struct object *many_unions(const char *name, const char *pods, enum direction d, unsigned n, const char *peer, unsigned n_further,
				  const char *further)
{
	struct object *o = build_policy("mine", name, pods, d);

	for (unsigned i = 0; i < n; i++) {
		struct policy_rule *rule = build_rule(o, d);
		CLEAN_FREE char *own = mem_printf(peer, i / 250, i % 250), *port = mem_printf("tcp/%u", 2 * i + 10);

		build_peer(rule, own);
		build_port(rule, port);
		for (unsigned k = 0; k < n_further; k++) {
			CLEAN_FREE char *text = mem_printf(further, k / 250, k % 250);

			build_peer(rule, text);
		}
	}
	return o;
}

/* a and b have policies that come to less than a pod's bounds, and together to more than their namespace's. */
static void ck_excess(struct object *of_a_pod, struct object *of_b_pod, const char *why)
{
	struct object *open = build_policy("mine", "open", "pod=a", INGRESS);

	build_port(build_rule(open, INGRESS), "tcp/1");
	cluster_upsert(c, open);
	cluster_upsert(c, of_a_pod);
	ck_open();
	cluster_upsert(c, of_b_pod);
	ck_closed(why);
	/* another try at each change, and none succeeds; the pods are told nothing new */
	cluster_upsert(c, build_pod("mine", "a", "pod=a,x=y", NULL, NULL));
	ck_closed(why);
	cluster_delete(c, KIND_POLICY, "mine", "b");
	ck_open();
}

/* A pod more is closed without another try, a pod less is one. */
START_TEST(pods_that_come_and_go_beyond_a_bound)
{
	struct attachment *a = build_attachment("late", "mine", "late", "10.0.0.9");
	struct object *b = many_unions("b", "pod=b", INGRESS, 500, "21.%u.%u.0/24", 0, NULL), *open = build_policy("mine", "open", "pod=a", INGRESS);
	uint64_t asked;

	build_port(build_rule(open, INGRESS), "tcp/1");
	build_peer(build_rule(b, INGRESS), "22.0.0.0/24");
	cluster_upsert(c, open);
	cluster_upsert(c, many_unions("a", "pod=a", INGRESS, 500, "20.%u.%u.0/24", 0, NULL));
	cluster_upsert(c, b);
	ck_closed("unions of peers");
	asked = cluster_evaluations(c);
	cluster_upsert(c, build_pod("mine", "late", "pod=late", NULL, NULL));
	cluster_attach(c, a);
	ck_assert(!opens("late", INGRESS, 1));
	ck_assert_ptr_nonnull(build_local(c, "late")->excess[INGRESS]);
	ck_assert_uint_eq(cluster_evaluations(c), asked);
	cluster_detach(c, "net/b:eth0");
	ck_open();
	ck_assert_ptr_null(build_local(c, "late")->excess[INGRESS]);
	attachment_free(a);
}
END_TEST

START_TEST(unions_of_a_namespace_are_bounded)
{
	struct object *b = many_unions("b", "pod=b", INGRESS, 500, "21.%u.%u.0/24", 0, NULL);

	build_peer(build_rule(b, INGRESS), "22.0.0.0/24"); /* without a port: one more */
	ck_excess(many_unions("a", "pod=a", INGRESS, 500, "20.%u.%u.0/24", 0, NULL), b, "more than 1000 unions of peers on this node");
}
END_TEST

START_TEST(pods_with_the_same_policies_count_once)
{
	for (unsigned i = 0; i < 20; i++) {
		CLEAN_FREE char *name = mem_printf("replica%u", i), *addr = mem_printf("10.1.0.%u", i + 1);
		struct attachment *a = build_attachment(name, "mine", name, addr);

		cluster_upsert(c, build_pod("mine", name, "app=r", NULL, NULL));
		cluster_attach(c, a);
		attachment_free(a);
	}
	cluster_upsert(c, many_unions("all", "app=r", INGRESS, 400, "20.%u.%u.0/24", 0, NULL));
	ck_assert(!opens("replica7", INGRESS, 1));
	for (unsigned i = 0; i < 20; i++) {
		CLEAN_FREE char *name = mem_printf("replica%u", i);

		ck_assert_ptr_null(build_local(c, name)->excess[INGRESS]);
		ck_assert_ptr_eq(build_local(c, name)->profile[INGRESS], build_local(c, "replica0")->profile[INGRESS]);
	}
}
END_TEST

START_TEST(peers_in_unions_of_a_namespace_are_bounded)
{
	cluster_upsert(c, many_unions("egress", "pod=a", EGRESS, 1, "23.%u.%u.0/24", 4990, "24.%u.%u.0/28"));
	ck_excess(many_unions("a", "pod=a", INGRESS, 20, "20.%u.%u.0/24", 4990, "22.%u.%u.0/28"),
		  many_unions("b", "pod=b", INGRESS, 20, "21.%u.%u.0/24", 4990, "22.%u.%u.0/28"), "more than 200000 peers in unions");
}
END_TEST

START_TEST(port_intervals_of_a_namespace_are_bounded)
{
	static const char *const names[] = {"d", "e", "f", "g", "h", "i"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		CLEAN_FREE char *addr = mem_printf("10.2.0.%u", i + 1), *label = mem_printf("pod=%s", names[i]);
		struct attachment *a = build_attachment(names[i], "mine", names[i], addr);
		struct object *o = build_policy("mine", names[i], label, INGRESS);
		struct policy_rule *rule = build_rule(o, INGRESS);

		for (unsigned port = 0; port < 1990; port++) {
			CLEAN_FREE char *text = mem_printf("tcp/%u", 10 + 2 * (port + i));

			build_port(rule, text);
		}
		cluster_upsert(c, build_pod("mine", names[i], label, NULL, NULL));
		cluster_attach(c, a);
		attachment_free(a);
		cluster_upsert(c, o);
	}
	ck_closed("more than 10000 port intervals on this node");
}
END_TEST

START_TEST(pods_asked_for_members_are_bounded)
{
	/* 1,050 peers with a namespaceSelector count for 10,000 pods each, however few there are */
	ck_excess(many_unions("a", "pod=a", INGRESS, 3, "namespaces x%u=%u", 175, "namespaces y%u=%u"),
		  many_unions("b", "pod=b", INGRESS, 3, "namespaces z%u=%u", 175, "namespaces y%u=%u"), "pods asked for the members of unions");
}
END_TEST

START_TEST(members_of_unions_are_bounded)
{
	for (unsigned i = 0; i < 6000; i++) {
		CLEAN_FREE char *name = mem_printf("p%u", i), *addr = mem_printf("10.%u.%u.1", 100 + i / 250, i % 250);

		cluster_upsert(c, build_pod("yours", name, NULL, addr, NULL));
	}
	/* each union has all of them: 50 of a's are 300,000 members */
	ck_excess(many_unions("a", "pod=a", INGRESS, 50, "20.%u.%u.0/24", 1, "namespaces"),
		  many_unions("b", "pod=b", INGRESS, 50, "21.%u.%u.0/24", 1, "namespaces"), "more than 500000 addresses and ranges in unions");
}
END_TEST

START_TEST(audit_only_tells)
{
	struct attachment *a = build_attachment("a", "mine", "a", "10.0.0.1");

	a->mode = MODE_AUDIT;
	cluster_attach(c, a);
	attachment_free(a);
	cluster_upsert(c, written(rules, POLICY_RULES_MAX + 1));
	opens("a", INGRESS, 1);
	ck_assert_int_eq(build_local(c, "a")->profile[INGRESS]->end, END_OBSERVE);
	ck_assert_ptr_nonnull(build_local(c, "a")->excess[INGRESS]);
	ck_assert_int_eq(build_local(c, "b")->profile[INGRESS]->end, END_DROP);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bounds");
	TCase *t = tcase_create("bounds");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, policy_at_a_bound_is_read_and_one_beyond_closes_its_pods, 0, ARRAY_SIZE(bounds));
	tcase_add_test(t, only_pods_that_a_policy_beyond_a_bound_selects_are_closed);
	tcase_add_test(t, explain_names_the_bound);
	tcase_add_test(t, object_with_too_many_bytes_of_labels_is_not_known);
	tcase_add_test(t, named_ports_beyond_the_bound_are_left_out);
	tcase_add_test(t, namespace_with_too_many_policies_is_closed_until_one_goes);
	tcase_add_test(t, unions_of_a_namespace_are_bounded);
	tcase_add_test(t, pods_that_come_and_go_beyond_a_bound);
	tcase_add_test(t, pods_with_the_same_policies_count_once);
	tcase_add_test(t, peers_in_unions_of_a_namespace_are_bounded);
	tcase_add_test(t, port_intervals_of_a_namespace_are_bounded);
	tcase_add_test(t, pods_asked_for_members_are_bounded);
	tcase_add_test(t, members_of_unions_are_bounded);
	tcase_add_test(t, audit_only_tells);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}

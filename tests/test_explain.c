/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/model/explain.h"

#include <check.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/build.h"

static struct cluster *c;
static struct explain_result result;

static void attach(const char *container, const char *ns, const char *name, const char *addrs)
{
	struct attachment *a = build_attachment(container, ns, name, addrs);

	cluster_attach(c, a);
	attachment_free(a);
}

/* default/db and default/client here, default/other and team/far elsewhere. */
static void setup(void)
{
	struct object *policy;

	c = cluster_new();
	cluster_upsert(c, build_namespace("default", NULL));
	cluster_upsert(c, build_namespace("team", "project=x"));
	cluster_upsert(c, build_pod("default", "db", "role=db", NULL, "redis=tcp/6379"));
	cluster_upsert(c, build_pod("default", "client", "role=frontend", NULL, NULL));
	cluster_upsert(c, build_pod("default", "other", "role=other", "10.1.0.12", NULL));
	cluster_upsert(c, build_pod("team", "far", NULL, "10.1.0.13,fd00::13", NULL));
	attach("db", "default", "db", "10.1.0.10,fd00::10");
	attach("client", "default", "client", "10.1.0.11");
	policy = build_policy("default", "test-network-policy", "role=db", INGRESS);
	build_peer(build_rule(policy, INGRESS), "172.17.0.0/16 except 172.17.1.0/24");
	build_peer(build_rule(policy, INGRESS), "pods role=frontend");
	build_port(&policy->policy.rules[INGRESS].v[1], "tcp/redis");
	cluster_upsert(c, policy);
}

static void teardown(void)
{
	explain_result_done(&result);
	cluster_free(c);
}

static struct explain_party party(const char *text)
{
	struct explain_party p = {0};
	static char ns[2][64];
	static int turn;
	const char *slash = strchr(text, '/');

	if (!slash) {
		p.addr = build_addr(text);
		return p;
	}
	turn = !turn;
	memcpy(ns[turn], text, (size_t)(slash - text));
	ns[turn][slash - text] = '\0';
	p.ns = ns[turn];
	p.name = slash + 1;
	return p;
}

static void ask(const char *source, const char *destination, uint8_t protocol, uint16_t port)
{
	struct explain_query q = {
		.source = party(source), .destination = party(destination), .protocol = protocol, .port = port};
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
	explain_result_done(&result);
	explain(c, &q, &result);
}

START_TEST(denial_names_the_isolating_policy_and_the_peer)
{
	ask("default/other", "default/db", IPPROTO_TCP, 6379);
	ck_assert_int_eq(result.destination.verdict, EXPLAIN_DENIED);
	ck_assert_str_eq(result.destination.reason, "isolated by default/test-network-policy; none allows tcp/6379 from "
						    "default/other (10.1.0.12)");
	ck_assert_int_eq(result.source.verdict, EXPLAIN_DEPENDS);
	ck_assert_int_eq(result.verdict, EXPLAIN_DENIED);
}
END_TEST

START_TEST(allowance_names_the_rule)
{
	ask("default/client", "default/db", IPPROTO_TCP, 6379);
	ck_assert_int_eq(result.destination.verdict, EXPLAIN_ALLOWED);
	ck_assert_str_eq(result.destination.reason, "allowed by default/test-network-policy, ingress[1]");
	ck_assert_str_eq(result.source.reason, "no policy selects it for egress; mode strict denies");
	ck_assert_int_eq(result.verdict, EXPLAIN_DENIED);
}
END_TEST

START_TEST(addresses_are_looked_up_and_blocks_respect_excepts)
{
	ask("172.17.2.1", "10.1.0.10", IPPROTO_ICMP, 0);
	ck_assert_str_eq(result.destination.name, "default/db (10.1.0.10)");
	ck_assert_int_eq(result.verdict, EXPLAIN_ALLOWED);
	ck_assert_int_eq(result.source.verdict, EXPLAIN_NO_SAY);
	ask("172.17.1.1", "10.1.0.10", IPPROTO_ICMP, 0);
	ck_assert_int_eq(result.verdict, EXPLAIN_DENIED);
}
END_TEST

START_TEST(family_is_the_one_both_ends_have)
{
	ask("team/far", "default/db", IPPROTO_TCP, 1);
	ck_assert_str_eq(result.source.name, "team/far (10.1.0.13)");
	ask("fd00::13", "default/db", IPPROTO_TCP, 1);
	ck_assert_str_eq(result.destination.name, "default/db (fd00::10)");
	ask("default/db", "fd00::13", IPPROTO_TCP, 1);
	ck_assert_str_eq(result.source.name, "default/db (fd00::10)");
}
END_TEST

START_TEST(modes_of_unselected_pods)
{
	static const enum explain_verdict verdicts[MODE_COUNT] = {
		[MODE_AUDIT] = EXPLAIN_OBSERVED,
		[MODE_STANDARD] = EXPLAIN_ALLOWED,
		[MODE_PREVIEW] = EXPLAIN_OBSERVED,
		[MODE_STRICT] = EXPLAIN_DENIED,
	};

	for (int mode = 0; mode < MODE_COUNT; mode++) {
		cluster_set_network_mode(c, "net", (enum mode)mode, DENY_DROP);
		ask("default/client", "1.2.3.4", IPPROTO_TCP, 80);
		ck_assert_int_eq(result.source.verdict, verdicts[mode]);
		ask("1.2.3.4", "default/db", IPPROTO_TCP, 80);
		ck_assert_int_eq(result.destination.verdict, mode == MODE_AUDIT ? EXPLAIN_OBSERVED : EXPLAIN_DENIED);
	}
}
END_TEST

START_TEST(host_network_is_not_isolated_and_no_pod_peer)
{
	struct object *host = build_pod("default", "host", "role=frontend", "10.1.0.200", NULL);

	host->pod.host_network = true;
	cluster_upsert(c, host);
	ask("default/host", "default/db", IPPROTO_TCP, 6379);
	ck_assert_int_eq(result.source.verdict, EXPLAIN_NO_SAY);
	ck_assert_int_eq(result.destination.verdict, EXPLAIN_DENIED);
}
END_TEST

START_TEST(unconfirmed_attachments_are_closed)
{
	attach("strange", "default", "unknown", "10.1.0.77");
	ask("10.1.0.77", "default/db", IPPROTO_TCP, 6379);
	ck_assert_int_eq(result.source.verdict, EXPLAIN_DENIED);
	ck_assert_str_eq(result.source.reason, "attached here, but no Pod of that name and UID is known: closed");
}
END_TEST

START_TEST(pod_reaches_itself)
{
	ask("default/db", "10.1.0.10", IPPROTO_TCP, 1);
	ck_assert_int_eq(result.verdict, EXPLAIN_ALLOWED);
}
END_TEST

START_TEST(unknown_names_are_said_to_be_unknown)
{
	ask("default/nobody", "default/db", IPPROTO_TCP, 1);
	ck_assert_str_eq(result.source.name, "default/nobody (no address)");
	ck_assert_int_eq(result.verdict, EXPLAIN_DENIED);
}
END_TEST

START_TEST(text_has_a_headline_and_both_ends)
{
	CLEAN_FREE char *text = NULL;

	ask("default/client", "default/db", IPPROTO_TCP, 6379);
	text = explain_text(&result);
	ck_assert_str_eq(text, "tcp/6379 from default/client (10.1.0.11) to default/db (10.1.0.10): denied\n"
			       "  egress  of default/client (10.1.0.11): denied\n"
			       "          no policy selects it for egress; mode strict denies\n"
			       "          attached here, mode strict\n"
			       "  ingress of default/db (10.1.0.10): allowed\n"
			       "          allowed by default/test-network-policy, ingress[1]\n"
			       "          attached here, mode strict\n");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("explain");
	Suite *s = suite_create("explain");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, denial_names_the_isolating_policy_and_the_peer);
	tcase_add_test(t, allowance_names_the_rule);
	tcase_add_test(t, addresses_are_looked_up_and_blocks_respect_excepts);
	tcase_add_test(t, family_is_the_one_both_ends_have);
	tcase_add_test(t, modes_of_unselected_pods);
	tcase_add_test(t, host_network_is_not_isolated_and_no_pod_peer);
	tcase_add_test(t, unconfirmed_attachments_are_closed);
	tcase_add_test(t, pod_reaches_itself);
	tcase_add_test(t, unknown_names_are_said_to_be_unknown);
	tcase_add_test(t, text_has_a_headline_and_both_ends);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

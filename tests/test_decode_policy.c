/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>

#include "moat/mode.h"
#include "tests/decode_check.h"

/* The policy with this spec (lines from 4 on) is an error that says so, and comes back closed. */
static void refuse(const char *spec, const char *expected)
{
	CLEAN_FREE char *text = mem_printf("%s%s", POLICY, spec);
	struct decode_result r = decode(text);
	const struct policy *closed;

	ck_assert_msg(r.objects.n == 0, "accepted: %s", spec);
	ck_assert_msg(says(r.errors.v, r.errors.n, expected), "\"%s\" lacks \"%s\"", r.errors.v[0], expected);
	ck_assert_uint_eq(r.fallback.n, 1);
	ck_assert(!r.lost);
	closed = &r.fallback.v[0]->policy;
	ck_assert_str_eq(r.fallback.v[0]->ns, "ns");
	ck_assert_str_eq(r.fallback.v[0]->name, "p");
	ck_assert(closed->isolates[INGRESS] && closed->isolates[EGRESS]);
	ck_assert_uint_eq(closed->rules[INGRESS].n + closed->rules[EGRESS].n, 0);
	decode_result_done(&r);
}

static struct decode_result accept_spec(const char *spec)
{
	CLEAN_FREE char *text = mem_printf("%s%s", POLICY, spec);

	return good(text);
}

static void ck_selector(const struct selector *s, const char *expected)
{
	CLEAN_FREE char *text = selector_canonical(s);

	ck_assert_str_eq(text, expected);
}

START_TEST(policy_types_default_from_the_rules)
{
	static const struct {
		const char *spec;
		bool ingress, egress;
	} cases[] = {
		{"", true, false},
		{"spec: null", true, false},
		{"spec: {}", true, false},
		{"spec: {ingress: []}", true, false},
		{"spec: {egress: []}", true, false},
		{"spec: {egress: null, policyTypes: null}", true, false},
		{"spec: {egress: [{}]}", true, true},
		{"spec: {egress: [{}], policyTypes: []}", true, true},
		{"spec: {policyTypes: [Egress]}", false, true},
		{"spec: {policyTypes: [Ingress]}", true, false},
		{"spec: {policyTypes: [Egress, Ingress]}", true, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct decode_result r = accept_spec(cases[i].spec);

		ck_assert_msg(r.objects.v[0]->policy.isolates[INGRESS] == cases[i].ingress, "%s", cases[i].spec);
		ck_assert_msg(r.objects.v[0]->policy.isolates[EGRESS] == cases[i].egress, "%s", cases[i].spec);
		decode_result_done(&r);
	}
	refuse("spec: {policyTypes: [ingress]}", "line 4: NetworkPolicy ns/p: spec.policyTypes[0]: \"ingress\" is not a policy type");
	refuse("spec: {policyTypes: [Ingress, Egress, Ingress]}", "has 3 elements");
	refuse("spec: {policyTypes: [null]}", "spec.policyTypes[0]: is null");
	refuse("spec: {policyTypes: Ingress}", "spec.policyTypes: is a string; expected a list");
}
END_TEST

START_TEST(rules_of_a_direction_not_isolated_are_dropped_and_told)
{
	struct decode_result r = accept_spec("spec: {policyTypes: [Ingress], egress: [{to: [{podSelector: {}}], ports: [{port: a}]}]}");

	ck_assert_uint_eq(r.objects.v[0]->policy.rules[EGRESS].n, 0);
	ck_assert(says(r.warnings.v, r.warnings.n, "spec.egress: has rules, but policyTypes"));
	decode_result_done(&r);
}
END_TEST

START_TEST(empty_absent_and_null_have_their_own_meanings)
{
	struct decode_result r = accept_spec("spec:\n"
					     "  podSelector: null\n"
					     "  ingress:\n"
					     "  - {}\n"
					     "  - {from: null, ports: null}\n"
					     "  - {from: [], ports: []}\n"
					     "  - from: [{podSelector: {}}, {namespaceSelector: {}}, {namespaceSelector: null, podSelector: {}}]\n"
					     "    ports: [{}]\n");
	const struct policy *p = &r.objects.v[0]->policy;
	const struct policy_rule *last = &p->rules[INGRESS].v[3];

	ck_selector(&p->pods, "");
	ck_assert_uint_eq(p->rules[INGRESS].n, 4);
	for (size_t i = 0; i < 3; i++)
		ck_assert(p->rules[INGRESS].v[i].any_peer && p->rules[INGRESS].v[i].any_port);
	ck_assert(!last->any_peer && !last->any_port);
	ck_assert_uint_eq(last->peers.n, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(last->peers.v[i].kind, PEER_PODS);
	ck_assert(!last->peers.v[0].any_namespace_selector);
	ck_assert(last->peers.v[1].any_namespace_selector);
	ck_assert(!last->peers.v[2].any_namespace_selector);
	ck_assert_uint_eq(last->ports.v[0].protocol, IPPROTO_TCP);
	ck_assert_uint_eq(last->ports.v[0].first, 0);
	ck_assert_uint_eq(last->ports.v[0].last, 65535);
	decode_result_done(&r);
}
END_TEST

START_TEST(null_elements_never_open)
{
	refuse("spec:\n  ingress:\n  - null\n", "line 6: NetworkPolicy ns/p: spec.ingress[0]: is null");
	refuse("spec:\n  ingress:\n  -\n", "spec.ingress[0]: is null");
	refuse("spec: {ingress: [{from: [null]}]}", "spec.ingress[0].from[0]: is null");
	refuse("spec: {ingress: [{ports: [null]}]}", "spec.ingress[0].ports[0]: is null");
	refuse("spec: {egress: [{to: [~]}]}", "spec.egress[0].to[0]: is null");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [null]}}]}]}", "ipBlock.except[0]: is null");
}
END_TEST

START_TEST(what_is_not_understood_never_opens)
{
	refuse("spec: {ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]: names no peer");
	refuse("spec: {ingress: [{from: [{podSelector: null}]}]}", "names no peer");
	refuse("spec: {ingress: [{from: [{serviceSelector: {}}]}]}",
	       "spec.ingress[0].from[0].serviceSelector: is not a known field; known here: podSelector, namespaceSelector, ipBlock");
	refuse("spec: {ingress: [{form: [{podSelector: {}}]}]}", "spec.ingress[0].form: is not a known field; known here: from, ports");
	refuse("spec: {ingress: [{to: [{podSelector: {}}]}]}", "spec.ingress[0].to: is not a known field");
	refuse("spec: {egress: [{from: [{podSelector: {}}]}]}", "spec.egress[0].from: is not a known field");
	refuse("spec: {ingres: []}", "spec.ingres: is not a known field");
	refuse("spec: {ingress: [{ports: [{prot: UDP}]}]}", "ports[0].prot: is not a known field");
	refuse("spec: {podSelector: {app: x}}", "spec.podSelector.app: is not a known field");
	refuse("spec: {ingress: [{from: [{podSelector: {matchlabels: {a: b}}}]}]}", "podSelector.matchlabels: is not a known field");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, excepts: []}}]}]}", "ipBlock.excepts: is not a known field");
	refuse("spec: {ingress: {}}", "spec.ingress: is a map; expected a list");
	refuse("spec: {ingress: [{from: {}}]}", "spec.ingress[0].from: is a map; expected a list");
	refuse("spec: {ingress: [[]]}", "spec.ingress[0]: is a list; expected a map");
	refuse("spec: {ingress: [{from: [{podSelector: x}]}]}", "podSelector: is a string; expected a map");
	refuse("spec: []", "spec: is a list; expected a map");
}
END_TEST

START_TEST(ports_are_checked_as_the_api_server_does)
{
	refuse("spec:\n  ingress:\n  - ports:\n    - {port: 80}\n    - {port: 70000}\n",
	       "line 8: NetworkPolicy ns/p: spec.ingress[0].ports[1].port: 70000 is not a port; use 1 to 65535");
	refuse("spec: {ingress: [{ports: [{port: 0}]}]}", "0 is not a port");
	refuse("spec: {ingress: [{ports: [{port: -1}]}]}", "-1 is not a port");
	refuse("spec: {ingress: [{ports: [{port: 80.5}]}]}", "80.5 is not a port");
	refuse("spec: {ingress: [{ports: [{port: 0x50}]}]}", "0x50 is not a port");
	refuse("spec: {ingress: [{ports: [{port: 010}]}]}", "010 is not a port");
	refuse("spec: {ingress: [{ports: [{port: 65536}]}]}", "65536 is not a port");
	refuse("spec: {ingress: [{ports: [{port: 18446744073709551696}]}]}", "is not a port");
	refuse("spec: {ingress: [{ports: [{port: 1e400}]}]}", "1e400 is not a port");
	refuse("spec: {ingress: [{ports: [{port: true}]}]}", "true is not a port");
	refuse("spec: {ingress: [{ports: [{port: []}]}]}", "a list is not a port");
	refuse("spec: {ingress: [{ports: [{port: '80'}]}]}", "\"80\" is a string; write the number without quotes");
	refuse("spec: {ingress: [{ports: [{port: ''}]}]}", "\"\" is not a port name");
	refuse("spec: {ingress: [{ports: [{port: a--b}]}]}", "\"a--b\" is not a port name");
	refuse("spec: {ingress: [{ports: [{port: abcdefghijklmnop}]}]}", "is not a port name");
	refuse("spec: {ingress: [{ports: [{port: 80, endPort: 79}]}]}", "ports[0].endPort: 79 is below port 80");
	refuse("spec: {ingress: [{ports: [{port: http, endPort: 81}]}]}", "ports[0].endPort: needs port to be a number");
	refuse("spec: {ingress: [{ports: [{endPort: 81}]}]}", "ports[0].endPort: needs port to be a number");
	refuse("spec: {ingress: [{ports: [{port: 80, endPort: '81'}]}]}", "endPort: 81 is not a port");
	refuse("spec: {ingress: [{ports: [{port: 80, endPort: 65536}]}]}", "65536 is not a port");
	refuse("spec: {ingress: [{ports: [{protocol: ICMP}]}]}", "ports[0].protocol: protocol \"ICMP\" is not known; use TCP, UDP or SCTP");
	refuse("spec: {ingress: [{ports: [{protocol: tcp}]}]}", "protocol \"tcp\"");
	refuse("spec: {ingress: [{ports: [{protocol: ''}]}]}", "protocol \"\"");
	refuse("spec: {ingress: [{ports: [{protocol: 6}]}]}", "6 is a number; quote it");
}
END_TEST

START_TEST(ports_are_read)
{
	struct decode_result r = accept_spec("spec: {ingress: [{ports: [{port: 80}, {port: 1, endPort: 65535, protocol: UDP}, "
					     "{port: http, protocol: SCTP}, {protocol: UDP}, {port: 8, endPort: 8}]}]}");
	const struct policy_port expected[] = {{IPPROTO_TCP, 80, 80, NULL},
						      {IPPROTO_UDP, 1, 65535, NULL},
						      {IPPROTO_SCTP, 0, 0, (char[]){"http"}},
						      {IPPROTO_UDP, 0, 65535, NULL},
						      {IPPROTO_TCP, 8, 8, NULL}};
	const struct policy_rule *rule = &r.objects.v[0]->policy.rules[INGRESS].v[0];

	ck_assert(rule->any_peer && !rule->any_port);
	ck_assert_uint_eq(rule->ports.n, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		ck_assert_uint_eq(rule->ports.v[i].protocol, expected[i].protocol);
		ck_assert_uint_eq(rule->ports.v[i].first, expected[i].first);
		ck_assert_uint_eq(rule->ports.v[i].last, expected[i].last);
		ck_assert_pstr_eq(rule->ports.v[i].name, expected[i].name);
	}
	decode_result_done(&r);
}
END_TEST

START_TEST(ip_blocks_are_read_and_masked)
{
	struct decode_result r = accept_spec("spec:\n  egress:\n  - to:\n"
					     "    - ipBlock: {cidr: 172.17.0.9/16, except: [172.17.1.0/24, 172.17.2.0/32]}\n"
					     "    - ipBlock: {cidr: '2001:db8::/32', except: ['2001:db8:1::/48']}\n"
					     "    - ipBlock: {cidr: 010.0.0.0/8, except: null}\n");
	const struct policy_rule *rule = &r.objects.v[0]->policy.rules[EGRESS].v[0];
	char buf[BLOCK_TEXT_MAX];

	ck_assert_int_eq(rule->peers.v[0].kind, PEER_BLOCK);
	ck_assert_str_eq(addr_block_text(&rule->peers.v[0].block, buf), "172.17.0.0/16");
	ck_assert_uint_eq(rule->peers.v[0].excepts.n, 2);
	ck_assert_str_eq(addr_block_text(&rule->peers.v[1].excepts.v[0], buf), "2001:db8:1::/48");
	ck_assert_str_eq(addr_block_text(&rule->peers.v[2].block, buf), "10.0.0.0/8");
	ck_assert_uint_eq(r.warnings.n, 2);
	ck_assert_ptr_nonnull(strstr(r.warnings.v[0], "line 7: NetworkPolicy ns/p: spec.egress[0].to[0].ipBlock.cidr: 172.17.0.9/16 has bits"));
	ck_assert_ptr_nonnull(strstr(r.warnings.v[1], "read as decimal, 10.0.0.0/8"));
	decode_result_done(&r);
}
END_TEST

START_TEST(ip_blocks_are_checked)
{
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}", "from[0].ipBlock.cidr: \"10.0.0.0\" is not a CIDR");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}", "10.0.0.0/33");
	refuse("spec: {ingress: [{from: [{ipBlock: {}}]}]}", "ipBlock.cidr: is missing");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: ''}}]}]}", "ipBlock.cidr: \"\" is not a CIDR");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10}}]}]}", "ipBlock.cidr: 10 is a number");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: '::ffff:10.0.0.0/104'}}]}]}", "IPv4-mapped");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}",
	       "ipBlock.except[0]: 10.0.0.0/8 is not strictly within 10.0.0.0/8");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/9]}}]}]}", "not strictly within");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ['::/9']}}]}]}", "not strictly within");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0]}}]}]}", "ipBlock.except[0]: \"10.1.0.0\"");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}", "has ipBlock and a selector");
	refuse("spec: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, namespaceSelector: {}}]}]}", "has ipBlock and a selector");
}
END_TEST

START_TEST(selectors_are_read)
{
	struct decode_result r = accept_spec(
		"spec:\n  podSelector:\n    matchLabels: {role: db, empty: ''}\n    matchExpressions:\n"
		"    - {key: a, operator: In, values: [x, 'y']}\n    - {key: b, operator: NotIn, values: [z]}\n"
		"    - {key: example.com/c, operator: Exists}\n    - {key: d, operator: DoesNotExist, values: []}\n");

	ck_selector(&r.objects.v[0]->policy.pods,
		    "!d,a in (x,y),b notin (z),empty in (),example.com/c,role in (db)");
	decode_result_done(&r);
}
END_TEST

START_TEST(selectors_are_checked)
{
#define EXPRESSION(e) "spec: {podSelector: {matchExpressions: [" e "]}}"
	refuse(EXPRESSION("{key: a, operator: Equals, values: [b]}"),
	       "spec.podSelector.matchExpressions[0].operator: operator \"Equals\" is not known; use In, NotIn");
	refuse(EXPRESSION("{key: a}"), "operator: is missing");
	refuse(EXPRESSION("{operator: Exists}"), "key: is missing");
	refuse(EXPRESSION("{key: a, operator: In}"), "values: is empty");
	refuse(EXPRESSION("{key: a, operator: NotIn, values: []}"), "values: is empty");
	refuse(EXPRESSION("{key: a, operator: Exists, values: [b]}"), "values: has 1 values");
	refuse(EXPRESSION("{key: a, operator: In, values: [1]}"), "values[0]: 1 is a number; quote it");
	refuse(EXPRESSION("{key: a, operator: In, values: [null]}"), "values[0]: is null");
	refuse(EXPRESSION("{key: a, operator: In, values: ['b c']}"), "values[0]: \"b c\" is not a label value");
	refuse(EXPRESSION("{key: a/b/c, operator: Exists}"), "\"a/b/c\" is not a label key");
	refuse(EXPRESSION("{key: a, operator: Exists, value: b}"), "matchExpressions[0].value: is not a known field");
	refuse(EXPRESSION("null"), "matchExpressions[0]: is null");
	refuse("spec: {podSelector: {matchLabels: {a: 1}}}", "spec.podSelector.matchLabels.a: 1 is a number; quote it to make it a string");
	refuse("spec: {podSelector: {matchLabels: {a: yes}}}", "yes is a boolean; quote it");
	refuse("spec: {podSelector: {matchLabels: {a: null}}}", "is null; write \"\"");
	refuse("spec: {podSelector: {matchLabels: {'a b': c}}}", "\"a b\" is not a label key");
	refuse("spec: {podSelector: {matchLabels: [a]}}", "matchLabels: is a list");
}
END_TEST

START_TEST(the_fallback_selects_what_the_policy_selects_if_that_is_readable)
{
	struct decode_result r =
		decode(POLICY "spec: {podSelector: {matchLabels: {role: db}}, ingress: [{from: [{}]}, {}], policyTypes: [Ingress]}");

	ck_selector(&r.fallback.v[0]->policy.pods, "role in (db)");
	decode_result_done(&r);
	r = decode(POLICY "spec: {podSelector: {matchLabels: {role: db, tier: 1}}}");
	ck_selector(&r.fallback.v[0]->policy.pods, "");
	decode_result_done(&r);
	r = decode("apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
		   "spec: {podSelector: {matchLabels: {a: b}}, ingress: [{}]}");
	ck_assert_uint_eq(r.objects.n, 0);
	ck_assert_str_eq(r.errors.v[0],
			 "line 1: NetworkPolicy default/p: apiVersion: \"extensions/v1beta1\" is not supported; use networking.k8s.io/v1");
	ck_selector(&r.fallback.v[0]->policy.pods, "a in (b)");
	ck_assert(r.fallback.v[0]->policy.isolates[EGRESS]);
	decode_result_done(&r);
}
END_TEST

START_TEST(an_unknown_field_beside_spec_is_a_warning)
{
	struct decode_result r = good(POLICY "sepc: {}\nstatus: {}\n");

	ck_assert_uint_eq(r.warnings.n, 1);
	ck_assert_ptr_nonnull(strstr(r.warnings.v[0], "NetworkPolicy ns/p: sepc: is not a known field"));
	decode_result_done(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decode_policy");
	TCase *tc = tcase_create("decode_policy");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, policy_types_default_from_the_rules);
	tcase_add_test(tc, rules_of_a_direction_not_isolated_are_dropped_and_told);
	tcase_add_test(tc, empty_absent_and_null_have_their_own_meanings);
	tcase_add_test(tc, null_elements_never_open);
	tcase_add_test(tc, what_is_not_understood_never_opens);
	tcase_add_test(tc, ports_are_checked_as_the_api_server_does);
	tcase_add_test(tc, ports_are_read);
	tcase_add_test(tc, ip_blocks_are_read_and_masked);
	tcase_add_test(tc, ip_blocks_are_checked);
	tcase_add_test(tc, selectors_are_read);
	tcase_add_test(tc, selectors_are_checked);
	tcase_add_test(tc, the_fallback_selects_what_the_policy_selects_if_that_is_readable);
	tcase_add_test(tc, an_unknown_field_beside_spec_is_a_warning);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

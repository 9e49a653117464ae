/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

#include "tests/decode_check.h"

START_TEST(an_object_without_usable_names_is_lost)
{
	static const char *const names[] = {
		"", "metadata: null", "metadata: {}", "metadata: {name: ''}", "metadata: {name: A}", "metadata: {name: 7}",
		"metadata: {name: a/b}", "metadata: {name: p, namespace: a.b}", "metadata: {name: p, namespace: ''}",
		"metadata: []", "metadata: {name: p, namespace: 1}", "metadata: {name: \"\\e[31m\\n\"}"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEAN_FREE char *text =
			mem_printf("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n%s\nspec: {ingress: [{}]}\n", names[i]);
		struct decode_result r = decode(text);

		ck_assert_msg(r.lost && r.errors.n == 1 && r.objects.n + r.fallback.n == 0, "%s", names[i]);
		ck_assert_ptr_nonnull(strstr(r.errors.v[0], "NetworkPolicy: metadata"));
		for (const char *p = r.errors.v[0]; *p; p++)
			ck_assert(*p >= 0x20 && *p < 0x7f);
		decode_result_done(&r);
	}
}
END_TEST

START_TEST(what_is_no_object_is_told)
{
	static const char *const texts[] = {"a: b", "- a", "text", "kind: Pod", "apiVersion: v1", "kind: 1\napiVersion: v1",
					    "{apiVersion: v1, kind: List, items: {}}", "{apiVersion: v1, kind: List, items: [null]}"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct decode_result r = decode(texts[i]);

		ck_assert_msg(r.lost && r.errors.n == 1, "%s", texts[i]);
		decode_result_done(&r);
	}
}
END_TEST

START_TEST(other_kinds_are_left_out)
{
	struct decode_result r = decode("{apiVersion: apps/v1, kind: Deployment}\n---\n{apiVersion: v1, kind: ServiceList, items: [1]}\n---\n"
					"{apiVersion: example.com/v1, kind: Pod}\n---\n{apiVersion: v1, kind: List, items: null}\n");

	ck_assert_uint_eq(r.objects.n + r.fallback.n + r.errors.n + r.warnings.n, 0);
	ck_assert(!r.lost);
	decode_result_done(&r);
}
END_TEST

START_TEST(lists_hold_objects_of_any_kind)
{
	struct decode_result r = decode("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
					"- {apiVersion: apps/v1, kind: Deployment}\n"
					"- {apiVersion: v1, kind: Pod, metadata: {name: c}}\n---\n"
					"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nmetadata: {resourceVersion: '1'}\n"
					"items: [{metadata: {name: x}}, {metadata: {name: z}, spec: {ingress: [null]}}]\n");

	ck_assert_uint_eq(r.objects.n, 3);
	ck_assert_int_eq(r.objects.v[0]->kind, KIND_NAMESPACE);
	ck_assert_str_eq(r.objects.v[1]->ns, "default");
	ck_assert_int_eq(r.objects.v[2]->kind, KIND_POLICY);
	ck_assert_uint_eq(r.errors.n, 1);
	ck_assert_str_eq(r.fallback.v[0]->name, "z");
	decode_result_done(&r);
}
END_TEST

START_TEST(namespaces_get_the_implied_label)
{
	struct decode_result r = good("apiVersion: v1\nkind: Namespace\n"
				      "metadata: {name: a, labels: {x: '1', kubernetes.io/metadata.name: kube-system}}\n");
	const struct labels *l = &r.objects.v[0]->namespace.labels;

	ck_assert_ptr_null(r.objects.v[0]->ns);
	ck_assert_str_eq(labels_get(l, "kubernetes.io/metadata.name"), "a");
	ck_assert_str_eq(labels_get(l, "x"), "1");
	decode_result_done(&r);
	r = decode("apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n");
	ck_assert(r.objects.n == 0 && r.errors.n == 1);
	decode_result_done(&r);
}
END_TEST

START_TEST(pods_are_read)
{
	struct decode_result r = good(
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-0\n  uid: 1234-5\n  creationTimestamp: '1970-01-01T00:00:01Z'\n"
		"  labels: {z: w, app: web}\n  annotations: {kubernetes.io/config.hash: h, kubernetes.io/config.mirror: m}\n"
		"  future: {unknown: 1}\n"
		"spec:\n  nodeName: node-1\n  hostNetwork: true\n  future: 1\n  containers:\n"
		"  - {name: a, ports: [{name: http, containerPort: 80}, {containerPort: 81}, {name: dns, containerPort: 53, protocol: UDP}]}\n"
		"  - {name: b}\n  initContainers:\n"
		"  - {ports: [{name: gone, containerPort: 1}]}\n"
		"  - {restartPolicy: Always, ports: [{name: side, containerPort: 2}]}\n"
		"status:\n  phase: Succeeded\n  podIP: 10.0.0.9\n  podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}, {ip: 10.0.0.1}]\n"
		"  startTime: '2024-02-29T12:00:00.5+01:00'\n");
	const struct pod *p = &r.objects.v[0]->pod;

	ck_assert_str_eq(r.objects.v[0]->uid, "1234-5");
	ck_assert_str_eq(p->node, "node-1");
	ck_assert_str_eq(p->static_id, "h");
	ck_assert(p->host_network && p->finished);
	ck_assert_uint_eq(p->addrs.n, 2);
	ck_assert_uint_eq(p->ports.n, 3);
	ck_assert_str_eq(p->ports.v[1].name, "dns");
	ck_assert_uint_eq(p->ports.v[1].protocol, IPPROTO_UDP);
	ck_assert_str_eq(p->ports.v[2].name, "side");
	ck_assert_int_eq(p->started, 1709204400);
	ck_assert_str_eq(labels_get(&p->labels, "app"), "web");
	decode_result_done(&r);
}
END_TEST

START_TEST(a_pod_without_status_is_known_and_has_no_address)
{
	struct decode_result r = good(POD "spec: {hostNetwork: off}\nstatus: {phase: Running, podIP: ''}\n");
	const struct pod *p = &r.objects.v[0]->pod;

	ck_assert(!p->host_network && !p->finished && p->addrs.n == 0 && p->started == 0);
	ck_assert_ptr_null(p->node);
	ck_assert_ptr_null(p->static_id);
	decode_result_done(&r);
	r = good(POD "status: {phase: Failed, podIPs: [], podIP: 10.0.0.1}\n");
	ck_assert(r.objects.v[0]->pod.finished);
	ck_assert_uint_eq(r.objects.v[0]->pod.addrs.n, 1);
	decode_result_done(&r);
}
END_TEST

START_TEST(a_pod_keeps_its_other_data_when_an_address_port_or_time_is_unreadable)
{
	struct decode_result r = decode(POD "spec:\n  containers:\n  - ports: [{name: http, containerPort: 80}, {name: x, containerPort: 0},"
					    " {name: '80', containerPort: 80}, 7]\n"
					    "status:\n  startTime: 2024-02-30T00:00:00Z\n  podIPs:\n  - ip: 10.0.0.300\n  - ip: 127.0.0.1\n"
					    "  - ip: 10.0.0.1\n  - ip: 5\n  - null\n");

	ck_assert_uint_eq(r.objects.n, 1);
	ck_assert_uint_eq(r.objects.v[0]->pod.addrs.n, 1);
	ck_assert_uint_eq(r.objects.v[0]->pod.ports.n, 1);
	ck_assert_int_eq(r.objects.v[0]->pod.started, 0);
	ck_assert_uint_eq(r.errors.n, 8);
	ck_assert(says(r.errors.v, r.errors.n, "line 10: Pod ns/a.b: status.podIPs[0].ip: \"10.0.0.300\" is not an IPv4"));
	ck_assert(says(r.errors.v, r.errors.n, "spec.containers[0].ports[1].containerPort: 0 is not a port"));
	ck_assert(says(r.errors.v, r.errors.n, "status.startTime: \"2024-02-30T00:00:00Z\" is not a time"));
	decode_result_done(&r);
}
END_TEST

START_TEST(a_pod_whose_labels_or_identity_is_unreadable_is_not_used)
{
	static const char *const bad[] = {
		"metadata: {name: a, labels: {quarantine: true}}", "metadata: {name: a, labels: {v: 1}}", "metadata: {name: a, uid: 7}",
		"metadata: {name: a, labels: []}", "metadata: {name: a, labels: {v: null}}",
		"metadata: {name: a}\nspec: {hostNetwork: 'true'}", "metadata: {name: a}\nspec: {nodeName: 1}",
		"metadata: {name: a}\nspec: x", "metadata: {name: a, annotations: {kubernetes.io/config.hash: 1}}"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEAN_FREE char *text = mem_printf("apiVersion: v1\nkind: Pod\n%s\n", bad[i]);
		struct decode_result r = decode(text);

		ck_assert_msg(r.objects.n == 0 && r.errors.n == 1, "%s", bad[i]);
		decode_result_done(&r);
	}
}
END_TEST

START_TEST(times_are_rfc3339)
{
	static const char *const bad[] = {"2024-01-01", "2024-01-01 00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z",
					  "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+0100", "yesterday",
					  "2023-02-29T00:00:00Z", "2023-02-29T00:00:01Z", "2024-01-01T00:00:00Zz"};
	struct decode_result r = good(POD "status: {startTime: 2017-01-01T01:00:00-00:30}\n");

	ck_assert_int_eq(r.objects.v[0]->pod.started, 1483234200);
	decode_result_done(&r);
	r = good(POD "status: {startTime: 2016-12-31T23:59:60Z}\n");
	ck_assert_int_eq(r.objects.v[0]->pod.started, 1483228800);
	decode_result_done(&r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEAN_FREE char *text = mem_printf("%sstatus: {startTime: '%s'}\n", POD, bad[i]);

		r = decode(text);
		ck_assert_msg(r.errors.n == 1 && r.objects.n == 1, "%s", bad[i]);
		decode_result_done(&r);
	}
}
END_TEST

START_TEST(nodes_are_read_and_keep_what_is_readable)
{
	struct decode_result r = decode("apiVersion: v1\nkind: Node\nmetadata: {name: n1.example}\n"
					"spec: {podCIDR: 10.9.0.0/24, podCIDRs: [10.1.0.0/24, 'fd00::/64', x]}\n"
					"status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: Hostname, address: n1},"
					" {type: ExternalIP, address: '2001:db8::1'}, {type: InternalIP, address: bad}]}\n");

	ck_assert_uint_eq(r.objects.n, 1);
	ck_assert_uint_eq(r.objects.v[0]->node.addrs.n, 2);
	ck_assert_uint_eq(r.objects.v[0]->node.pod_cidrs.n, 2);
	ck_assert_uint_eq(r.errors.n, 2);
	ck_assert(says(r.errors.v, r.errors.n, "line 5: Node n1.example: status.addresses[3].address: \"bad\""));
	decode_result_done(&r);
	r = good("apiVersion: v1\nkind: Node\nmetadata: {name: node}\nspec: {podCIDR: 10.9.0.0/24}\n");
	ck_assert_uint_eq(r.objects.v[0]->node.pod_cidrs.n, 1);
	decode_result_done(&r);
}
END_TEST

START_TEST(hostile_objects_cost_little)
{
	size_t n = 200000, len;
	CLEAN_FREE char *text = mem_alloc(n * 20 + 200);
	struct decode_result r;
	clock_t before = clock(); /* processor time: other work on the machine does not count */

	/* keys in falling order, the worst for a sorted array */
	len = (size_t)sprintf(text, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n");
	for (size_t i = n; i-- > 0;)
		len += (size_t)sprintf(text + len, "    k%06zu: v\n", i);
	r = decode(text);
	ck_assert_uint_eq(r.objects.n + r.errors.n + r.fallback.n, 0); /* not known, so closed; and nothing else of its file suffers */
	ck_assert_msg(r.warnings.n == 1 && strstr(r.warnings.v[0], "at most 65536 are read"), "%s", r.warnings.v[0]);
	decode_result_done(&r);

	len = (size_t)sprintf(text, POLICY "spec: {ingress: [");
	for (size_t i = 0; i < 1000; i++) {
		len += (size_t)sprintf(text + len, "{");
		for (size_t k = 0; k < 200; k++)
			len += (size_t)sprintf(text + len, "x%zu: 1,", k);
		len += (size_t)sprintf(text + len, "},");
	}
	sprintf(text + len, "]}\n");
	r = decode(text);
	ck_assert_uint_le(r.errors.n, 16);
	ck_assert_uint_eq(r.fallback.n, 1);
	decode_result_done(&r);
	ck_assert_int_lt((clock() - before) / CLOCKS_PER_SEC, 15);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decode");
	TCase *tc = tcase_create("decode");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_object_without_usable_names_is_lost);
	tcase_add_test(tc, what_is_no_object_is_told);
	tcase_add_test(tc, other_kinds_are_left_out);
	tcase_add_test(tc, lists_hold_objects_of_any_kind);
	tcase_add_test(tc, namespaces_get_the_implied_label);
	tcase_add_test(tc, pods_are_read);
	tcase_add_test(tc, a_pod_without_status_is_known_and_has_no_address);
	tcase_add_test(tc, a_pod_keeps_its_other_data_when_an_address_port_or_time_is_unreadable);
	tcase_add_test(tc, a_pod_whose_labels_or_identity_is_unreadable_is_not_used);
	tcase_add_test(tc, times_are_rfc3339);
	tcase_add_test(tc, nodes_are_read_and_keep_what_is_readable);
	tcase_add_test(tc, hostile_objects_cost_little);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

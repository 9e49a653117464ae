/* SPDX-License-Identifier: Apache-2.0 */
/* The baseline's file: versions, errors, what stays in force; and how its rules come and go in the model. */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moat/podstore.h"
#include "policyd/source/baseline_file.h"
#include "policyd/model/explain.h"
#include "tests/build.h"
#include "tests/rundir.h"

#define BEGIN "apiVersion: moat.cni/v1\nkind: Baseline\n"

static struct cluster *c;
static struct baseline_file file;
static char *directory, *path;

static void write_to(const char *name, const char *text, size_t len)
{
	FILE *f = fopen(name, "we");

	ck_assert(f && fwrite(text, 1, len, f) == len && fclose(f) == 0);
}

static void write_file(const char *text)
{
	write_to(path, text, strlen(text));
}

static void compile(void)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
}

static void set_up(void)
{
	struct attachment *a = build_attachment("c1", "default", "web", "10.0.0.2");

	rundir_make();
	directory = mem_strdup(podstore_dir());
	path = mem_printf("%s/baseline.yaml", directory);
	c = cluster_new();
	cluster_upsert(c, build_namespace("default", "team=red"));
	cluster_upsert(c, build_pod("default", "web", "role=web", NULL, NULL));
	cluster_attach(c, a);
	attachment_free(a);
	baseline_file_init(&file, path);
}

static void tear_down(void)
{
	baseline_file_done(&file);
	cluster_free(c);
	free(path);
	free(directory);
	rundir_remove();
}

static bool allows(enum direction d, const char *peer, uint16_t port)
{
	struct addr addr = build_addr(peer);

	compile();
	return profile_allows(build_local(c, "c1")->profile[d], &addr, IPPROTO_TCP, port);
}

#define ON_PORT(port) BEGIN "rules: [{ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: " #port "}]}]}]\n"

START_TEST(a_version_takes_the_place_of_the_one_before)
{
	write_file(ON_PORT(80));
	ck_assert(baseline_file_read(&file, c));
	ck_assert(allows(INGRESS, "192.0.2.1", 80) && !allows(INGRESS, "192.0.2.1", 81));
	ck_assert(!baseline_file_read(&file, c));
	write_file(ON_PORT(81));
	ck_assert(baseline_file_read(&file, c));
	ck_assert(!allows(INGRESS, "192.0.2.1", 80) && allows(INGRESS, "192.0.2.1", 81));
	write_file(BEGIN);
	ck_assert(baseline_file_read(&file, c));
	ck_assert(!allows(INGRESS, "192.0.2.1", 81));
}
END_TEST

/* As the kubelet writes a ConfigMap: the file is a link through ..data, and that is renamed over. */
START_TEST(a_mounted_config_map_is_followed)
{
	CLEAN_FREE char *one = mem_printf("%s/one", directory), *two = mem_printf("%s/two", directory);
	CLEAN_FREE char *data = mem_printf("%s/..data", directory), *next = mem_printf("%s/..next", directory);

	write_to(one, ON_PORT(80), strlen(ON_PORT(80)));
	write_to(two, ON_PORT(81), strlen(ON_PORT(81)));
	ck_assert(symlink("one", data) == 0 && symlink("..data", path) == 0);
	ck_assert(baseline_file_read(&file, c));
	ck_assert(allows(INGRESS, "192.0.2.1", 80));
	ck_assert(symlink("two", next) == 0 && rename(next, data) == 0);
	ck_assert(baseline_file_read(&file, c));
	ck_assert(allows(INGRESS, "192.0.2.1", 81) && !allows(INGRESS, "192.0.2.1", 80));
}
END_TEST

static void assert_kept(const char *why)
{
	ck_assert_msg(!baseline_file_read(&file, c), "%s", why);
	ck_assert_msg(allows(INGRESS, "192.0.2.1", 80), "%s: not in force any more", why);
	ck_assert_msg(file.errors.n && strstr(file.errors.v[0], why), "expected \"%s\", found \"%s\"", why, file.errors.n ? file.errors.v[0] : "");
	ck_assert(file.in_force);
}

START_TEST(what_is_wrong_leaves_the_last_good_version_in_force)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{"", "0 documents"},
		{BEGIN "---\n" BEGIN, "2 documents"},
		{"rules: [", "broken YAML"},
		{"kind: Baseline\n", "is no baseline"},
		{"apiVersion: moat.cni/v2\nkind: Baseline\n", "is no baseline"},
		{"[]\n", "is a list"},
		{BEGIN "rule: []\n", "rule: is not a known field"},
		{BEGIN "entities: [{name: everyone}]\n", "entities[0]: has no name of an entity"},
		{BEGIN "entities: [{name: dns}, {name: dns}]\n", "entities[1]: is there already"},
		{BEGIN "entities: [{name: nodes, addresses: [192.0.2.1]}]\n", "addresses: is not a known field"},
		{BEGIN "entities: [{name: dns, addresses: [192.0.2.0/24]}]\n", "entities[0].addresses[0]"},
		{BEGIN "entities: [{name: apiserver, port: 443}]\n", "goes with addresses"},
		{BEGIN "entities: [{name: apiserver, addresses: [192.0.2.1], port: 70000}]\n", "entities[0].port"},
		{BEGIN "rules: [{podSelector: {}}]\n", "rules[0]: allows nothing"},
		{BEGIN "rules: [{ingress: [null]}]\n", "rules[0].ingress[0]: is null"},
		{BEGIN "rules: [{ingress: [{form: []}]}]\n", "form: is not a known field"},
		{BEGIN "rules: [{podSelector: {matchLabel: {a: b}}, ingress: [{}]}]\n", "matchLabel: is not a known field"},
		{BEGIN "rules: [{namespaceSelector: {matchLabels: {a: 1}}, ingress: [{}]}]\n", "quote it"},
	};

	write_file(ON_PORT(80));
	ck_assert(baseline_file_read(&file, c));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		write_file(wrong[i].text);
		assert_kept(wrong[i].why);
	}
	unlink(path);
	assert_kept("No such file");
	ck_assert(symlink("/dev/zero", path) == 0);
	assert_kept("not a regular file");
	unlink(path);
	write_file(ON_PORT(80));
	ck_assert(!baseline_file_read(&file, c) && !file.errors.n);
}
END_TEST

START_TEST(a_file_that_is_too_large_is_not_read)
{
	size_t n = BASELINE_BYTES_MAX + 10;
	CLEAN_FREE char *text = mem_zalloc(n);

	memset(text, '\n', n);
	memcpy(text, BEGIN, strlen(BEGIN));
	write_to(path, text, n);
	ck_assert(!baseline_file_read(&file, c));
	ck_assert(file.errors.n == 1 && strstr(file.errors.v[0], "larger than 1048576 bytes"));
	write_to(path, text, n - 10);
	ck_assert(baseline_file_read(&file, c));
}
END_TEST

START_TEST(too_many_rules_and_too_large_ones_are_refused)
{
	static const char rule[] = "- {ingress: [{}]}\n";
	size_t len = strlen(BEGIN "rules:\n"), i;
	char *text = mem_zalloc(len + (BASELINE_RULES_MAX + 1) * strlen(rule) + 1);

	strcpy(text, BEGIN "rules:\n");
	for (i = 0; i < BASELINE_RULES_MAX; i++)
		strcat(text, rule);
	write_file(text);
	ck_assert(baseline_file_read(&file, c));
	strcat(text, rule);
	write_file(text);
	ck_assert(!baseline_file_read(&file, c));
	ck_assert(strstr(file.errors.v[0], "at most 100"));
	free(text);

	text = mem_zalloc(200000);
	strcpy(text, BEGIN "rules: [{ingress: [{ports: [");
	len = strlen(text);
	for (i = 0; i < 1001; i++)
		len += (size_t)sprintf(text + len, "%s{port: %zu}", i ? "," : "", i + 1);
	strcpy(text + len, "]}]}]\n");
	write_file(text);
	ck_assert(!baseline_file_read(&file, c));
	ck_assert(strstr(file.errors.v[0], "1001 ports"));
	free(text);
}
END_TEST

/* The labels of a Namespace change: rules that are about it come and go. */
START_TEST(rules_follow_the_labels_of_namespaces)
{
	write_file(BEGIN "rules: [{namespaceSelector: {matchLabels: {team: blue}}, ingress: [{}]}]\n");
	ck_assert(baseline_file_read(&file, c));
	ck_assert(!allows(INGRESS, "192.0.2.1", 80));
	cluster_upsert(c, build_namespace("default", "team=blue"));
	ck_assert(allows(INGRESS, "192.0.2.1", 80));
	cluster_upsert(c, build_namespace("default", "team=red"));
	ck_assert(!allows(INGRESS, "192.0.2.1", 80));
	cluster_upsert(c, build_namespace("default", "team=blue"));
	cluster_delete(c, KIND_NAMESPACE, NULL, "default");
	ck_assert(!allows(INGRESS, "192.0.2.1", 80));
}
END_TEST

static struct object *node(const char *name, const char *addr)
{
	struct object *o = object_new(KIND_NODE, NULL, name);

	VEC_PUSH(&o->node.addrs, build_addr(addr));
	return o;
}

/* A node that comes is a member more; the definition stays. */
START_TEST(nodes_come_and_go_without_another_profile)
{
	char name[DEFINITION_NAME_MAX];

	write_file(BEGIN "entities: [{name: nodes}]\n");
	ck_assert(baseline_file_read(&file, c));
	cluster_upsert(c, node("n1", "192.0.2.1"));
	ck_assert(allows(INGRESS, "192.0.2.1", 80) && !allows(INGRESS, "192.0.2.2", 80));
	strcpy(name, build_local(c, "c1")->profile[INGRESS]->name);
	cluster_upsert(c, node("n2", "192.0.2.2"));
	cluster_upsert(c, node("n3", "192.0.2.2"));
	ck_assert(allows(INGRESS, "192.0.2.2", 80));
	cluster_delete(c, KIND_NODE, NULL, "n2");
	ck_assert(allows(INGRESS, "192.0.2.2", 80)); /* the other has it too */
	cluster_delete(c, KIND_NODE, NULL, "n3");
	ck_assert(!allows(INGRESS, "192.0.2.2", 80));
	cluster_upsert(c, node("n1", "192.0.2.9"));
	ck_assert(allows(INGRESS, "192.0.2.9", 80) && !allows(INGRESS, "192.0.2.1", 80));
	ck_assert_str_eq(name, build_local(c, "c1")->profile[INGRESS]->name);
}
END_TEST

static void slice(const char *name, const char *addr, uint16_t port)
{
	struct object *o = object_new(KIND_ENDPOINTS, ENDPOINTS_NAMESPACE, name);

	VEC_PUSH(&o->endpoints.addrs, build_addr(addr));
	VEC_PUSH(&o->endpoints.ports, port);
	cluster_upsert(c, o);
}

START_TEST(the_api_server_is_followed_where_it_goes)
{
	write_file(BEGIN "entities: [{name: apiserver}]\n");
	ck_assert(baseline_file_read(&file, c));
	ck_assert(cluster_lacks_apiserver(c));
	slice("kubernetes", "192.0.2.1", 6443);
	ck_assert(!cluster_lacks_apiserver(c));
	ck_assert(allows(EGRESS, "192.0.2.1", 6443) && !allows(EGRESS, "192.0.2.1", 443));
	slice("kubernetes", "192.0.2.2", 6443);
	ck_assert(allows(EGRESS, "192.0.2.2", 6443) && !allows(EGRESS, "192.0.2.1", 6443));
	slice("other", "192.0.2.3", 443);
	ck_assert(allows(EGRESS, "192.0.2.2", 6443) && allows(EGRESS, "192.0.2.3", 443));
	cluster_delete(c, KIND_ENDPOINTS, ENDPOINTS_NAMESPACE, "kubernetes");
	ck_assert(!allows(EGRESS, "192.0.2.2", 6443) && allows(EGRESS, "192.0.2.3", 443));
}
END_TEST

static char *explained(const char *from, const char *to, uint16_t port)
{
	struct explain_query query = {.protocol = IPPROTO_TCP, .port = port};
	struct explain_result result;
	char *text;

	query.source.addr = build_addr(from);
	query.destination.addr = build_addr(to);
	explain(c, &query, &result);
	text = explain_text(&result);
	explain_result_done(&result);
	return text;
}

START_TEST(the_baseline_that_is_shipped_is_good)
{
	const char *shipped = getenv("MOAT_BASELINE") ? getenv("MOAT_BASELINE") : "deploy/base/baseline.yaml";

	free(file.path);
	file.path = mem_strdup(shipped);
	ck_assert_msg(baseline_file_read(&file, c), "%s: run from the top of the source, or set MOAT_BASELINE: %s", shipped,
		      file.errors.n ? file.errors.v[0] : "not read");
	ck_assert(!file.warnings.n);
	slice("kubernetes", "192.0.2.1", 6443);
	cluster_upsert(c, node("n1", "192.0.2.1"));
	ck_assert(allows(EGRESS, "192.0.2.1", 6443) && !allows(EGRESS, "192.0.2.1", 53) && allows(INGRESS, "192.0.2.1", 9443));
}
END_TEST

START_TEST(explain_names_the_baseline)
{
	CLEAN_FREE char *before = NULL, *rule = NULL, *remote = NULL;

	compile();
	before = explained("192.0.2.1", "10.0.0.2", 80);
	ck_assert(strstr(before, "no policy selects it for ingress; mode strict denies"));
	write_file(BEGIN "entities: [{name: nodes}]\nrules: [{ingress: [{ports: [{port: 1}]}, {from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}]\n");
	ck_assert(baseline_file_read(&file, c));
	compile();
	rule = explained("192.0.2.1", "10.0.0.2", 80);
	ck_assert_msg(strstr(rule, "allowed by the baseline (rules[0]), ingress[1]; no policy selects it for that direction"), "%s", rule);
	/* of a pod elsewhere too: its node has the same baseline */
	cluster_upsert(c, build_namespace("far", NULL));
	cluster_upsert(c, build_pod("far", "db", NULL, "10.9.0.1", NULL));
	compile();
	remote = explained("192.0.2.1", "10.9.0.1", 80);
	ck_assert_msg(strstr(remote, "allowed by the baseline (rules[0])"), "%s", remote);
}
END_TEST

static void set_mode(enum mode mode)
{
	cluster_set_network_mode(c, "net", mode, DENY_DROP);
	compile();
}

/* It allows, and decides nothing else. */
START_TEST(unselected_pods_stay_unselected)
{
	struct local_pod *pod;

	write_file(ON_PORT(80));
	ck_assert(baseline_file_read(&file, c));
	compile();
	pod = build_local(c, "c1");
	ck_assert(!pod->selected[INGRESS] && pod->profile[INGRESS]->end == END_DROP && profile_is_empty(pod->profile[EGRESS]));
	set_mode(MODE_PREVIEW);
	ck_assert(!pod->selected[INGRESS] && pod->profile[INGRESS]->end == END_OBSERVE && allows(INGRESS, "192.0.2.1", 80));
	set_mode(MODE_STANDARD);
	ck_assert(pod->profile[INGRESS]->open);
	cluster_set_incomplete(c, true);
	set_mode(MODE_STRICT);
	set_mode(MODE_STANDARD); /* not opened while not everything was read */
	ck_assert(!pod->profile[INGRESS]->open && allows(INGRESS, "192.0.2.1", 80) && !allows(INGRESS, "192.0.2.1", 81));
}
END_TEST

/* Another UID: that pod is closed, the baseline too. */
START_TEST(a_pod_that_is_not_confirmed_has_none_of_it)
{
	write_file(ON_PORT(80));
	ck_assert(baseline_file_read(&file, c));
	cluster_delete(c, KIND_POD, "default", "web");
	ck_assert(!allows(INGRESS, "192.0.2.1", 80));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("baseline");
	Suite *s = suite_create("baseline");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_version_takes_the_place_of_the_one_before);
	tcase_add_test(t, a_mounted_config_map_is_followed);
	tcase_add_test(t, what_is_wrong_leaves_the_last_good_version_in_force);
	tcase_add_test(t, a_file_that_is_too_large_is_not_read);
	tcase_add_test(t, too_many_rules_and_too_large_ones_are_refused);
	tcase_add_test(t, rules_follow_the_labels_of_namespaces);
	tcase_add_test(t, nodes_come_and_go_without_another_profile);
	tcase_add_test(t, the_api_server_is_followed_where_it_goes);
	tcase_add_test(t, the_baseline_that_is_shipped_is_good);
	tcase_add_test(t, explain_names_the_baseline);
	tcase_add_test(t, unselected_pods_stay_unselected);
	tcase_add_test(t, a_pod_that_is_not_confirmed_has_none_of_it);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

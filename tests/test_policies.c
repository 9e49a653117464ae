/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy cases as data: tests/policies/NN-name/{in.yaml,baseline.yaml,expected}, without a baseline in most. Every pod of in.yaml with spec.nodeName "node" is attached
 * here with its status' addresses, in strict mode; others are peers elsewhere. Lines of expected:
 *
 *	allow <from> -> <to> <protocol>[/<port>]    from, to: namespace/pod or an address; every end that is attached here
 *	deny  <from> -> <to> <protocol>[/<port>]    is asked, and all pairs of addresses of one family must agree
 *	errors <n>                                  documents that are refused (0 without); their closed readings count
 *	# a comment
 *
 * What explain says of the ends that are attached here must be the same.
 */
#include <check.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policyd/decode/decode.h"
#include "policyd/model/explain.h"
#include "policyd/decode/decode_baseline.h"
#include "tests/build.h"

#define CASES_MIN 60

static char *read_file(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	char *text = mem_zalloc(1 << 16);

	ck_assert_msg(f != NULL, "%s is missing", path);
	*ret_len = fread(text, 1, (1 << 16) - 1, f);
	fclose(f);
	return text;
}

/* A pod of the case. */
struct known {
	char *name; /* "namespace/pod" */
	struct addr addrs[8];
	size_t n_addrs;
	struct local_pod *local; /* NULL: elsewhere */
};

static struct {
	const char *path;
	struct cluster *cluster;
	VEC(struct known) pods;
} now;

static void attach(const struct object *o)
{
	CLEAN_FREE char *container = mem_printf("%s-%s", o->ns, o->name);
	struct attachment *a = build_attachment(container, o->ns, o->name, NULL);

	for (size_t i = 0; i < o->pod.addrs.n; i++)
		a->addrs[a->n_addrs++] = o->pod.addrs.v[i];
	a->pod_uid = mem_strdup(o->uid);
	cluster_attach(now.cluster, a);
	attachment_free(a);
}

static void know(const struct object *o)
{
	struct known pod = {.name = mem_printf("%s/%s", o->ns, o->name)};

	for (size_t i = 0; i < o->pod.addrs.n && i < ARRAY_SIZE(pod.addrs); i++)
		pod.addrs[pod.n_addrs++] = o->pod.addrs.v[i];
	VEC_PUSH(&now.pods, pod);
	if (o->pod.node && !strcmp(o->pod.node, "node") && !o->pod.host_network)
		attach(o);
}

static void take(struct object **objects, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct object *o = TAKE_PTR(objects[i]);

		if (o->kind == KIND_POD)
			know(o);
		cluster_upsert(now.cluster, o);
	}
}

/* Returns how many errors there were. */
static size_t load(const char *path)
{
	struct decode_result result = {0};
	struct doc_list docs = {0};
	struct local_pod_list changed;
	struct err err = {0};
	size_t len, errors;
	CLEAN_FREE char *text = read_file(path, &len);

	ck_assert_msg(doc_parse(text, len, &docs, &err) == 0, "%s: %s", path, err.text);
	for (size_t i = 0; i < docs.n; i++)
		decode_document(docs.v[i], &result);
	take(result.objects.v, result.objects.n);
	take(result.fallback.v, result.fallback.n);
	errors = result.errors.n;
	for (size_t i = 0; i < errors && getenv("MOAT_POLICIES_VERBOSE"); i++)
		fprintf(stderr, "%s: %s\n", path, result.errors.v[i]);
	decode_result_done(&result);
	doc_list_done(&docs);
	cluster_compile(now.cluster, &changed);
	free(changed.v);
	for (size_t i = 0; i < now.pods.n; i++) {
		CLEAN_FREE char *container = mem_strdup(now.pods.v[i].name);

		*strchr(container, '/') = '-';
		now.pods.v[i].local = build_local(now.cluster, container);
	}
	return errors;
}

/* "namespace/pod" of the case, or an address. */
static struct known resolve(const char *text)
{
	struct known address = {.n_addrs = 1};

	for (size_t i = 0; i < now.pods.n; i++)
		if (!strcmp(now.pods.v[i].name, text))
			return now.pods.v[i];
	ck_assert_msg(addr_parse(text, &address.addrs[0], NULL) == 0, "%s: neither a pod of the case nor an address: %s",
		      now.path, text);
	return address;
}

static struct explain_party party_of(const struct known *k, const struct addr *addr, char ns[256])
{
	struct explain_party p = {.addr = *addr};

	if (!k->name)
		return p;
	snprintf(ns, 256, "%s", k->name);
	*strchr(ns, '/') = '\0';
	p.ns = ns;
	p.name = strchr(k->name, '/') + 1;
	return p;
}

static void check_pair(const char *line, bool allow, const struct known *from, const struct known *to,
		       const struct addr *source, const struct addr *destination, uint8_t protocol, uint16_t port)
{
	bool out = !from->local || profile_allows(from->local->profile[EGRESS], destination, protocol, port);
	bool in = !to->local || profile_allows(to->local->profile[INGRESS], source, protocol, port);
	char ns[2][256];
	struct explain_query query = {.source = party_of(from, source, ns[0]),
				      .destination = party_of(to, destination, ns[1]),
				      .protocol = protocol,
				      .port = port};
	struct explain_result result;

	ck_assert_msg((out && in) == allow, "%s: %s: egress %d ingress %d", now.path, line, out, in);
	explain(now.cluster, &query, &result);
	/* explain also judges ends elsewhere, by their own policies */
	ck_assert_msg((!from->local || (result.source.verdict != EXPLAIN_DENIED) == out) &&
			      (!to->local || (result.destination.verdict != EXPLAIN_DENIED) == in),
		      "%s: %s: explain says: %s; %s", now.path, line, result.source.reason, result.destination.reason);
	explain_result_done(&result);
}

static void parse_traffic(const char *text, uint8_t *ret_protocol, uint16_t *ret_port)
{
	const char *slash = strchr(text, '/');

	*ret_port = slash ? (uint16_t)atoi(slash + 1) : 0;
	*ret_protocol = !strncmp(text, "tcp", 3)    ? IPPROTO_TCP :
			!strncmp(text, "udp", 3)    ? IPPROTO_UDP :
			!strncmp(text, "sctp", 4)   ? IPPROTO_SCTP :
			!strncmp(text, "icmpv6", 6) ? IPPROTO_ICMPV6 :
						      IPPROTO_ICMP;
}

static void check_line(const char *line)
{
	char verdict[8], source[128], destination[128], traffic[32];
	struct known from, to;
	uint8_t protocol;
	uint16_t port;
	int pairs = 0;

	ck_assert_msg(sscanf(line, "%7s %127s -> %127s %31s", verdict, source, destination, traffic) == 4, "%s: not understood: %s",
		      now.path, line);
	ck_assert_msg(!strcmp(verdict, "allow") || !strcmp(verdict, "deny"), "%s: %s", now.path, line);
	from = resolve(source);
	to = resolve(destination);
	parse_traffic(traffic, &protocol, &port);
	ck_assert_msg(from.local || to.local, "%s: no end is attached here: %s", now.path, line);
	for (size_t i = 0; i < from.n_addrs; i++) {
		for (size_t j = 0; j < to.n_addrs; j++) {
			if (from.addrs[i].family != to.addrs[j].family)
				continue;
			check_pair(line, *verdict == 'a', &from, &to, &from.addrs[i], &to.addrs[j], protocol, port);
			pairs++;
		}
	}
	ck_assert_msg(pairs > 0, "%s: no addresses of one family: %s", now.path, line);
}

static void check_expected(const char *path, size_t errors)
{
	size_t len, wanted = 0;
	CLEAN_FREE char *text = read_file(path, &len);
	int lines = 0;
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == '#')
			continue;
		if (sscanf(line, "errors %zu", &wanted) == 1)
			continue;
		check_line(line);
		lines++;
	}
	ck_assert_msg(lines > 0, "%s expects nothing", path);
	ck_assert_msg(errors == wanted, "%s: %zu errors", now.path, errors);
}

/* Returns how many errors there were: then none is in force. */
static size_t load_baseline(const char *path)
{
	struct decode_result result = {0};
	struct doc_list docs = {0};
	struct local_pod_list changed;
	struct err err = {0};
	size_t len, errors;
	CLEAN_FREE char *text = NULL;
	struct baseline *b;

	if (access(path, F_OK) < 0)
		return 0;
	text = read_file(path, &len);
	ck_assert_msg(doc_parse(text, len, &docs, &err) == 0 && docs.n == 1, "%s: %s", path, err.text);
	b = decode_baseline(docs.v[0], &result);
	errors = result.errors.n;
	ck_assert_msg(!b == (errors > 0), "%s: %zu errors", path, errors);
	for (size_t i = 0; i < errors && getenv("MOAT_POLICIES_VERBOSE"); i++)
		fprintf(stderr, "%s: %s\n", path, result.errors.v[i]);
	decode_result_done(&result);
	doc_list_done(&docs);
	cluster_set_baseline(now.cluster, b);
	cluster_compile(now.cluster, &changed);
	free(changed.v);
	return errors;
}

static void run_case(const char *folder, const char *name)
{
	CLEAN_FREE char *in = mem_printf("%s/%s/in.yaml", folder, name);
	CLEAN_FREE char *baseline = mem_printf("%s/%s/baseline.yaml", folder, name);
	CLEAN_FREE char *expected = mem_printf("%s/%s/expected", folder, name);

	size_t errors;

	now.path = in;
	now.cluster = cluster_new();
	errors = load(in);
	check_expected(expected, errors + load_baseline(baseline));
	for (size_t i = 0; i < now.pods.n; i++)
		free(now.pods.v[i].name);
	VEC_DONE(&now.pods);
	cluster_free(now.cluster);
}

static int not_hidden(const struct dirent *entry)
{
	return *entry->d_name != '.';
}

START_TEST(cases_come_out_as_expected)
{
	const char *folder = getenv("MOAT_POLICIES") ? getenv("MOAT_POLICIES") : "tests/policies";
	struct dirent **names;
	int n = scandir(folder, &names, not_hidden, alphasort);

	ck_assert_msg(n >= CASES_MIN, "%s: %d cases; run from the top of the source, or set MOAT_POLICIES", folder, n);
	for (int i = 0; i < n; i++) {
		run_case(folder, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	printf("policies: %d cases\n", n);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("policies");
	Suite *s = suite_create("policies");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, cases_come_out_as_expected);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/cluster.h"

#include <stdio.h>
#include <string.h>

#include "moat/pod.h"
#include "moat/podstore.h"

#define ALONE CLUSTER_PODS /* number of the pod in a file of its own */

static void die(const char *what)
{
	fprintf(stderr, "bench policy: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Pod i is in namespace i % 100, has app (i / 100) % 10 and 10.64.0.0/10 to itself; i < 100 are the local ones. */
static char *pod_addr(unsigned i)
{
	return mem_printf("10.%u.%u.%u", 64 + i / 62500, i / 250 % 250, 1 + i % 250);
}

static void print_pod(FILE *f, unsigned i, unsigned app)
{
	CLEAN_FREE char *addr = pod_addr(i);

	fprintf(f,
		"- apiVersion: v1\n"
		"  kind: Pod\n"
		"  metadata:\n"
		"    name: p%u\n"
		"    namespace: ns%u\n"
		"    uid: uid-%u\n"
		"    labels:\n"
		"      app: a%u\n"
		"      pod-template-hash: \"7d9f8c%u\"\n"
		"      tier: t%u\n"
		"  spec:\n"
		"    nodeName: node%u\n"
		"    containers:\n"
		"    - name: main\n"
		"      image: registry.example/app:1\n"
		"      ports: [ { name: web, containerPort: 8080 } ]\n"
		"  status:\n"
		"    phase: Running\n"
		"    podIPs: [ { ip: %s } ]\n"
		"    startTime: \"2026-01-01T00:00:00Z\"\n",
		i, i % CLUSTER_SPACES, i, app, i % 7, i % 3, i < CLUSTER_LOCALS ? 0 : 1 + i % 99, addr);
}

static unsigned app_of(unsigned i)
{
	return i / CLUSTER_SPACES % 10;
}

static FILE *begin_list(char **ret)
{
	static size_t size;
	FILE *f = open_memstream(ret, &size);

	if (!f)
		die("memory");
	fputs("apiVersion: v1\nkind: List\nitems:\n", f);
	return f;
}

char *cluster_pods(unsigned file, unsigned changed_pod, unsigned app)
{
	unsigned first = file * CLUSTER_PODS_PER_FILE;
	char *text = NULL;
	FILE *f = begin_list(&text);

	for (unsigned i = first; i < first + CLUSTER_PODS_PER_FILE; i++)
		print_pod(f, i, i == changed_pod ? app : app_of(i));
	fclose(f);
	return text;
}

char *cluster_pod_alone(unsigned app)
{
	char *text = NULL;
	FILE *f = begin_list(&text);

	print_pod(f, ALONE, app);
	fclose(f);
	return text;
}

char *cluster_policy(unsigned i, unsigned port, unsigned peer_app)
{
	return mem_printf("apiVersion: networking.k8s.io/v1\n"
			  "kind: NetworkPolicy\n"
			  "metadata:\n"
			  "  name: policy%u\n"
			  "  namespace: ns%u\n"
			  "spec:\n"
			  "  podSelector:\n"
			  "    matchLabels: { app: a0 }\n"
			  "  policyTypes: [ Ingress ]\n"
			  "  ingress:\n"
			  "  - from:\n"
			  "    - podSelector: { matchLabels: { app: a%u } }\n"
			  "%s"
			  "    ports: [ { port: %u } ]\n",
			  i, i % CLUSTER_SPACES, peer_app,
			  i / CLUSTER_SPACES ? "" : "    - namespaceSelector: { matchLabels: { team: t1 } }\n", port);
}

char *cluster_block_policy(const char *name, unsigned space, const char *block, unsigned port)
{
	return mem_printf("apiVersion: networking.k8s.io/v1\n"
			  "kind: NetworkPolicy\n"
			  "metadata: { name: %s, namespace: ns%u }\n"
			  "spec:\n"
			  "  podSelector: { matchLabels: { app: a0 } }\n"
			  "  policyTypes: [ Ingress ]\n"
			  "  ingress: [ { from: [ { ipBlock: { cidr: %s } } ], ports: [ { port: %u } ] } ]\n",
			  name, space, block, port);
}

static char *namespaces(void)
{
	char *text = NULL;
	FILE *f = begin_list(&text);

	for (unsigned i = 0; i < CLUSTER_SPACES; i++)
		fprintf(f, "- { apiVersion: v1, kind: Namespace, metadata: { name: ns%u, labels: { team: t%u } } }\n", i, i % 10);
	fclose(f);
	return text;
}

void cluster_write_beside(const char *directory, const char *name, const char *text)
{
	CLEAN_FREE char *path = mem_printf("%s/.%s.tmp", directory, name);
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		die(path);
}

void cluster_rename_in(const char *directory, const char *name)
{
	CLEAN_FREE char *from = mem_printf("%s/.%s.tmp", directory, name), *to = mem_printf("%s/%s.yaml", directory, name);

	if (rename(from, to) < 0)
		die(to);
}

void cluster_put(const char *directory, const char *name, const char *text)
{
	cluster_write_beside(directory, name, text);
	cluster_rename_in(directory, name);
}

void cluster_write(const char *directory)
{
	CLEAN_FREE char *spaces = namespaces(), *alone = cluster_pod_alone(7);

	cluster_put(directory, "namespaces", spaces);
	cluster_put(directory, "alone", alone);
	for (unsigned i = 0; i < CLUSTER_PODS / CLUSTER_PODS_PER_FILE; i++) {
		CLEAN_FREE char *name = mem_printf("pods%02u", i), *text = cluster_pods(i, CLUSTER_PODS, 0);

		cluster_put(directory, name, text);
	}
	for (unsigned i = 0; i < CLUSTER_POLICIES; i++) {
		CLEAN_FREE char *name = mem_printf("policy%03u", i);
		CLEAN_FREE char *text = cluster_policy(i, 8000 + i / CLUSTER_SPACES, 1 + i / CLUSTER_SPACES % 9);

		cluster_put(directory, name, text);
	}
}

void cluster_local(unsigned i, struct attachment *ret)
{
	CLEAN_FREE char *addr = pod_addr(i);
	struct attachment a = {.network = mem_strdup("bench"), .ifname = mem_strdup("eth0"), .mode = MODE_STRICT};

	a.container_id = mem_printf("c%u", i);
	a.pod_namespace = mem_printf("ns%u", i % CLUSTER_SPACES);
	a.pod_name = mem_printf("p%u", i);
	a.pod_uid = mem_printf("uid-%u", i);
	snprintf(a.port, sizeof(a.port), "bench%u", i);
	a.port_index = 1000 + i;
	a.created = 1000000 + i;
	a.n_addrs = 1;
	addr_parse(addr, &a.addrs[0], NULL);
	*ret = a;
}

static void attach_local(unsigned i, struct err *err)
{
	struct attachment a;

	cluster_local(i, &a);
	if (podstore_put(&a, err) < 0 || pod_close(&a, NULL, 0, err) < 0) {
		fprintf(stderr, "bench policy: %s\n", err->text);
		exit(1);
	}
	attachment_done(&a);
}

void cluster_attach_locals(void)
{
	struct err err;

	if (podstore_init(&err) < 0) {
		fprintf(stderr, "bench policy: %s\n", err.text);
		exit(1);
	}
	for (unsigned i = 0; i < CLUSTER_LOCALS; i++)
		attach_local(i, &err);
}

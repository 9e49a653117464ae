/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/node.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cluster.h"
#include "moat/nl.h"
#include "moat/pod.h"
#include "moat/podstore.h"

#define PODS_PER_FILE 1000

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench packet: %s: %s\n", what, why);
	exit(1);
}

static void sh(char *command)
{
	if (system(command) != 0)
		die(command, "failed");
	free(command);
}

void node_enter(int netns)
{
	if (setns(netns, CLONE_NEWNET) < 0)
		die("enter a network namespace", strerror(errno));
}

static int open_netns(const char *node, const char *pod)
{
	CLEAN_FREE char *path = mem_printf("/run/netns/%s%s", node, pod);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path, strerror(errno));
	return fd;
}

/* What a routed primary makes of a pod. */
static void connect_pod(const char *node, const char *pod, const char *port, unsigned number)
{
	sh(mem_printf("n=%s p=%s q=%s i=%u; set -e\n"
		      "ip netns add $p; ip -n $p link set lo up\n"
		      "ip -n $n link add $q type veth peer name eth0 netns $p\n"
		      "ip -n $n addr add 10.9.0.1/32 dev $q; ip -n $n addr add fd00:9::1/128 dev $q nodad; ip -n $n link set $q up\n"
		      "ip -n $p addr add 10.9.0.$i/32 dev eth0; ip -n $p addr add fd00:9::$i/128 dev eth0 nodad\n"
		      "ip -n $p link set eth0 up\n"
		      "ip -n $p route add 10.9.0.1 dev eth0; ip -n $p route add default via 10.9.0.1\n"
		      "ip -n $p route add fd00:9::1 dev eth0; ip -n $p route add default via fd00:9::1\n"
		      "ip -n $n route add 10.9.0.$i dev $q; ip -n $n route add fd00:9::$i dev $q\n",
		      node, pod, port, number));
}

/* ---- the cluster, as manifests ---- */

static void print_pod(FILE *f, const char *name, const char *labels, const char *ip4, const char *ip6)
{
	fprintf(f,
		"- apiVersion: v1\n"
		"  kind: Pod\n"
		"  metadata: { name: %s, namespace: s0, uid: %s, labels: { %s } }\n"
		"  spec: { nodeName: node, containers: [ { name: main, image: i } ] }\n"
		"  status: { phase: Running, podIPs: [ { ip: %s }, { ip: \"%s\" } ] }\n",
		name, name, labels, ip4, ip6);
}

/* The client is in the last one; every second /25 and /64 of a larger block, so that each is an interval of its own. */
static void print_blocks(FILE *f, unsigned blocks)
{
	for (unsigned i = 1; i < blocks; i++)
		fprintf(f, "    - from: [ { ipBlock: { cidr: 10.%u.%u.0/25 } }, { ipBlock: { cidr: \"fd00:64:0:%x::/64\" } } ]\n",
			64 + i / 256, i % 256, 2 * i);
	fprintf(f, "    - from: [ { ipBlock: { cidr: 10.9.0.2/32 } }, { ipBlock: { cidr: \"fd00:9::2/128\" } } ]\n");
}

/* Every second port, so that each is an interval of its own. */
static void print_policy(FILE *f, const struct node *n, unsigned i)
{
	fprintf(f,
		"- apiVersion: networking.k8s.io/v1\n"
		"  kind: NetworkPolicy\n"
		"  metadata: { name: p%u, namespace: s0 }\n"
		"  spec:\n"
		"    podSelector: { matchLabels: { app: server } }\n"
		"    policyTypes: [ Ingress ]\n"
		"    ingress:\n",
		i);
	if (n->blocks)
		print_blocks(f, n->blocks);
	else
		fprintf(f,
			"    - from: [ { podSelector: { matchLabels: { app: peer } } } ]\n"
			"      ports: [ { protocol: UDP, port: %u } ]\n",
			NODE_PORT + 2 * i);
}

static void print_egress(FILE *f)
{
	fprintf(f,
		"- apiVersion: networking.k8s.io/v1\n"
		"  kind: NetworkPolicy\n"
		"  metadata: { name: egress, namespace: s0 }\n"
		"  spec:\n"
		"    podSelector: { matchLabels: { app: peer } }\n"
		"    policyTypes: [ Egress ]\n"
		"    egress:\n"
		"    - to: [ { podSelector: { matchLabels: { app: server } } } ]\n"
		"      ports: [ { protocol: UDP, port: %u } ]\n",
		NODE_PORT);
}

static void put_list(const char *directory, const char *name, FILE *f, char **text)
{
	fclose(f);
	cluster_put(directory, name, *text);
	free(*text);
}

static FILE *begin_list(char **text)
{
	static size_t size;
	FILE *f = open_memstream(text, &size);

	if (!f)
		die("memory", strerror(errno));
	fputs("apiVersion: v1\nkind: List\nitems:\n", f);
	return f;
}

static void write_peers(const struct node *n, const char *directory)
{
	for (unsigned first = 1; first < n->peers; first += PODS_PER_FILE) {
		CLEAN_FREE char *name = mem_printf("peers%u", first);
		char *text;
		FILE *f = begin_list(&text);

		for (unsigned i = first; i < n->peers && i < first + PODS_PER_FILE; i++) {
			CLEAN_FREE char *pod = mem_printf("peer%u", i);
			CLEAN_FREE char *ip4 = mem_printf("10.%u.%u.%u", 64 + i / 62500, i / 250 % 250, 1 + i % 250);
			CLEAN_FREE char *ip6 = mem_printf("fd00:64::%x", i);

			print_pod(f, pod, "app: peer", ip4, ip6);
		}
		put_list(directory, name, f, &text);
	}
}

static void write_cluster(const struct node *n, const char *directory)
{
	char *text;
	FILE *f = begin_list(&text);

	fprintf(f, "- { apiVersion: v1, kind: Namespace, metadata: { name: s0 } }\n");
	print_pod(f, "client", "app: peer", "10.9.0.2", "fd00:9::2");
	print_pod(f, "server", "app: server", "10.9.0.3", "fd00:9::3");
	print_egress(f);
	for (unsigned i = 0; i + 1 < n->policies; i++)
		print_policy(f, n, i);
	put_list(directory, "cluster", f, &text);
	write_peers(n, directory);
}

/* ---- moat ---- */

static void attach(const char *name, const char *port, const char *ip4, const char *ip6, unsigned number)
{
	struct attachment a = {.network = mem_strdup("bench"), .ifname = mem_strdup("eth0"), .mode = MODE_STRICT, .n_addrs = 2};
	struct err err;

	a.container_id = mem_strdup(name);
	a.pod_namespace = mem_strdup("s0");
	a.pod_name = mem_strdup(name);
	a.pod_uid = mem_strdup(name);
	snprintf(a.port, sizeof(a.port), "%s", port);
	a.port_index = 1000 + number;
	a.created = 1000000 + number;
	if (addr_parse(ip4, &a.addrs[0], &err) < 0 || addr_parse(ip6, &a.addrs[1], &err) < 0 || podstore_put(&a, &err) < 0 ||
	    pod_close(&a, NULL, 0, &err) < 0)
		die(name, err.text);
	attachment_done(&a);
}

/* As ADD leaves them. */
static void attach_all(const struct node *n)
{
	struct err err;

	if (podstore_init(&err) < 0)
		die("pod store", err.text);
	attach("client", "pc", "10.9.0.2", "fd00:9::2", 0);
	attach("server", "ps", "10.9.0.3", "fd00:9::3", 1);
	for (unsigned i = 2; i < n->pods; i++) {
		CLEAN_FREE char *name = mem_printf("closed%u", i), *port = mem_printf("port%u", i);
		CLEAN_FREE char *ip4 = mem_printf("10.8.%u.%u", i / 250, 1 + i % 250), *ip6 = mem_printf("fd00:8::%x", i);

		attach(name, port, ip4, ip6, i);
	}
}

/* In the child that becomes the daemon. */
static void guard(const struct node *n, const char *build)
{
	CLEAN_FREE char *directory = mem_printf("/run/%s", n->name), *manifests = mem_printf("/run/%s/manifests", n->name);
	CLEAN_FREE char *store = mem_printf("/run/%s/moat", n->name), *log = mem_printf("/run/%s/log", n->name);
	CLEAN_FREE char *program = mem_printf("%s/moat-policyd", build);
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive a bench that fails */
	node_enter(n->netns);
	sh(mem_printf("mkdir -p %s", manifests));
	setenv("MOAT_RUN_DIR", store, 1);
	write_cluster(n, manifests);
	attach_all(n);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	execl(program, program, "run", "--manifests", manifests, NULL);
	_exit(127);
}

void node_make(struct node *n, const char *build)
{
	CLEAN_FREE char *client = mem_printf("%sc", n->name), *server = mem_printf("%ss", n->name);

	sh(mem_printf("ip netns add %s && ip -n %s link set lo up", n->name, n->name));
	connect_pod(n->name, client, "pc", 2);
	connect_pod(n->name, server, "ps", 3);
	sh(mem_printf("nsenter --net=/run/netns/%s sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; "
		      "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'", n->name));
	n->netns = open_netns(n->name, "");
	n->client = open_netns(n->name, "c");
	n->server = open_netns(n->name, "s");
	if (n->guard == NODE_CONNTRACK)
		sh(mem_printf("nsenter --net=/run/netns/%s nft 'table inet conntrack { chain forward { "
			      "type filter hook forward priority 0; ct state established accept; }; }'", n->name));
	if (n->guard == NODE_MOAT && (n->daemon = fork()) == 0)
		guard(n, build);
}

void node_flush_conntrack(const struct node *n)
{
	char scratch[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct nfgenmsg *nfg;
	struct nl nl;

	node_enter(n->netns);
	if (nl_open(&nl, NETLINK_NETFILTER, NULL) < 0)
		die("netlink", strerror(errno));
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE; /* without a tuple: all */
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nl_request(&nl, nlh, NULL, NULL);
	nl_close(&nl);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a forwarded packet costs, and that it costs the same whatever the number of pods, peers and policies: small UDP packets from a
 * pod to its neighbour. A send returns when the packet is with its receiver, since the kernel forwards between veths within it, so
 * its time is the packet's: the sender's part is the same everywhere. Short batches, node by node in turn, so that whatever
 * else the machine does meets all of them.
 *
 *	packet BATCHES BUILD
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/node.h"
#include "bench/sample.h"

#define BATCH 250      /* packets; some 0.3 ms, and so many flows are new at a time */
#define WARM_UP 5      /* batches that do not count */
#define READY_MS 60000 /* until the daemon has let the flow through */
#define GOAL 1.1       /* large beside small: constant */

enum { V4, V6, FAMILIES };
enum { ESTABLISHED, FRESH, KINDS }; /* packets of one flow that was answered; the first packets of flows */

struct flows {
	int sender[FAMILIES][BATCH], receiver[FAMILIES];
	struct sample ns[FAMILIES][KINDS];
};

static void die(const char *node, const char *what)
{
	fprintf(stderr, "bench packet: %s: %s\n", node, what);
	exit(1);
}

static socklen_t server_address(int family, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (void *)ret;
	struct sockaddr_in6 *in6 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (family == V4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(NODE_PORT);
		inet_pton(AF_INET, "10.9.0.3", &in->sin_addr);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(NODE_PORT);
	inet_pton(AF_INET6, "fd00:9::3", &in6->sin6_addr);
	return sizeof(*in6);
}

/* The receiver's small buffer fills and what comes then is dropped at its door: nobody has to read. */
static void open_flows(const struct node *n, struct flows *f, int family)
{
	int domain = family == V4 ? AF_INET : AF_INET6, small = 1;
	struct sockaddr_storage to;
	socklen_t len = server_address(family, &to);

	node_enter(n->server);
	f->receiver[family] = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(f->receiver[family], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(f->receiver[family], (struct sockaddr *)&to, len) < 0)
		die(n->name, "cannot bind");
	node_enter(n->client);
	for (size_t i = 0; i < BATCH; i++) {
		f->sender[family][i] = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (connect(f->sender[family][i], (struct sockaddr *)&to, len) < 0)
			die(n->name, "cannot connect; is the limit of open files too low?");
	}
}

/* One packet there and one back: until the server answers, the flow is not open, or not established. */
static bool answer(struct flows *f, int family)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char byte = 0;

	while (recv(f->receiver[family], &byte, 1, 0) >= 0)
		; /* of batches before */
	if (send(f->sender[family][0], &byte, 1, 0) < 0 ||
	    recvfrom(f->receiver[family], &byte, 1, 0, (struct sockaddr *)&from, &len) < 0)
		return false;
	sendto(f->receiver[family], &byte, 1, 0, (struct sockaddr *)&from, len);
	return recv(f->sender[family][0], &byte, 1, MSG_DONTWAIT) == 1;
}

static void wait_ready(const struct node *n, struct flows *f)
{
	double limit = sample_now_ms() + READY_MS;

	for (int family = V4; family < FAMILIES; family++) {
		while (!answer(f, family)) {
			if (sample_now_ms() > limit)
				die(n->name, "the flow is not allowed; the log of the daemon is below /run");
			usleep(5000);
		}
	}
}

static double nanoseconds(const int sender[BATCH], size_t step)
{
	double began = sample_now_ms();
	char byte = 0;

	for (size_t i = 0; i < BATCH; i++)
		if (send(sender[i * step], &byte, 1, 0) < 0)
			die("sender", strerror(errno));
	return (sample_now_ms() - began) * 1e6 / BATCH;
}

static void one_batch(const struct node *n, struct flows *f, unsigned batch)
{
	node_flush_conntrack(n);
	for (int family = V4; family < FAMILIES; family++) {
		double ns[KINDS];

		ns[FRESH] = nanoseconds(f->sender[family], 1);
		if (!answer(f, family))
			die(n->name, "the flow is no longer allowed");
		ns[ESTABLISHED] = nanoseconds(f->sender[family], 0);
		for (int kind = 0; batch >= WARM_UP && kind < KINDS; kind++)
			sample_add(&f->ns[family][kind], ns[kind]);
	}
}

static uint64_t received(const struct node *n)
{
	unsigned long long packets = 0;
	char line[256];
	FILE *f;

	node_enter(n->server);
	f = fopen("/proc/thread-self/net/dev", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " eth0: %*u %llu", &packets) == 1)
			break;
	if (f)
		fclose(f);
	return packets;
}

/* The lower decile: a batch that nobody interrupted. */
static double cost(struct flows *f, int family, int kind)
{
	return sample_quantile(&f->ns[family][kind], 0.1);
}

enum { BARE, CONNTRACK, SMALL, LARGE }; /* nodes; all from LARGE on are beside SMALL */

static void tell(const struct node *nodes, struct flows *flows, size_t n_nodes, int family, int kind)
{
	static const char *const text[FAMILIES][KINDS] = {{"IPv4, established", "IPv4, new flow"},
							  {"IPv6, established", "IPv6, new flow"}};
	double bare = cost(&flows[BARE], family, kind), small = cost(&flows[SMALL], family, kind);

	for (size_t i = 0; i < n_nodes; i++) {
		double ns = cost(&flows[i], family, kind), beside = i == BARE ? 1 : i < LARGE ? bare : small;
		CLEAN_FREE char *row = mem_printf("%s: %s%s", text[family][kind], nodes[i].text,
						  i == BARE ? "" : i < LARGE ? " / bare" : " / small");

		sample_tell(row, i == BARE ? "ns" : "", ns / beside, i < LARGE ? 0 : GOAL);
	}
}

int main(int argc, char **argv)
{
	static struct node nodes[] = {
		[BARE] = {.name = "bare", .text = "a bare node", .guard = NODE_BARE},
		[CONNTRACK] = {.name = "conntrack", .text = "conntrack alone", .guard = NODE_CONNTRACK},
		[SMALL] = {.name = "small", .text = "moat", .guard = NODE_MOAT, .pods = 2, .peers = 10, .policies = 2},
		[LARGE] = {.name = "pods", .text = "1,000 pods", .guard = NODE_MOAT, .pods = 1000, .peers = 10, .policies = 2},
		{.name = "peers", .text = "50,000 peers", .guard = NODE_MOAT, .pods = 2, .peers = 50000, .policies = 2},
		{.name = "blocks", .text = "10,000 blocks", .guard = NODE_MOAT, .pods = 2, .peers = 10, .policies = 2, .blocks = 10000},
		{.name = "policies", .text = "1,000 policies", .guard = NODE_MOAT, .pods = 2, .peers = 10, .policies = 1000},
	};
	static struct flows flows[ARRAY_SIZE(nodes)];
	struct rlimit files;
	unsigned batches = argc == 3 ? (unsigned)atoi(argv[1]) + WARM_UP : 0;
	uint64_t before[ARRAY_SIZE(nodes)];

	if (!batches)
		return 2;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		node_make(&nodes[i], argv[2]);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		for (int family = V4; family < FAMILIES; family++)
			open_flows(&nodes[i], &flows[i], family);
		wait_ready(&nodes[i], &flows[i]);
		before[i] = received(&nodes[i]);
	}
	for (unsigned batch = 0; batch < batches; batch++)
		for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
			one_batch(&nodes[i], &flows[i], batch);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		if (received(&nodes[i]) - before[i] < (uint64_t)batches * BATCH * FAMILIES * KINDS)
			die(nodes[i].name, "packets were lost, so the figures mean nothing");
	printf("A forwarded UDP packet, %u batches of %d; small is 2 pods, 10 peers, 2 policies:\n", batches - WARM_UP, BATCH);
	for (int kind = 0; kind < KINDS; kind++)
		for (int family = V4; family < FAMILIES; family++)
			tell(nodes, flows, ARRAY_SIZE(nodes), family, kind);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		if (!nodes[i].daemon)
			continue;
		kill(nodes[i].daemon, SIGTERM);
		waitpid(nodes[i].daemon, NULL, 0);
	}
	return 0;
}

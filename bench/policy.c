/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a manifest to the kernel: one file is renamed into the daemon's directory, and the kernel itself says when the
 * change stands, by the notification that ends the transaction (NFT_MSG_NEWGEN) in which a pod's chain got a new rule, or a
 * group's set a new member. bench/run makes the namespaces.
 *
 *	policy BUILD
 */
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bare.h"
#include "bench/cluster.h"
#include "bench/sample.h"
#include "moat/podstore.h"

#define MANIFESTS "/run/manifests"
#define CHANGES 400
#define LIST_CHANGES 50
#define WAIT_MS 5000
#define GOAL_MS 5 /* p99; design: policy to kernel */

struct bench {
	int events; /* subscribed to NFNLGRP_NFTABLES */
	pid_t daemon;
};

/* What to wait for: a message of this type about a name that starts so, and then the end of its transaction. */
struct wanted {
	int type;
	const char *start[2];
	bool seen, done;
};

static void die(const char *what)
{
	fprintf(stderr, "bench policy: %s\n", what);
	exit(1);
}

static int subscribe(void)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER), group = NFNLGRP_NFTABLES, bytes = 16 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		die("subscribe to nftables events");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

/* NFTA_RULE_CHAIN, or NFTA_SET_ELEM_LIST_SET. */
static const char *name_of(const struct nlmsghdr *nlh, int type)
{
	int wanted = type == NFT_MSG_NEWRULE ? NFTA_RULE_CHAIN : NFTA_SET_ELEM_LIST_SET;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == wanted)
			return mnl_attr_get_str(attr);
	return "";
}

static int on_event(const struct nlmsghdr *nlh, void *arg)
{
	struct wanted *w = arg;
	int type = nlh->nlmsg_type & 0xff;

	if (type == NFT_MSG_NEWGEN) {
		w->done |= w->seen;
	} else if (type == w->type) {
		const char *name = name_of(nlh, type);

		for (size_t i = 0; i < ARRAY_SIZE(w->start); i++)
			w->seen |= !strncmp(name, w->start[i], strlen(w->start[i]));
	}
	return MNL_CB_OK;
}

static void read_events(int fd, struct wanted *w, int flags)
{
	static char buf[65536];
	ssize_t got = recv(fd, buf, sizeof(buf), flags);

	if (got > 0)
		mnl_cb_run(buf, (size_t)got, 0, 0, on_event, w);
}

static void drain(int fd)
{
	struct wanted nothing = {.type = -1, .start = {"", ""}};
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (poll(&p, 1, 0) > 0)
		read_events(fd, &nothing, MSG_DONTWAIT);
}

/* Renames the file in and returns the milliseconds until the wanted change stands. */
static double change(struct bench *b, const char *file, const char *text, struct wanted w)
{
	struct pollfd p = {.fd = b->events, .events = POLLIN};
	double began;

	cluster_write_beside(MANIFESTS, file, text);
	drain(b->events);
	began = sample_now_ms();
	cluster_rename_in(MANIFESTS, file);
	while (!w.done) {
		if (poll(&p, 1, WAIT_MS) <= 0)
			die(file);
		read_events(b->events, &w, MSG_DONTWAIT);
	}
	return sample_now_ms() - began;
}

static void tell_quantiles(struct sample *s, double goal)
{
	static const struct {
		const char *name;
		double q;
	} rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEAN_FREE char *name = mem_printf("%s, %s", s->name, rows[i].name);

		sample_tell(name, "ms", sample_quantile(s, rows[i].q), i == 2 ? goal : 0);
	}
	VEC_DONE(&s->ms);
}

/* Pauses of uneven length, so that changes meet the daemon's timers in every phase: 20 to 60 ms. */
static void pause_before(unsigned round)
{
	usleep(20000 + round * 7919 % 40 * 1000);
}

static unsigned policy_of(unsigned round)
{
	return round * 37 % CLUSTER_POLICIES;
}

/* Ports and peers by turns; each is a policy of another namespace. */
static void change_policies(struct bench *b)
{
	const struct wanted w = {.type = NFT_MSG_NEWRULE, .start = {"i-", "i-"}};
	struct sample s = {.name = "policy to kernel"};

	for (unsigned i = 0; i < CHANGES; i++) {
		unsigned policy = policy_of(i);
		CLEAN_FREE char *name = mem_printf("policy%03u", policy);
		unsigned app = 1 + policy / CLUSTER_SPACES % 9;
		CLEAN_FREE char *text = i % 2 ? cluster_policy(policy, 8000 + policy / CLUSTER_SPACES, 1 + (app + i % 8) % 9) :
						cluster_policy(policy, 9000 + i, app);

		pause_before(i);
		sample_add(&s, change(b, name, text, w));
	}
	tell_quantiles(&s, GOAL_MS);
}

/* The same changes as no more than what they ask of the kernel: ten pods, and a thousand of other namespaces for the first hundred policies. */
static void change_barely(void)
{
	struct sample s = {.name = "its commits alone, without a daemon"};

	for (unsigned i = 0; i < CHANGES; i++) {
		unsigned policy = policy_of(i);

		pause_before(i);
		sample_add(&s, bare_change(i, i % CLUSTER_LOCALS, policy < CLUSTER_SPACES ? 1010 : 10));
	}
	tell_quantiles(&s, 0);
}

static void change_pods(struct bench *b)
{
	const struct wanted w = {.type = NFT_MSG_NEWSETELEM, .start = {"a4-", "a6-"}};
	struct sample alone = {.name = "a pod's label to kernel"}, list = {.name = "the same in a List of 500 pods"};

	for (unsigned i = 0; i < CHANGES; i++) {
		CLEAN_FREE char *text = cluster_pod_alone(i % 2 ? 7 : 2);

		pause_before(i);
		sample_add(&alone, change(b, "alone", text, w));
	}
	tell_quantiles(&alone, GOAL_MS);
	for (unsigned i = 0; i < LIST_CHANGES; i++) { /* these pods have app=a0 or a5 */
		unsigned file = 2 + i % 10;
		CLEAN_FREE char *name = mem_printf("pods%02u", file);
		CLEAN_FREE char *text = cluster_pods(file, file * CLUSTER_PODS_PER_FILE + 10 + i, 1 + i % 4);

		pause_before(i);
		sample_add(&list, change(b, name, text, w));
	}
	tell_quantiles(&list, 0);
}

static bool connect_daemon(int fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/policyd.sock", podstore_dir());
	return connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0;
}

/* The daemon answers when its loop turns, which it does after the first reading and reconciliation. */
static void wait_synced(void)
{
	static const char request[] = "{\"op\":\"status\"}\n";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	double limit = sample_now_ms() + 60000;
	char byte;

	while (!connect_daemon(fd)) {
		if (sample_now_ms() > limit)
			die("the daemon does not listen; its log is /run/policyd.log");
		usleep(1000);
	}
	if (send(fd, request, strlen(request), 0) < 0 || recv(fd, &byte, 1, 0) != 1)
		die("the daemon does not answer");
	close(fd);
}

static void start_daemon(struct bench *b, const char *build)
{
	CLEAN_FREE char *program = mem_printf("%s/moat-policyd", build);
	double began = sample_now_ms();

	b->daemon = fork();
	if (b->daemon == 0) {
		int log = open("/run/policyd.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive a bench that fails */
		dup2(log, 1);
		dup2(log, 2);
		execl(program, program, "run", "--manifests", MANIFESTS, NULL);
		_exit(127);
	}
	wait_synced();
	sample_tell("start to synced and in the kernel", "ms", sample_now_ms() - began, 0);
}

static void tell_memory(const struct bench *b)
{
	CLEAN_FREE char *path = mem_printf("/proc/%d/status", (int)b->daemon);
	FILE *f = fopen(path, "r");
	char line[256];
	double kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lf", &kib) == 1)
			break;
	if (f)
		fclose(f);
	sample_tell("daemon's resident memory", "MiB", kib / 1024, 0);
}

int main(int argc, char **argv)
{
	struct bench b;
	int status;

	if (argc != 2)
		return 2;
	mkdir(MANIFESTS, 0755);
	cluster_write(MANIFESTS);
	cluster_attach_locals();
	printf("Policy to kernel at %u policies, %u pods (%u of them here):\n", CLUSTER_POLICIES, CLUSTER_PODS, CLUSTER_LOCALS);
	start_daemon(&b, argv[1]);
	b.events = subscribe();
	change_pods(&b); /* first: each namespace still has a group for each app */
	change_policies(&b);
	tell_memory(&b);
	kill(b.daemon, SIGTERM);
	waitpid(b.daemon, &status, 0);
	change_barely();
	return 0;
}

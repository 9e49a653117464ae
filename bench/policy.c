/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a manifest to the kernel (change.h), and what changes and revocation cost beside many tracked connections (crowd.h).
 * bench/run makes the namespaces.
 *
 *	policy BUILD
 */
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
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
#include "bench/change.h"
#include "bench/cluster.h"
#include "bench/crowd.h"
#include "bench/sample.h"
#include "moat/podstore.h"

#define MANIFESTS "/run/manifests"
#define CHANGES 400
#define LIST_CHANGES 50
#define GOAL_MS 5 /* p99; design: policy to kernel */

struct bench {
	struct change_events events;
	pid_t daemon;
};

static void die(const char *what)
{
	fprintf(stderr, "bench policy: %s\n", what);
	exit(1);
}

static double change(struct bench *b, const char *file, const char *text, struct change_wanted w)
{
	return change_take(&b->events, MANIFESTS, file, text, w);
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
	const struct change_wanted w = {.type = NFT_MSG_NEWRULE, .start = {"i-", "i-"}};
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
	const struct change_wanted w = {.type = NFT_MSG_NEWSETELEM, .start = {"a4-", "a6-"}};
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
	change_subscribe(&b.events);
	change_pods(&b); /* first: each namespace still has a group for each app */
	change_policies(&b);
	crowd_measure(&b.events, MANIFESTS);
	tell_memory(&b);
	kill(b.daemon, SIGTERM);
	waitpid(b.daemon, &status, 0);
	change_barely();
	return 0;
}

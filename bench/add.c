/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD and DEL of the plugin beside their floor and the reference plugin `firewall`: each round makes a pod's link anew and
 * runs all of them in turn, so that whatever else the machine does meets all of them. Times are from posix_spawn to the
 * end of the process; standard input is a file, as big as a runtime's. bench/run makes the namespaces: this one is the
 * node, /run/netns/pod the pod.
 *
 *	add ROUNDS BUILD FIREWALL-PLUGIN|""
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/sample.h"

#define PORT "bench0"
#define ADDR4 "10.9.0.2"
#define ADDR6 "fd00:9::2"
#define WARM_UP 5  /* rounds that fill caches and do not count */
#define SETTLE_MS 40 /* the kernel destroys what a batch deleted 10–20 ms later, and who closes a socket meanwhile waits for it */

struct bench {
	unsigned rounds;
	char *exit, *floor, *moat, *firewall; /* programs; firewall NULL: none */
	char *moat_input, *firewall_input;    /* files */
	char id[32];                          /* CNI_CONTAINERID=… of this round */
	struct sample exit_time, floor_time, add, add_behind, del, firewall_add, firewall_del;
};

static void die(const char *what)
{
	fprintf(stderr, "bench add: %s\n", what);
	exit(1);
}

static void pause_ms(unsigned ms)
{
	usleep(ms * 1000);
}

/* Runs argv to its end, which must be a success, and returns how long that took. */
static double run(char *const argv[], char *const env[], const char *input)
{
	posix_spawn_file_actions_t files;
	double began;
	pid_t pid;
	int status;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, input ? input : "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/run/bench.out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	began = sample_now_ms();
	if (posix_spawn(&pid, argv[0], &files, NULL, argv, env) != 0)
		die(argv[0]);
	if (waitpid(pid, &status, 0) != pid)
		die("wait");
	began = sample_now_ms() - began;
	posix_spawn_file_actions_destroy(&files);
	if (status != 0) {
		fprintf(stderr, "bench add: %s %s: status %#x: ", argv[0], argv[1] ? argv[1] : env[0], status);
		fflush(stderr);
		if (system("cat /run/bench.out >&2"))
			die("cat");
		exit(1);
	}
	return began;
}

static void sh(const char *command)
{
	if (system(command) != 0)
		die(command);
}

static double plugin(struct bench *b, char *program, const char *input, char *command)
{
	char *argv[] = {program, NULL};
	char *env[] = {command,
		       b->id,
		       "CNI_NETNS=/run/netns/pod",
		       "CNI_IFNAME=eth0",
		       "CNI_PATH=/nowhere",
		       "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench;K8S_POD_UID=uid",
		       "PATH=/usr/sbin:/usr/bin:/sbin:/bin", /* firewall executes iptables */
		       NULL};

	return run(argv, env, input);
}

static double floor_run(struct bench *b, char *verb)
{
	char *argv[] = {b->floor, verb, PORT, ADDR4, ADDR6, NULL}, *env[] = {NULL};

	return run(argv, env, NULL);
}

static void link_up(void)
{
	sh("ip link add " PORT " type veth peer name eth0 netns pod && ip link set " PORT " up && "
	   "nsenter --net=/run/netns/pod sh -c 'ip addr add " ADDR4 "/24 dev eth0 && ip addr add " ADDR6
	   "/64 dev eth0 nodad && ip link set eth0 up'");
}

/* What the daemon does when the link goes; without one any later verb does it. Not timed. */
static void link_down(struct bench *b)
{
	sh("ip link del " PORT);
	snprintf(b->id, sizeof(b->id), "CNI_CONTAINERID=nobody");
	plugin(b, b->moat, b->moat_input, "CNI_COMMAND=DEL");
}

static void keep(struct sample *s, unsigned round, double ms)
{
	if (round >= WARM_UP)
		sample_add(s, ms);
}

/*
 * The floor's batch is a stranger's to moat's record of the last proof: the ADD behind it proves the static rules whole. The next
 * one finds nobody's commit but moat's own.
 */
static void one_round(struct bench *b, unsigned round)
{
	char *argv[] = {b->exit, NULL}, *env[] = {NULL};

	link_up();
	snprintf(b->id, sizeof(b->id), "CNI_CONTAINERID=a%u", round);
	pause_ms(SETTLE_MS);
	keep(&b->exit_time, round, run(argv, env, NULL));
	pause_ms(SETTLE_MS); /* before each: who runs right behind another finds the processor awake and its caches warm */
	keep(&b->floor_time, round, floor_run(b, "put"));
	floor_run(b, "undo");
	pause_ms(SETTLE_MS);
	keep(&b->add_behind, round, plugin(b, b->moat, b->moat_input, "CNI_COMMAND=ADD"));
	plugin(b, b->moat, b->moat_input, "CNI_COMMAND=DEL");
	link_down(b);

	link_up();
	snprintf(b->id, sizeof(b->id), "CNI_CONTAINERID=b%u", round);
	pause_ms(SETTLE_MS);
	keep(&b->add, round, plugin(b, b->moat, b->moat_input, "CNI_COMMAND=ADD"));
	if (b->firewall) {
		pause_ms(SETTLE_MS);
		keep(&b->firewall_add, round, plugin(b, b->firewall, b->firewall_input, "CNI_COMMAND=ADD"));
		pause_ms(SETTLE_MS);
		keep(&b->firewall_del, round, plugin(b, b->firewall, b->firewall_input, "CNI_COMMAND=DEL"));
	}
	pause_ms(SETTLE_MS);
	keep(&b->del, round, plugin(b, b->moat, b->moat_input, "CNI_COMMAND=DEL"));
	link_down(b);
}

/* Writes the static part, which stands from then on. */
static void first_add(struct bench *b)
{
	link_up();
	snprintf(b->id, sizeof(b->id), "CNI_CONTAINERID=first");
	plugin(b, b->moat, b->moat_input, "CNI_COMMAND=ADD");
	plugin(b, b->moat, b->moat_input, "CNI_COMMAND=DEL");
	link_down(b);
}

static char *write_input(const char *path, const char *type, const char *version, const char *members)
{
	FILE *f = fopen(path, "w");

	if (!f)
		die(path);
	fprintf(f,
		"{\"cniVersion\":\"%s\",\"name\":\"bench\",\"type\":\"%s\"%s,\"prevResult\":{\"cniVersion\":\"%s\","
		"\"interfaces\":[{\"name\":\"" PORT "\",\"mac\":\"0a:58:0a:09:00:01\"},"
		"{\"name\":\"eth0\",\"mac\":\"0a:58:0a:09:00:02\",\"sandbox\":\"/run/netns/pod\"}],"
		"\"ips\":[{\"interface\":1,\"address\":\"" ADDR4 "/24\",\"gateway\":\"10.9.0.1\"},"
		"{\"interface\":1,\"address\":\"" ADDR6 "/64\",\"gateway\":\"fd00:9::1\"}],"
		"\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"::/0\"}],\"dns\":{}}}\n",
		version, type, members, version);
	fclose(f);
	return mem_strdup(path);
}

static void tell(struct bench *b)
{
	double nothing = sample_quantile(&b->exit_time, 0.5), base = sample_quantile(&b->floor_time, 0.5);
	double add = sample_quantile(&b->add, 0.5), behind = sample_quantile(&b->add_behind, 0.5);
	double del = sample_quantile(&b->del, 0.5);

	printf("ADD and DEL, medians of %u rounds, two addresses (IPv4, IPv6):\n", b->rounds);
	sample_tell("exit: a process that only ends", "ms", nothing, 0);
	sample_tell("floor: a process that sends ADD's batch", "ms", base, 0);
	sample_tell("moat ADD", "ms", add, 0);
	sample_tell("moat ADD behind a stranger's commit", "ms", behind, 0);
	sample_tell("moat DEL", "ms", del, 0);
	sample_tell("moat ADD / floor", "", add / base, 1.5);
	sample_tell("moat ADD behind a stranger's commit / floor", "", behind / base, 1.5);
	sample_tell("moat DEL / floor", "", del / base, 0);
	if (!b->firewall)
		return;
	sample_tell("firewall ADD", "ms", sample_quantile(&b->firewall_add, 0.5), 0);
	sample_tell("firewall DEL", "ms", sample_quantile(&b->firewall_del, 0.5), 0);
	sample_tell("moat ADD / firewall ADD", "", add / sample_quantile(&b->firewall_add, 0.5), 0);
	sample_tell("moat DEL / firewall DEL", "", del / sample_quantile(&b->firewall_del, 0.5), 0);
}

int main(int argc, char **argv)
{
	struct bench b = {0};

	if (argc != 4)
		return 2;
	b.rounds = (unsigned)atoi(argv[1]);
	b.exit = mem_printf("%s/bench/exit", argv[2]);
	b.floor = mem_printf("%s/bench/floor", argv[2]);
	b.moat = mem_printf("%s/moat", argv[2]);
	b.firewall = *argv[3] ? argv[3] : NULL;
	b.moat_input = write_input("/run/moat.json", "moat", "1.1.0", "");
	b.firewall_input = write_input("/run/firewall.json", "firewall", "1.0.0", ",\"backend\":\"iptables\"");
	first_add(&b);
	for (unsigned i = 0; i < WARM_UP + b.rounds; i++)
		one_round(&b, i);
	tell(&b);
	return 0;
}

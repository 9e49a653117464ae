/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod's neighbour on the same bridge costs: one TCP connection over a bridge that switches, one over a bridge whose ports moat
 * guards (or that only routes), in turns of some milliseconds, so that what others want of the machine meets both alike.
 *
 *	switching SENDER RECEIVER ADDRESS  SENDER RECEIVER ADDRESS  TURNS NAME      network namespaces; first the switched pair
 *
 * NAME is the second pair's; only `guarded` has a goal.
 *
 * Two ratios. Throughput is what a user sees, and noisy where others are at work. The processor time of sender and receiver per byte is
 * steady: nearly all of a packet's way runs in the sender's system call.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/sample.h"

#define TURN_MS 50
#define WARM_TURNS 2
#define CHUNK (128 * 1024)
#define PORT 5201
#define GOAL (1 / 0.9) /* of the switched rate */

/* What the receiver, a process of its own, tells. */
struct received {
	volatile uint64_t bytes[2];
	volatile double cpu_ms;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void enter(const char *netns)
{
	CLEAN_FREE char *path = mem_printf("/run/netns/%s", netns);
	CLEAN_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(path);
}

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static socklen_t address_of(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(PORT);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
		die(text);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(PORT);
	return sizeof(*six);
}

static void connect_pair(char **names, int *ret_send, int *ret_receive)
{
	static const int on = 1;
	struct sockaddr_storage address;
	socklen_t len = address_of(names[2], &address);
	int listener;

	enter(names[1]);
	listener = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 1) < 0)
		die(names[1]);
	enter(names[0]);
	*ret_send = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(*ret_send, (struct sockaddr *)&address, len) < 0)
		die(names[0]);
	*ret_receive = accept(listener, NULL, NULL);
	close(listener);
}

static void receive(const int fds[2], struct received *r)
{
	struct pollfd polled[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
	static char buf[CHUNK];

	for (;;) {
		poll(polled, 2, -1);
		for (int i = 0; i < 2; i++) {
			ssize_t got = polled[i].revents ? recv(fds[i], buf, sizeof(buf), MSG_DONTWAIT) : -1;

			if (got == 0)
				_exit(0);
			if (got > 0)
				r->bytes[i] += (uint64_t)got;
		}
		r->cpu_ms = cpu_ms();
	}
}

struct turn {
	double rate, cost; /* bytes a millisecond; processor nanoseconds a byte */
};

static struct turn take_turn(int fd, int which, const struct received *r)
{
	static const char buf[CHUNK];
	uint64_t before = r->bytes[which];
	double began = sample_now_ms(), cpu = cpu_ms() + r->cpu_ms, bytes;

	while (sample_now_ms() < began + TURN_MS)
		if (send(fd, buf, sizeof(buf), 0) < 0)
			die("send");
	bytes = (double)(r->bytes[which] - before);
	return (struct turn){bytes / (sample_now_ms() - began), bytes > 0 ? (cpu_ms() + r->cpu_ms - cpu) * 1e6 / bytes : 0};
}

static void measure(const int fds[2], const struct received *r, int turns, const char *address, const char *name)
{
	struct sample rate = {.name = "rate"}, cost = {.name = "cost"};
	const char *family = strchr(address, ':') ? "IPv6" : "IPv4";
	CLEAN_FREE char *first = mem_printf("bridge cost per byte, %s, %s / switched", family, name);
	CLEAN_FREE char *second = mem_printf("bridge throughput, %s, %s / switched", family, name);
	double total[2] = {0};

	for (int i = -WARM_TURNS; i < turns; i++) {
		struct turn taken[2];

		for (int k = 0; k < 2; k++) {
			int which = i & 1 ? 1 - k : k; /* who comes first changes */

			taken[which] = take_turn(fds[which], which, r);
			poll(NULL, 0, 3); /* what is still on its way */
		}
		if (i < 0 || !(taken[0].rate > 0) || !(taken[1].rate > 0))
			continue;
		sample_add(&rate, taken[1].rate / taken[0].rate);
		sample_add(&cost, taken[1].cost / taken[0].cost);
		for (int k = 0; k < 2; k++)
			total[k] += taken[k].rate;
	}
	printf("  %s: %.1f Gbit/s switched, %.1f Gbit/s %s\n", family, total[0] / (double)rate.ms.n * 8e-6,
	       total[1] / (double)rate.ms.n * 8e-6, name);
	sample_tell(first, "x", sample_quantile(&cost, 0.5), strcmp(name, "guarded") == 0 ? GOAL : 0);
	sample_tell(second, "x", sample_quantile(&rate, 0.5), 0);
	VEC_DONE(&rate.ms);
	VEC_DONE(&cost.ms);
}

int main(int argc, char **argv)
{
	struct received *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int sending[2], receiving[2];
	pid_t receiver;

	if (argc != 9 || r == MAP_FAILED) {
		fprintf(stderr, "switching SENDER RECEIVER ADDRESS SENDER RECEIVER ADDRESS TURNS NAME\n");
		return 2;
	}
	for (int i = 0; i < 2; i++)
		connect_pair(argv + 1 + 3 * i, &sending[i], &receiving[i]);
	receiver = fork();
	if (receiver == 0) {
		close(sending[0]);
		close(sending[1]);
		receive(receiving, r);
	}
	close(receiving[0]);
	close(receiving[1]);
	measure(sending, r, atoi(argv[7]), argv[6], argv[8]);
	kill(receiver, SIGKILL);
	waitpid(receiver, NULL, 0);
	return 0;
}

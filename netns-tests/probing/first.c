/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first: the prober inside a pod from its first instant. It starts in the pod's namespace before any plugin ran, asks every
 * target over UDP and TCP every 2 ms, and counts what comes back: an echo, a handshake, and a reset or an ICMP error too,
 * since those show just as well that a packet went out and something returned. On SIGTERM: `attempts N answers M`, where an
 * attempt is a packet that really left a socket (there is no route before ADD).
 *
 * A chained plugin comes after its primary, so for some milliseconds of ADD there is a network and no moat; no process of a real
 * pod runs then, this one does. SIGUSR1 says "ADD has returned": it forgets all attempts and counts from zero. Then the first answer to a
 * datagram is told too, with the time since: `after N us`. (A handshake may be that of a packet that was sent again.)
 *
 * The story that uses it must have seen it count answers on an open pod.
 */
#include "netns-tests/probing/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TARGETS_MAX = 16, OPEN_MAX = 256, PERIOD_US = 2000 };

static struct pollfd waiting[OPEN_MAX]; /* a ring: an attempt has 256 successors' time to be answered */
static size_t next_slot;
static unsigned long attempts, answers;
static uint64_t added_us; /* 0: not yet, or its first answer was told */
static volatile sig_atomic_t added;

static void on_added(int signal)
{
	(void)signal;
	added = 1;
}

static void forget(struct pollfd *p)
{
	if (p->fd > 0)
		close(p->fd);
	p->fd = -1;
}

static void attempt(const struct endpoint *to, int type)
{
	struct pollfd *slot = &waiting[next_slot];
	const struct linger reset = { .l_onoff = 1 }; /* no TIME_WAIT: source ports must not run out */
	int fd = socket(to->any.sa_family, type | SOCK_NONBLOCK, 0);
	bool sent;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	sent = !connect(fd, &to->any, to->len) || errno == EINPROGRESS;
	if (sent && type == SOCK_DGRAM)
		sent = send(fd, "first", 5, 0) == 5;
	if (!sent) {
		close(fd);
		return;
	}
	attempts++;
	forget(slot);
	*slot = (struct pollfd){ .fd = fd, .events = type == SOCK_DGRAM ? POLLIN : POLLOUT };
	next_slot = (next_slot + 1) % OPEN_MAX;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

static void tell_first(const struct pollfd *p)
{
	if (!added_us || p->events != POLLIN)
		return;
	printf("after %llu us\n", (unsigned long long)(now_us() - added_us));
	fflush(stdout);
	added_us = 0;
}

static void collect(int timeout_ms)
{
	if (poll(waiting, OPEN_MAX, timeout_ms) <= 0)
		return;
	for (size_t i = 0; i < OPEN_MAX; i++) {
		int error = 0;
		socklen_t len = sizeof(error);

		if (waiting[i].fd < 0 || !waiting[i].revents)
			continue;
		getsockopt(waiting[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
		/* Timeouts and "nobody answers neighbour discovery" are the sender's own kernel, not an answer. */
		if (error != ETIMEDOUT && error != EHOSTUNREACH && error != ENETUNREACH) {
			answers++;
			tell_first(&waiting[i]);
		}
		forget(&waiting[i]);
	}
}

static void start_over(void)
{
	for (size_t i = 0; i < OPEN_MAX; i++)
		forget(&waiting[i]);
	attempts = answers = 0;
	added = 0;
	added_us = now_us();
	puts("added");
	fflush(stdout);
}

int probe_first(int argc, char **argv)
{
	struct endpoint targets[TARGETS_MAX];
	int n = (argc - 1) / 2;

	if (argc < 3 || argc % 2 == 0 || n > TARGETS_MAX)
		probe_usage("first ADDR PORT [ADDR PORT]..., at most %d targets", TARGETS_MAX);
	for (int i = 0; i < n; i++)
		targets[i] = probe_endpoint(argv[1 + 2 * i], argv[2 + 2 * i]);
	for (size_t i = 0; i < OPEN_MAX; i++)
		waiting[i].fd = -1;
	probe_stop_on_signal();
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_added }, NULL);
	puts("ready");
	fflush(stdout);
	while (!probe_stopped()) {
		if (added)
			start_over();
		for (int i = 0; i < n; i++) {
			attempt(&targets[i], SOCK_DGRAM);
			attempt(&targets[i], SOCK_STREAM);
		}
		collect(0);
		probe_pause_us(PERIOD_US);
	}
	for (uint64_t end = probe_now_ms() + 200; probe_now_ms() < end;)
		collect(20);
	printf("attempts %lu answers %lu\n", attempts, answers);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold: one connection that stays open. It sends a byte every 50 ms and prints the running count at each answer, one per
 * line, so that a story sees progress by reading the last line. `dead N` and exit 1 after --dead ms without an answer (never
 * if absent); `reset N` and exit 2 on a reset; `alive N` and exit 0 on SIGTERM.
 */
#include "netns-tests/probing/probe.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif

enum { PERIOD_MS = 50 };

static int connect_from(const struct endpoint *to, int type, const char *source, const char *port)
{
	int fd = socket(to->any.sa_family, type, 0);
	const int on = 1, rto_max_ms = 1000;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* After a silence TCP would try again ever more rarely, and a story wait as long (Linux 6.15 and later). */
	setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &rto_max_ms, sizeof(rto_max_ms));
	if (source || port) {
		struct endpoint from = probe_endpoint(source ? source : to->any.sa_family == AF_INET ? "0.0.0.0" : "::", port);

		if (bind(fd, &from.any, from.len))
			probe_die("bind");
	}
	if (fd < 0 || connect(fd, &to->any, to->len))
		probe_die("hold: connect");
	return fd;
}

/* Reads what is there; false on the connection's end. UDP shrugs at errors: the next datagram may pass. */
static bool read_answers(int fd, bool stream, unsigned long *answered)
{
	char data[4096];
	ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0)
		return !stream || errno == EAGAIN || errno == EINTR;
	if (!n)
		return !stream;
	for (ssize_t i = 0; i < n; i++)
		if (data[i] == 'x') /* the server's first line is no answer */
			printf("%lu\n", ++*answered);
	return true;
}

static int hold(int fd, bool stream, unsigned dead_ms)
{
	unsigned long answered = 0, before;
	uint64_t last = probe_now_ms(), next = last;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (!probe_stopped()) {
		uint64_t now = probe_now_ms();

		if (now >= next) {
			if (send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && stream && errno != EAGAIN) {
				printf("reset %lu\n", answered);
				return 2;
			}
			next = now + PERIOD_MS;
		}
		if (poll(&p, 1, (int)(next > now ? next - now : 0)) > 0) {
			before = answered;
			if (!read_answers(fd, stream, &answered)) {
				printf("reset %lu\n", answered);
				return 2;
			}
			if (answered > before)
				last = probe_now_ms();
		}
		if (dead_ms && probe_now_ms() - last > dead_ms) {
			printf("dead %lu\n", answered);
			return 1;
		}
	}
	printf("alive %lu\n", answered);
	return 0;
}

int probe_hold(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dead", required_argument, NULL, 'd' },
		{ "source", required_argument, NULL, 's' },
		{ "sport", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	const char *source = NULL, *port = NULL;
	unsigned dead_ms = 0;
	struct endpoint to;
	bool stream;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd')
			dead_ms = (unsigned)probe_number(optarg, 600000);
		else if (c == 's')
			source = optarg;
		else if (c == 'p')
			port = optarg;
		else
			probe_usage("hold: unknown option");
	}
	if (argc - optind != 3)
		probe_usage("hold tcp|udp ADDR PORT [--dead MS]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	probe_stop_on_signal();
	stream = !strcmp(argv[optind], "tcp");
	to = probe_endpoint(argv[optind + 1], argv[optind + 2]);
	return hold(connect_from(&to, stream ? SOCK_STREAM : SOCK_DGRAM, source, port), stream, dead_ms);
}

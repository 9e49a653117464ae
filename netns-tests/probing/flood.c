/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood and count: numbered UDP packets that nobody answers, so that conntrack calls each of them new and the policy judges
 * every one. One flood per count: the receiver knows packets by their number only. What bears no number (forged packets of raw)
 * is counted as other.
 */
#include "netns-tests/probing/probe.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUMBERS_MAX = 1 << 24 };

/* Sends at an even pace against the clock; what a late wake-up missed is caught up with. */
static unsigned long send_numbered(int fd, unsigned long rate, unsigned long seconds)
{
	uint64_t start = probe_now_ms(), total = (uint64_t)rate * seconds;
	unsigned long sent = 0;

	for (uint64_t number = 0; number < total && !probe_stopped(); number++) {
		while (number >= (probe_now_ms() - start) * rate / 1000 && !probe_stopped())
			probe_pause_us(200);
		/* A denial by the own node answers the next send (EPERM, EACCES): the packet does not count as sent. */
		sent += send(fd, &number, sizeof(number), 0) == (ssize_t)sizeof(number);
	}
	return sent;
}

int probe_flood(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "sport", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long rate = 1000, seconds = 1;
	const char *port = NULL;
	struct endpoint to;
	int c, fd;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			rate = probe_number(optarg, 1000000);
		else if (c == 's')
			seconds = probe_number(optarg, 3600);
		else if (c == 'p')
			port = optarg;
		else
			probe_usage("flood: unknown option");
	}
	if (argc - optind != 3 || strcmp(argv[optind], "udp") || rate * seconds > NUMBERS_MAX)
		probe_usage("flood udp ADDR PORT --rate N --seconds S, at most %d packets", NUMBERS_MAX);
	to = probe_endpoint(argv[optind + 1], argv[optind + 2]);
	fd = socket(to.any.sa_family, SOCK_DGRAM, 0);
	if (port) {
		struct endpoint from = probe_endpoint(to.any.sa_family == AF_INET ? "0.0.0.0" : "::", port);

		if (bind(fd, &from.any, from.len))
			probe_die("bind");
	}
	if (fd < 0 || connect(fd, &to.any, to.len))
		probe_die("flood: connect");
	probe_stop_on_signal();
	printf("sent %lu\n", send_numbered(fd, rate, seconds));
	return 0;
}

int probe_count(int argc, char **argv)
{
	uint8_t *seen = calloc(NUMBERS_MAX / 8, 1);
	const int buffer = 8 << 20;
	const struct timeval look_up = { .tv_usec = 100000 }; /* a signal may come just before recv sleeps */
	unsigned long received = 0, other = 0;
	struct endpoint at;
	uint64_t number;
	int fd;

	if (argc != 4 || strcmp(argv[1], "udp") || !seen)
		probe_usage("count udp ADDR PORT");
	at = probe_endpoint(argv[2], argv[3]);
	fd = socket(at.any.sa_family, SOCK_DGRAM, 0);
	/* A full buffer would look like a lost packet; FORCE needs privileges over the host, so ask both ways. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look_up, sizeof(look_up));
	if (fd < 0 || bind(fd, &at.any, at.len))
		probe_die("count: bind");
	probe_stop_on_signal();
	puts("ready");
	fflush(stdout);
	for (;;) {
		/* What is in the buffer when we are stopped has arrived: it counts. */
		ssize_t n = recv(fd, &number, sizeof(number), probe_stopped() ? MSG_DONTWAIT : 0);

		if (n < 0 && probe_stopped() && errno == EAGAIN)
			break;
		if (n == sizeof(number) && number < NUMBERS_MAX) {
			received += !(seen[number / 8] & 1 << number % 8);
			seen[number / 8] |= (uint8_t)(1 << number % 8);
		} else if (n >= 0) {
			other++;
		}
	}
	printf("received %lu other %lu\n", received, other);
	free(seen);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bursts: how long a way was open each time. It receives a flood's numbered packets, and what comes without a pause is one burst:
 * the packets between its first and its last number, at the flood's rate, are its length. The pace is the sender's, so
 * a receiver that a busy machine lets wait measures the same.
 */
#include "netns-tests/probing/probe.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

struct burst {
	uint64_t first, last;
	unsigned long packets;
};

static void burst_end(struct burst *b, unsigned long rate)
{
	if (b->packets)
		printf("burst %lu packets %lu us\n", b->packets, (unsigned long)((b->last - b->first + 1) * 1000000 / rate));
	fflush(stdout);
	b->packets = 0;
}

static int open_at(const char *address, const char *port)
{
	static const int buffer = 8 << 20;
	static const struct timeval look_up = { .tv_usec = 20000 }; /* a signal may come just before recv sleeps */
	struct endpoint at = probe_endpoint(address, port);
	int fd = socket(at.any.sa_family, SOCK_DGRAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look_up, sizeof(look_up));
	if (fd < 0 || bind(fd, &at.any, at.len))
		probe_die("bursts: bind");
	return fd;
}

int probe_bursts(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rate", required_argument, NULL, 'r' },
		{ "pause", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long rate = 1000, pause_ms = 50, total = 0, bursts = 0;
	struct burst b = { .packets = 0 };
	uint64_t number;
	int c, fd;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			rate = probe_number(optarg, 1000000);
		else if (c == 'p')
			pause_ms = probe_number(optarg, 60000);
		else
			probe_usage("bursts: unknown option");
	}
	if (argc - optind != 3 || !rate)
		probe_usage("bursts udp ADDR PORT --rate PER_SECOND [--pause MS]");
	fd = open_at(argv[optind + 1], argv[optind + 2]);
	probe_stop_on_signal();
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n = recv(fd, &number, sizeof(number), probe_stopped() ? MSG_DONTWAIT : 0);

		if (n < 0 && probe_stopped() && errno == EAGAIN)
			break;
		if (n != sizeof(number))
			continue;
		if (b.packets && number - b.last > pause_ms * rate / 1000)
			burst_end(&b, rate);
		if (!b.packets++) {
			b.first = number;
			bursts++;
		}
		b.last = number;
		total++;
	}
	burst_end(&b, rate);
	printf("received %lu in %lu bursts\n", total, bursts);
	close(fd);
	return 0;
}

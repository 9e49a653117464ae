/* SPDX-License-Identifier: Apache-2.0 */
/* tcp, sctp, udp, ping: one question, one exit code. */
#include "netns-tests/probing/probe.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct question {
	struct endpoint to;
	const char *source, *source_port;
	unsigned timeout_ms;
	size_t size; /* payload of udp and ping: above the MTU it is sent in fragments */
};

static struct question parse(int argc, char **argv, bool has_port)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, 't' }, { "source", required_argument, NULL, 's' },
		{ "sport", required_argument, NULL, 'p' },   { "size", required_argument, NULL, 'z' },
		{ NULL, 0, NULL, 0 },
	};
	struct question q = { .timeout_ms = 1000, .size = 16 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			q.timeout_ms = (unsigned)probe_number(optarg, 600000);
		else if (c == 's')
			q.source = optarg;
		else if (c == 'p')
			q.source_port = optarg;
		else if (c == 'z')
			q.size = probe_number(optarg, 60000);
		else
			probe_usage("%s: unknown option", argv[0]);
	}
	if (argc - optind != 1 + has_port)
		probe_usage("%s: expected an address%s", argv[0], has_port ? " and a port" : "");
	q.to = probe_endpoint(argv[optind], has_port ? argv[optind + 1] : NULL);
	return q;
}

/* A socket that is connected, or on the way; on an immediate error -1 and *ret says which. */
static int open_socket(const struct question *q, int type, int protocol, enum outcome *ret)
{
	int fd = socket(q->to.any.sa_family, type | SOCK_NONBLOCK, protocol);
	const int on = 1;

	if (fd < 0)
		probe_die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Without these a raw socket is never told of an ICMP error. */
	setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	if (q->to.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	if (q->source || q->source_port) {
		const char *any = q->to.any.sa_family == AF_INET ? "0.0.0.0" : "::";
		struct endpoint from = probe_endpoint(q->source ? q->source : any, q->source_port);

		if (bind(fd, &from.any, from.len))
			probe_die("bind");
	}
	if (connect(fd, &q->to.any, q->to.len) && errno != EINPROGRESS) {
		*ret = probe_outcome(errno);
		close(fd);
		return -1;
	}
	return fd;
}

static bool wait_for(int fd, short events, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = probe_now_ms();

	return now < until && poll(&p, 1, (int)(until - now)) > 0;
}

static int pending_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

/* TCP, or SCTP in its one-to-one style: the same calls. */
static int ask_stream(int argc, char **argv, int protocol)
{
	struct question q = parse(argc, argv, true);
	uint64_t until = probe_now_ms() + q.timeout_ms;
	enum outcome outcome;
	int fd = open_socket(&q, SOCK_STREAM, protocol, &outcome), error;
	char line[128];
	ssize_t n;

	if (fd < 0)
		return outcome;
	if (!wait_for(fd, POLLOUT, until))
		return PROBE_DROPPED;
	error = pending_error(fd);
	if (error)
		return probe_outcome(error);
	/* Open means that data comes back too: the server says who it saw. */
	if (!wait_for(fd, POLLIN, until))
		return PROBE_DROPPED;
	n = recv(fd, line, sizeof(line), 0);
	if (n <= 0)
		return n ? probe_outcome(errno) : PROBE_REFUSED;
	fwrite(line, 1, (size_t)n, stdout);
	return PROBE_ANSWERED;
}

int probe_tcp(int argc, char **argv)
{
	return ask_stream(argc, argv, IPPROTO_TCP);
}

int probe_sctp(int argc, char **argv)
{
	return ask_stream(argc, argv, IPPROTO_SCTP);
}

int probe_udp(int argc, char **argv)
{
	struct question q = parse(argc, argv, true);
	uint64_t until = probe_now_ms() + q.timeout_ms;
	static char data[60000];
	enum outcome outcome;
	int fd = open_socket(&q, SOCK_DGRAM, 0, &outcome);

	if (fd < 0)
		return outcome;
	for (unsigned attempt = 0; probe_now_ms() < until; attempt++) {
		uint64_t next = probe_now_ms() + (q.timeout_ms + 2) / 3;

		if (send(fd, data, q.size, 0) < 0 && errno != EAGAIN)
			return probe_outcome(errno);
		if (!wait_for(fd, POLLIN, next < until ? next : until))
			continue;
		if (recv(fd, data, sizeof(data), 0) >= 0)
			return PROBE_ANSWERED;
		return probe_outcome(errno);
	}
	return PROBE_DROPPED;
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		sum += (uint32_t)(p[len - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Is this packet the answer to our echo request `id`? IPv4 raw sockets deliver the IP header too, IPv6 ones do not. */
static bool is_reply(const uint8_t *data, size_t len, int family, uint16_t id)
{
	size_t skip = family == AF_INET ? (size_t)(data[0] & 15) * 4 : 0;
	uint8_t type = family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
	uint16_t got;

	if (len < skip + 8)
		return false;
	memcpy(&got, data + skip + 4, sizeof(got));
	return data[skip] == type && got == id;
}

int probe_ping(int argc, char **argv)
{
	struct question q = parse(argc, argv, false);
	bool v4 = q.to.any.sa_family == AF_INET;
	uint64_t until = probe_now_ms() + q.timeout_ms;
	uint16_t id = (uint16_t)getpid();
	static uint8_t request[60000 + 8], answer[65536];
	enum outcome outcome;
	int fd = open_socket(&q, SOCK_RAW, v4 ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6, &outcome);

	if (fd < 0)
		return outcome;
	request[0] = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	memcpy(request + 4, &id, sizeof(id));
	if (v4) { /* the kernel fills in ICMPv6's, which covers addresses */
		uint16_t sum = checksum(request, q.size + 8);

		memcpy(request + 2, &sum, sizeof(sum));
	}
	while (probe_now_ms() < until) {
		uint64_t next = probe_now_ms() + (q.timeout_ms + 2) / 3;

		if (send(fd, request, q.size + 8, 0) < 0 && errno != EAGAIN)
			return probe_outcome(errno);
		while (wait_for(fd, POLLIN, next < until ? next : until)) {
			ssize_t n = recv(fd, answer, sizeof(answer), 0);

			if (n < 0)
				return probe_outcome(errno);
			if (is_reply(answer, (size_t)n, q.to.any.sa_family, id))
				return PROBE_ANSWERED;
		}
	}
	return PROBE_DROPPED;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netns-tests/probing/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void probe_usage(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("probe: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(PROBE_USAGE);
}

void probe_die(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(125);
}

unsigned long probe_number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!*text || *end || n > max)
		probe_usage("%s is no number up to %lu", text, max);
	return n;
}

struct endpoint probe_endpoint(const char *addr, const char *port)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found;
	struct endpoint e;
	int error = getaddrinfo(addr, port, &hints, &found);

	if (error)
		probe_usage("%s port %s: %s", addr, port ? port : "-", gai_strerror(error));
	memset(&e, 0, sizeof(e));
	memcpy(&e.any, found->ai_addr, found->ai_addrlen);
	e.len = found->ai_addrlen;
	freeaddrinfo(found);
	return e;
}

void probe_print_addr(const struct sockaddr_in6 *from, char *out, size_t size)
{
	if (IN6_IS_ADDR_V4MAPPED(&from->sin6_addr))
		inet_ntop(AF_INET, &from->sin6_addr.s6_addr[12], out, (socklen_t)size);
	else
		inet_ntop(AF_INET6, &from->sin6_addr, out, (socklen_t)size);
}

uint64_t probe_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void probe_pause_us(unsigned us)
{
	const struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

enum outcome probe_outcome(int error)
{
	switch (error) {
	case 0:
		return PROBE_ANSWERED;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return PROBE_REFUSED;
	case EAGAIN:
	case EINPROGRESS:
	case ETIMEDOUT:
		return PROBE_DROPPED;
	default: /* ENETUNREACH, EHOSTUNREACH; EACCES is what IPv6 makes of admin-prohibited; EADDRNOTAVAIL: no source yet */
		return PROBE_UNREACHABLE;
	}
}

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

void probe_stop_on_signal(void)
{
	const struct sigaction action = { .sa_handler = stop };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

bool probe_stopped(void)
{
	return stopped;
}

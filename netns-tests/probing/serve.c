/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve: one process that answers on many ports. TCP: says the sender's address in a line, then echoes. UDP: echoes. "::"
 * serves both families. With --background it returns once every port listens and prints the process id, so that a story
 * needs no wait.
 */
#include "netns-tests/probing/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FDS_MAX = 512 };
enum kind { LISTENER, DATAGRAM, CONNECTION };

static struct pollfd fds[FDS_MAX];
static enum kind kinds[FDS_MAX];
static nfds_t n_fds;

static void watch(int fd, enum kind kind)
{
	if (n_fds == FDS_MAX) {
		close(fd);
		return;
	}
	fds[n_fds] = (struct pollfd){ .fd = fd, .events = POLLIN };
	kinds[n_fds++] = kind;
}

static void listen_on(const char *addr, const char *port, int type, int protocol)
{
	struct endpoint e = probe_endpoint(addr, port);
	int fd = socket(e.any.sa_family, type | SOCK_NONBLOCK, protocol);
	const int on = 1, off = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Answer from the address that was asked: the received pktinfo is sent back as it is. */
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (e.any.sa_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	}
	if (fd < 0 || bind(fd, &e.any, e.len) || (type == SOCK_STREAM && listen(fd, 128)))
		probe_die(addr);
	watch(fd, type == SOCK_STREAM ? LISTENER : DATAGRAM);
}

static void accept_one(int listener)
{
	struct endpoint from = { .len = sizeof(from.v6) };
	int fd = accept4(listener, &from.any, &from.len, SOCK_NONBLOCK);
	char line[INET6_ADDRSTRLEN + 2] = "";

	if (fd < 0)
		return;
	if (from.any.sa_family == AF_INET6)
		probe_print_addr(&from.v6, line, sizeof(line) - 1);
	else
		snprintf(line, sizeof(line), "%u.%u.%u.%u", ((uint8_t *)&from.v4.sin_addr)[0],
			 ((uint8_t *)&from.v4.sin_addr)[1], ((uint8_t *)&from.v4.sin_addr)[2],
			 ((uint8_t *)&from.v4.sin_addr)[3]);
	strcat(line, "\n");
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		close(fd);
	else
		watch(fd, CONNECTION);
}

static void echo_datagram(int fd)
{
	char data[65536], control[128];
	struct sockaddr_storage from;
	struct iovec part = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1,
			    .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, 0);

	if (n < 0)
		return;
	part.iov_len = (size_t)n;
	/* An answer that a rule rejects is as good as one that was lost: the client counts. */
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
		errno = 0;
}

/* Returns false when the connection is over. */
static bool echo_stream(int fd)
{
	char data[4096];
	ssize_t n = recv(fd, data, sizeof(data), 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	return n > 0 && send(fd, data, (size_t)n, MSG_NOSIGNAL) == n;
}

static void serve(void)
{
	while (!probe_stopped()) {
		if (poll(fds, n_fds, -1) < 0)
			continue;
		for (nfds_t i = n_fds; i-- > 0;) {
			if (!fds[i].revents)
				continue;
			if (kinds[i] == LISTENER) {
				accept_one(fds[i].fd);
			} else if (kinds[i] == DATAGRAM) {
				echo_datagram(fds[i].fd);
			} else if (!echo_stream(fds[i].fd)) {
				close(fds[i].fd);
				n_fds--;
				fds[i] = fds[n_fds];
				kinds[i] = kinds[n_fds];
			}
		}
	}
}

int probe_serve(int argc, char **argv)
{
	bool background = argc > 1 && !strcmp(argv[1], "--background"), both;

	argc -= background;
	argv += background;
	if (argc < 4)
		probe_usage("serve [--background] tcp|udp|both|sctp ADDR PORT...");
	both = !strcmp(argv[1], "both");
	for (int i = 3; i < argc; i++) {
		if (both || !strcmp(argv[1], "tcp"))
			listen_on(argv[2], argv[i], SOCK_STREAM, IPPROTO_TCP);
		if (both || !strcmp(argv[1], "udp"))
			listen_on(argv[2], argv[i], SOCK_DGRAM, IPPROTO_UDP);
		if (!strcmp(argv[1], "sctp"))
			listen_on(argv[2], argv[i], SOCK_STREAM, IPPROTO_SCTP);
	}
	if (background) {
		pid_t pid = fork();

		if (pid < 0)
			probe_die("fork");
		if (pid) {
			printf("%d\n", (int)pid);
			return 0;
		}
		/* The story reads our output to its end: let go of it. */
		if (!freopen("/dev/null", "w", stdout))
			probe_die("/dev/null");
	}
	probe_stop_on_signal();
	serve();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: what arrives of crafted packets, by their tokens, at several ends at once; whatever quotes a token counts too, an ICMP error
 * or an encapsulation. An end is a network namespace:
 *
 *	NAME=NETNS	its links: every frame that comes in, whoever it is for
 *	NAME:NETNS	its IP: what its own firewall let in, of all protocols. A node sees everything its pods send, so only this says
 *			what it takes.
 *
 * Stopped, it prints a line `TOKEN NAME COUNT` for each. Tokens from 4000 on are told at once, `arrived TOKEN`: who sends one behind
 * others, from the same processor, learns by it that the others have gone their way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netns-tests/probing/craft.h"
#include "netns-tests/probing/probe.h"

enum { SOCKETS_MAX = 2048, ENDS_MAX = 16, TOKENS_MAX = 8192, TOKENS_TOLD = 4000 };

struct capture {
	struct pollfd fds[SOCKETS_MAX];
	uint8_t end[SOCKETS_MAX]; /* of the socket with the same index */
	nfds_t n;
	const char *names[ENDS_MAX];
	size_t n_ends;
	unsigned long seen[ENDS_MAX][TOKENS_MAX];
};

static void add_socket(struct capture *c, int fd)
{
	const int buffer = 1 << 20;

	if (fd < 0 || c->n == SOCKETS_MAX)
		probe_die("capture: socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	c->fds[c->n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	c->end[c->n++] = (uint8_t)c->n_ends;
}

/*
 * A raw socket per protocol and family (the kernel refuses those of IPv6 extension headers), and the router alerts that a multicast
 * routing daemon or RSVP asks for: packets to others, which no firewall hook but the first sees.
 */
static void add_stack(struct capture *c)
{
	int alert = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_RAW);

	add_socket(c, alert);
	if (setsockopt(alert, IPPROTO_IPV6, IPV6_ROUTER_ALERT, &(int){ 0 }, sizeof(int)))
		probe_die("capture: IPV6_ROUTER_ALERT");
	for (int protocol = 1; protocol < 255; protocol++) {
		int four = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, protocol);
		int six = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, protocol);

		setsockopt(four, IPPROTO_IP, IP_ROUTER_ALERT, &(int){ 1 }, sizeof(int));
		add_socket(c, four);
		if (six >= 0)
			add_socket(c, six);
	}
}

static void add_end(struct capture *c, char *text)
{
	size_t len = strcspn(text, "=:");
	bool links = text[len] == '=';
	int netns;

	if (!text[len] || c->n_ends == ENDS_MAX)
		probe_usage("capture: NAME=NETNS or NAME:NETNS, not %s; at most %d", text, ENDS_MAX);
	text[len] = '\0';
	netns = open(text + len + 1, O_RDONLY | O_CLOEXEC);
	if (netns < 0 || setns(netns, CLONE_NEWNET))
		probe_die(text + len + 1);
	close(netns);
	if (links)
		add_socket(c, socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)));
	else
		add_stack(c);
	c->names[c->n_ends++] = text;
}

static void note(struct capture *c, size_t end, uint32_t token)
{
	if (token >= TOKENS_MAX)
		return;
	if (token >= TOKENS_TOLD && !c->seen[end][token]) {
		printf("arrived %u\n", token);
		fflush(stdout);
	}
	c->seen[end][token]++;
}

static void take(struct capture *c, nfds_t socket_)
{
	static uint8_t data[PACKET_MAX];
	struct sockaddr_storage from;
	struct sockaddr_ll link;
	socklen_t len = sizeof(from);
	ssize_t n;
	uint32_t token;

	while ((n = recvfrom(c->fds[socket_].fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len)) >= 0) {
		memcpy(&link, &from, sizeof(link));
		if ((from.ss_family != AF_PACKET || link.sll_pkttype != PACKET_OUTGOING) && token_find(data, (size_t)n, &token))
			note(c, c->end[socket_], token);
		len = sizeof(from);
	}
}

static void report(const struct capture *c)
{
	for (size_t token = 0; token < TOKENS_TOLD; token++)
		for (size_t end = 0; end < c->n_ends; end++)
			if (c->seen[end][token])
				printf("%zu %s %lu\n", token, c->names[end], c->seen[end][token]);
}

int probe_capture(int argc, char **argv)
{
	static struct capture c;

	if (argc < 2)
		probe_usage("capture NAME=NETNS|NAME:NETNS...");
	for (int i = 1; i < argc; i++)
		add_end(&c, argv[i]);
	probe_stop_on_signal();
	puts("ready");
	fflush(stdout);
	for (;;) {
		/* what is in the buffers when we are stopped has arrived */
		bool last = probe_stopped();
		int ready = poll(c.fds, c.n, last ? 0 : 100);

		for (nfds_t i = 0; ready > 0 && i < c.n; i++)
			if (c.fds[i].revents)
				take(&c, i);
		if (last && ready <= 0)
			break;
	}
	report(&c);
	return 0;
}

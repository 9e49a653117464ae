/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leak-receive and leak-tap: where the leak counter's packets arrive. Both read packet sockets, which see a packet before the filters of
 * their namespace when it comes and behind them when it goes. The tap, on the node, tells what came to moat and what moat let
 * pass, so that what a busy machine loses in its queues is nobody's leak and nobody's loss. For what is sent to the node itself
 * there is no link behind: raw sockets, which get what the input hook let through.
 *
 * Rings in mapped memory, since a socket's buffer may not grow in a user namespace; they are emptied every few milliseconds instead of
 * at each packet.
 */
#include "netns-tests/probing/ledger.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	FRAME_BYTES = 512,
	FRAMES = 16384, /* 8 MiB: seconds of what the stories send */
	BLOCK_BYTES = 1 << 16,
	LOOK_US = 5000,
	LINKS_MAX = 4096,
};

struct ring {
	int fd;
	uint8_t *frames;
	unsigned next;
};

typedef void (*packet_fn)(struct ledger *l, const struct sockaddr_ll *link, const struct tpacket2_hdr *h, const uint8_t *packet);

static void ring_open(struct ring *r)
{
	const int version = TPACKET_V2;
	const struct tpacket_req req = { .tp_block_size = BLOCK_BYTES, .tp_block_nr = FRAMES * FRAME_BYTES / BLOCK_BYTES,
					 .tp_frame_size = FRAME_BYTES, .tp_frame_nr = FRAMES };

	r->fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
	if (r->fd < 0 || setsockopt(r->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		probe_die("packet socket");
	r->frames = mmap(NULL, FRAMES * FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->frames == MAP_FAILED)
		probe_die("mmap of a ring");
}

static void ring_empty(struct ring *r, struct ledger *l, packet_fn fn)
{
	for (;;) {
		struct tpacket2_hdr *h = (struct tpacket2_hdr *)(r->frames + (size_t)r->next * FRAME_BYTES);

		if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return;
		fn(l, (const struct sockaddr_ll *)((uint8_t *)h + TPACKET_ALIGN(sizeof(*h))), h, (const uint8_t *)h + h->tp_net);
		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		r->next = (r->next + 1) % FRAMES;
	}
}

static void ring_close(struct ring *r, struct ledger *l)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	if (getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
		l->overrun += stats.tp_drops;
	close(r->fd);
}

static void run_ring(struct ledger *l, packet_fn fn)
{
	struct ring ring = { .next = 0 };

	ring_open(&ring);
	puts("ready");
	fflush(stdout);
	while (!probe_stopped()) {
		ring_empty(&ring, l, fn);
		probe_pause_us(LOOK_US);
	}
	ring_empty(&ring, l, fn); /* what is there has arrived */
	ring_close(&ring, l);
}

static size_t bytes_of(const struct tpacket2_hdr *h)
{
	return h->tp_snaplen < FRAME_BYTES - 128 ? h->tp_snaplen : FRAME_BYTES - 128;
}

/* ---- the tap --------------------------------------------------------------------------------------------------------- */

/* What goes out on the bridge itself still passes its ports' filters: only links to somewhere else are out. */
static bool leaves_the_node(int index)
{
	static int8_t known[LINKS_MAX]; /* 0: not asked; numbers are not used again within a story */
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_ifindex = index };
	int fd;

	if (index < LINKS_MAX && known[index])
		return known[index] > 0;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, SIOCGIFNAME, &ifr) == 0) {
		ifr.ifr_data = (char *)&info;
		ioctl(fd, SIOCETHTOOL, &ifr);
	}
	close(fd);
	if (index < LINKS_MAX)
		known[index] = strcmp(info.driver, "bridge") ? 1 : -1;
	return strcmp(info.driver, "bridge") != 0;
}

/* The first that passes since the path was said to be opening. */
static void note_opening(struct path *p, const struct tpacket2_hdr *h)
{
	uint64_t since = p->opening_us, seen = (uint64_t)h->tp_sec * 1000000 + h->tp_nsec / 1000;

	if (!since || seen < since || !atomic_compare_exchange_strong(&p->opening_us, &since, 0))
		return;
	if (seen - since > p->window_us)
		p->window_us = (uint32_t)(seen - since);
}

/* One that passes since the path was said to be closing. */
static void note_closing(struct path *p, const struct tpacket2_hdr *h)
{
	uint64_t since = p->closing_us, seen = (uint64_t)h->tp_sec * 1000000 + h->tp_nsec / 1000;

	if (since && seen > since && seen - since > p->closed_us)
		p->closed_us = (uint32_t)(seen - since);
}

static void on_node(struct ledger *l, const struct sockaddr_ll *link, const struct tpacket2_hdr *h, const uint8_t *packet)
{
	const struct record *r = ledger_find_record(l, packet, bytes_of(h));

	if (!r)
		return;
	if (link->sll_pkttype != PACKET_OUTGOING) {
		ledger_mark(l, r, SEEN_IN);
	} else if (leaves_the_node(link->sll_ifindex)) {
		ledger_mark(l, r, SEEN_OUT);
		note_closing(&l->paths[r->path], h);
		if ((l->pages[r->path].packets[r->number] & EXPECTED_MASK) != EXPECT_DENY)
			note_opening(&l->paths[r->path], h);
	}
}

int probe_leak_tap(int argc, char **argv)
{
	if (argc != 2)
		probe_usage("leak-tap LEDGER");
	probe_stop_on_signal();
	run_ring(ledger_open(argv[1]), on_node);
	return 0;
}

/* ---- receivers ------------------------------------------------------------------------------------------------------- */

static void on_arrival(struct ledger *l, const struct sockaddr_ll *link, const struct tpacket2_hdr *h, const uint8_t *packet)
{
	const struct record *r = ledger_find_record(l, packet, bytes_of(h));

	if (r && link->sll_pkttype != PACKET_OUTGOING)
		ledger_mark(l, r, SEEN_RECEIVED);
}

static void drain_raw(struct ledger *l, int fd)
{
	uint8_t packet[2048];
	struct record r;
	ssize_t n;

	while ((n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) >= 0) {
		const uint8_t *at = memmem(packet, (size_t)n, RECORD_MAGIC, sizeof(r.magic));

		if (!at || packet + n - at < (ssize_t)sizeof(r))
			continue;
		memcpy(&r, at, sizeof(r));
		/* an answer to the node's own is another path's record; IPv6's sockets give no header to look at */
		if (ledger_record_is_valid(l, &r) && !strcmp(l->paths[r.path].to, "node"))
			ledger_mark(l, &r, SEEN_RECEIVED);
	}
}

static void run_raw(struct ledger *l)
{
	static const int wanted[][2] = { { AF_INET, IPPROTO_TCP },  { AF_INET, IPPROTO_UDP },  { AF_INET, IPPROTO_ICMP },
					 { AF_INET6, IPPROTO_TCP }, { AF_INET6, IPPROTO_UDP }, { AF_INET6, IPPROTO_ICMPV6 } };
	enum { SOCKETS = sizeof(wanted) / sizeof(wanted[0]) };
	const int buffer = 8 << 20;
	int fds[SOCKETS];

	for (int i = 0; i < SOCKETS; i++) {
		fds[i] = socket(wanted[i][0], SOCK_RAW, wanted[i][1]);
		if (fds[i] < 0)
			probe_die("raw socket");
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	}
	puts("ready");
	fflush(stdout);
	for (bool last = false; !last;) {
		last = probe_stopped();
		for (int i = 0; i < SOCKETS; i++)
			drain_raw(l, fds[i]);
		probe_pause_us(LOOK_US);
	}
}

int probe_leak_receive(int argc, char **argv)
{
	struct ledger *l;

	if (argc != 3)
		probe_usage("leak-receive LEDGER TO");
	l = ledger_open(argv[1]);
	probe_stop_on_signal();
	if (strcmp(argv[2], "node") != 0)
		run_ring(l, on_arrival);
	else
		run_raw(l);
	return 0;
}

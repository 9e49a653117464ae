/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leak-send: all packets of the leak counter that begin in one namespace, at each path's own pace, until SIGTERM. Paths may be added, and
 * their expectations change, while it runs. A packet that has no way out yet (a pod before its ADD) was not sent.
 */
#include "netns-tests/probing/ledger.h"

#include <string.h>
#include <unistd.h>

enum { TICK_US = 2500 };

struct sender {
	struct ledger *ledger;
	const char *name;
	bool node; /* what the node itself sends has come to it */
	int fd4, fd6;
	uint32_t known; /* paths of the ledger that were looked at */
	uint16_t own[PATHS_MAX];
	unsigned n_own;
	uint64_t next_us[PATHS_MAX]; /* of the own */
};

static bool send_pieces(const struct sender *s, const struct path *p, const struct record *r)
{
	uint8_t packet[PACKET_BYTES_MAX];
	struct endpoint to = p->target;
	bool sent = true;
	size_t len;

	to.v4.sin_port = 0; /* a raw IPv6 socket takes a port, in the same place, for a protocol */
	for (unsigned piece = 0; sent && (len = packet_build(p, r, piece, packet)) > 0; piece++)
		sent = sendto(to.any.sa_family == AF_INET ? s->fd4 : s->fd6, packet, len, 0, &to.any, to.len) >= 0;
	return sent;
}

/* The entry stands before the packet leaves: whoever sees it must find what is expected of it. */
static void send_next(struct sender *s, uint16_t index)
{
	struct path *p = &s->ledger->paths[index];
	struct page *page = &s->ledger->pages[index];
	struct record r = { .magic = RECORD_MAGIC, .path = index, .number = p->sent };
	uint8_t expected;

	if (r.number >= PACKETS_MAX) {
		s->ledger->overrun++;
		p->expected = EXPECT_OFF;
		return;
	}
	atomic_store(&p->sending, 1);
	expected = atomic_load(&p->expected);
	if (expected != EXPECT_OFF) {
		page->at_ms[r.number] = (uint32_t)(probe_now_ms() - s->ledger->start_ms);
		page->packets[r.number] = (uint8_t)(expected | (s->node ? SEEN_IN : 0));
		/* the node's own packet that its rules drop is an error of the system call, and was lost all the same */
		if (send_pieces(s, p, &r) || s->node)
			p->sent = r.number + 1;
		else
			page->packets[r.number] = 0;
	}
	atomic_store(&p->sending, 0);
}

static void find_own(struct sender *s)
{
	for (; s->known < s->ledger->n_paths; s->known++)
		if (!strcmp(s->ledger->paths[s->known].from, s->name))
			s->own[s->n_own++] = (uint16_t)s->known;
}

static void send_due(struct sender *s)
{
	uint64_t now = ledger_clock_us();

	for (unsigned i = 0; i < s->n_own; i++) {
		const struct path *p = &s->ledger->paths[s->own[i]];

		if (now < s->next_us[i])
			continue;
		send_next(s, s->own[i]);
		/* what a late wake-up missed is not made up for: a burst would only fill queues */
		s->next_us[i] += 1000000 / p->rate;
		if (s->next_us[i] < now)
			s->next_us[i] = now + 1000000 / p->rate;
	}
}

int probe_leak_send(int argc, char **argv)
{
	static struct sender s;

	if (argc != 3)
		probe_usage("leak-send LEDGER FROM");
	s.ledger = ledger_open(argv[1]);
	s.name = argv[2];
	s.node = !strcmp(s.name, "node");
	s.fd4 = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	s.fd6 = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	if (s.fd4 < 0 || s.fd6 < 0)
		probe_die("leak-send: socket");
	probe_stop_on_signal();
	while (!probe_stopped()) {
		find_own(&s);
		send_due(&s);
		probe_pause_us(TICK_US);
	}
	return 0;
}

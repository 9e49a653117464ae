/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leak counter's ledger: one file that all its processes map. It has a page per path (from a sender to an address, with one
 * kind of packet), and on it one entry per packet: what was expected of it when it was sent, and where it was seen. So a
 * verdict is about each packet by itself, whatever the expectation of its path became meanwhile.
 *
 *	leak-paths    adds paths                      leak-send      one process per namespace that sends
 *	leak-set      changes what is expected        leak-receive   one per namespace that receives
 *	leak-report   the totals                      leak-tap       one on the node: what came to it, what left it
 */
#ifndef NETNS_TESTS_LEDGER_H
#define NETNS_TESTS_LEDGER_H

#include <stdatomic.h>

#include "netns-tests/probing/probe.h"

enum packet_kind { KIND_SYN, KIND_ACK, KIND_UDP, KIND_ECHO, KIND_FRAGMENTS, KIND_COUNT };

/* What must happen to a packet that is sent now. */
enum expectation {
	EXPECT_OFF,     /* none is sent */
	EXPECT_DENY,    /* if it arrives it leaked */
	EXPECT_ALLOW,   /* if it does not arrive it was lost */
	EXPECT_EITHER,  /* a change is under way */
	EXPECT_OPENING, /* likewise, and the first that arrives ends the deny window */
	EXPECT_CLOSING, /* likewise, and the last that passes tells how long the denial took */
	EXPECT_COUNT,
};

enum {
	PATHS_MAX = 2048,
	PACKETS_MAX = 1 << 17, /* of a path: 20 minutes at 100 a second */
	NAME_BYTES = 24,
	RECORD_BYTES = 32,
	SEEN_IN = 0x10,       /* it came to the node; of the node's own: it was sent */
	SEEN_OUT = 0x20,      /* the node put it on a link */
	SEEN_RECEIVED = 0x40, /* it is where it was to go */
	EXPECTED_MASK = 0x0f,
};

struct path {
	char from[NAME_BYTES], to[NAME_BYTES];
	uint8_t kind;  /* enum packet_kind */
	bool steady;   /* always the same ports: after an answer it is an established connection */
	uint16_t source_port; /* of a steady path; 0: it follows from kind and port */
	uint16_t port; /* destination's; the same for all fragments' datagrams */
	uint32_t rate; /* per second */
	struct endpoint source, target;
	struct endpoint real; /* where it arrives, if target is translated on the way; else the same */
	_Atomic uint8_t expected;    /* enum expectation */
	_Atomic uint8_t sending;     /* the sender has read `expected` and not sent yet */
	_Atomic uint32_t sent;       /* the number of the next packet */
	_Atomic uint64_t opening_us; /* since when EXPECT_OPENING, of the wall clock as packets are stamped; 0: it has ended */
	_Atomic uint32_t window_us;  /* longest from then to the first arrival */
	_Atomic uint64_t closing_us; /* since when EXPECT_CLOSING, likewise; 0: it has been allowed since */
	_Atomic uint32_t closed_us;  /* longest from then to the last that passed */
};

/* A path's packets, by number. */
struct page {
	_Atomic uint8_t packets[PACKETS_MAX]; /* enum expectation | SEEN_* */
	uint32_t at_ms[PACKETS_MAX];          /* since the ledger was made */
};

struct ledger {
	uint64_t start_ms;
	_Atomic uint32_t n_paths;
	_Atomic uint32_t overrun; /* packets that a receiver of ours had no room for: the count would be a lie */
	struct path paths[PATHS_MAX];
	struct page pages[PATHS_MAX];
};

/* In every packet, and in every fragment. */
struct record {
	char magic[8];
	uint16_t path;
	uint16_t unused;
	uint32_t number;
	uint8_t filler[RECORD_BYTES - 16];
};
#define RECORD_MAGIC "moatleak"

struct ledger *ledger_open(const char *file); /* exits if it cannot */
uint64_t ledger_clock_us(void);               /* wall clock */
/* "client>db/udp4:5000"; the pattern of leak-set is matched against it. */
void ledger_path_name(const struct path *p, char *out, size_t size);
/* The record in a packet that begins with its IP header; NULL if it has none, or it goes to another address than its path's. */
const struct record *ledger_find_record(const struct ledger *l, const void *packet, size_t len);
void ledger_mark(struct ledger *l, const struct record *r, uint8_t seen);
bool ledger_record_is_valid(const struct ledger *l, const struct record *r);

/* packet.c: a whole IP packet of the path into out (at most PACKET_BYTES_MAX); piece counts fragments from 0. Returns its length, 0 if there is no such piece. */
enum { PACKET_BYTES_MAX = 256 };
size_t packet_build(const struct path *p, const struct record *r, unsigned piece, uint8_t *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A netlink socket: requests, dumps, and closing without waiting for the kernel's clean-up. */
#ifndef MOAT_NL_H
#define MOAT_NL_H

#include "moat/err.h"

struct nlmsghdr;

struct nl {
	int fd;
	int bus;
	uint32_t seq;
	uint32_t portid; /* who we are in notifications that our own changes cause */
};

/* bus: NETLINK_ROUTE or NETLINK_NETFILTER. On success nl_close releases it. */
int nl_open(struct nl *nl, int bus, struct err *err);
void nl_close(struct nl *nl); /* accepts a closed or zeroed-with-fd--1 one */

/*
 * Closing a nftables socket waits while nf_tables' destroy worker has something to destroy, whoever deleted it: 10–20 ms, though a
 * batch is acknowledged after 0.2 ms (nft_rcv_nl_event → nf_tables_trans_destroy_flush_work). A process that is about to
 * end need not wait: nl_park makes every later nl_close put sockets aside, and nl_leave hands them to a forked child that
 * holds nothing else open, and waits in our place. Only for a process with one thread that then ends: the plugin.
 */
void nl_park(void);
void nl_leave(void);

/* One message of an answer. Return 0 to go on, a negative errno to stop with it. */
typedef int (*nl_message_fn)(const struct nlmsghdr *nlh, void *arg);

/*
 * Sends one request (its seq is set here; NLM_F_ACK or NLM_F_DUMP in its flags, neither if its answer is one message) and gives every message of the answer to fn (may be
 * NULL). Returns 0, or the kernel's negative errno without a sentence: the caller knows what was asked. -EINTR: a dump was
 * interrupted by a change and is incomplete: ask again. Where the kernel had no memory for the answer it asks again itself, on a
 * socket that it opens anew, so that fn may meet a message twice.
 */
int nl_request(struct nl *nl, struct nlmsghdr *nlh, nl_message_fn fn, void *arg);

/*
 * nl_request for a dump that must be of one moment: asks again until no change came between (every commit of anybody's does, if
 * it falls between send and receive), and gives the messages to fn only then. Not for large dumps: they are kept. -EINTR: never quiet.
 */
int nl_dump(struct nl *nl, struct nlmsghdr *nlh, nl_message_fn fn, void *arg);

/*
 * The beginning of a dump, on a socket of its own that is closed as soon as fn returns non-zero: the rest is never made. bus as
 * for nl_open. Returns what fn did, 0 at the end of the dump, or a negative errno. A change meanwhile may be seen half.
 */
int nl_dump_beginning(int bus, struct nlmsghdr *nlh, nl_message_fn fn, void *arg);

#endif

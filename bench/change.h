/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file is renamed into the daemon's directory, and the kernel itself says when the change stands, by the notification that
 * ends the transaction (NFT_MSG_NEWGEN) in which a chain got a new rule, or a set a new member.
 */
#ifndef BENCH_CHANGE_H
#define BENCH_CHANGE_H

#include "moat/base.h"

/* What to wait for: a message of this type about a name that starts so, and then the end of its transaction. */
struct change_wanted {
	int type; /* NFT_MSG_NEWRULE or NFT_MSG_NEWSETELEM */
	const char *start[2];
	bool seen, done;
};

struct change_events {
	int fd; /* subscribed to NFNLGRP_NFTABLES */
};

void change_subscribe(struct change_events *e); /* ends the process if it cannot */

/* Forgets what has happened so far; writes the file beside, renames it in and returns when. */
double change_begin(struct change_events *e, const char *directory, const char *file, const char *text);

/* Waits until the wanted change stands; ends the process, naming what, if it never does. Returns when, in milliseconds. */
double change_wait(struct change_events *e, struct change_wanted w, const char *what);

/* Both: the milliseconds between. */
double change_take(struct change_events *e, const char *directory, const char *file, const char *text, struct change_wanted w);

#endif

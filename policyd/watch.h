/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers at the table: nftables notifications about table inet moat that somebody else's change caused. */
#ifndef POLICYD_WATCH_H
#define POLICYD_WATCH_H

#include <uv.h>

#include "policyd/reconcile.h"

struct watch {
	int fd; /* -1: not watching */
	uv_poll_t events;
	struct reconcile *reconcile; /* not owned */
	void (*found)(void *arg); /* something is to be put right: reconcile_run */
	void *arg;
};

int watch_start(struct watch *w, struct reconcile *r, uv_loop_t *loop, void (*found)(void *arg), void *arg, struct err *err);
void watch_close_handle(struct watch *w);
void watch_done(struct watch *w);

#endif

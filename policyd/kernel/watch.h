/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers at the table: what somebody else's change did to table inet moat, and what was not heard of. */
#ifndef POLICYD_WATCH_H
#define POLICYD_WATCH_H

#include <uv.h>

#include "policyd/kernel/reconcile.h"
#include "policyd/kernel/strays.h"
#include "policyd/kernel/tamper.h"

/* The transaction that is being heard, until its generation's number ends it and says whose it was. */
struct heard_change {
	bool static_part; /* was touched, and put again if barred_us says when */
	uint64_t barred_us;
	bool bridge_table; /* table bridge moat was, but for single pods' elements */
	bool rebuild;     /* what the daemon has made was touched */
	bool surroundings; /* sets of nodes or tunnels were */
	size_t pods;      /* single pods were, so many */
	bool everybody;   /* every pod was */
	bool unexplained; /* something was added that no known pod has, or may not have */
	char what[128]; /* the first thing that matters, or the table; "": nothing did */
};

struct watch {
	int fd; /* -1: not watching */
	uv_poll_t events;
	uv_prepare_t before_poll;
	uv_timer_t again; /* when another of moat's writers was at work */
	uv_timer_t late;  /* for a generation that may still be on its way */
	uv_idle_t turn;   /* of the whole look (check.c), */
	uv_work_t reading;    /* and its thread, */
	struct nl survey_nl;  /* with a socket of its own */
	struct survey *survey, *former;
	bool checking, refreshed; /* it is under way; the pod store was read again for it */
	bool started;
	struct reconcile *reconcile; /* not owned */
	struct tamper tamper;
	struct strays strays;
	struct heard_change change;
	bool disturbed; /* something was heard that is to be put right, */
	bool wants_run; /* by reconcile_run */
	bool lost;      /* something was not heard */
	bool check_wanted; /* by the next look */
	uint64_t rebuilds, checked_us; /* of the reconciliation, and the time, when everything was looked at last, */
	uint64_t check_us;             /* and how long that took */
	uint32_t heard;    /* the last generation that was heard of, */
	uint32_t expected; /* and one that exists */
	uint64_t well_us;  /* when nothing was amiss for the last time, for what no event tells */
	uint64_t polled_us, idle_ns; /* when the loop began to wait, with what it had waited before */
	uint64_t woken_us;           /* when it ended the wait before this one */
	unsigned attempts; /* to find moat's other writers at rest */
	void (*found)(void *arg); /* reconcile_run is wanted */
	void *arg;
};

int watch_start(struct watch *w, struct reconcile *r, uv_loop_t *loop, void (*found)(void *arg), void *arg, struct err *err);
void watch_close_handles(struct watch *w);
void watch_done(struct watch *w);

/* Now and then: was every transaction heard of? Costs one small question to the kernel. */
void watch_look(struct watch *w);

/* check.c: begins the whole look at everything, if none is under way. */
void watch_check(struct watch *w);
void watch_check_done(struct watch *w);

/* Does what was heard or found to be necessary. */
void watch_act(struct watch *w);

/* Interfaces have gone: what was a stray because its link was there may be none now. */
void watch_links_gone(struct watch *w);

/* After a reconcile_run that went well: what was found is put right. */
void watch_settled(struct watch *w);

#endif

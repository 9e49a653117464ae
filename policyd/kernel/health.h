/* SPDX-License-Identifier: Apache-2.0 */
/* What an attachment has lost outside of moat's tables: its interface, its addresses, its routes, its bridge's settings. Told, or put right. */
#ifndef POLICYD_HEALTH_H
#define POLICYD_HEALTH_H

#include "policyd/source/attachments.h"
#include "policyd/kernel/tamper.h"

/* Looks at every attachment's interface and routes; what is new is logged once. */
void health_look(struct attachments *a);

/*
 * The settings, the MAC and the proxy neighbours of bridges that have guarded ports: what somebody turned back is turned again. delays:
 * proxy_delay too, which costs more to read. event_us: when the kernel told of a change, CLOCK_MONOTONIC; 0: this is a check.
 */
void health_hold_bridges(struct cluster *c, struct tamper *t, bool delays, uint64_t event_us);

#endif

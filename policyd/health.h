/* SPDX-License-Identifier: Apache-2.0 */
/* What an attachment has lost outside of moat's tables: its interface, its addresses, its bridge's settings. Told, or put right. */
#ifndef POLICYD_HEALTH_H
#define POLICYD_HEALTH_H

#include "policyd/attachments.h"
#include "policyd/tamper.h"

/* Looks at every attachment's interface; what is new is logged once. */
void health_look(struct attachments *a);

/*
 * The settings, the MAC and the proxy neighbours of bridges that have guarded ports: what somebody turned back is turned again. delays:
 * proxy_delay too, which costs more to read.
 */
void health_hold_bridges(struct cluster *c, struct tamper *t, bool delays);

#endif

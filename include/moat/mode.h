/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modes: what happens to traffic that the policies of a selected pod do not allow, and to traffic of an unselected pod.
 *
 *   mode      selected            unselected
 *   audit     let through, told   let through, told
 *   standard  enforced            allowed once the daemon has computed it
 *   preview   enforced            let through, told as what strict would deny
 *   strict    enforced            denied
 *
 * The order is the order of tightness: a namespace label may only move to the right hand of it (mode_is_tighter).
 */
#ifndef MOAT_MODE_H
#define MOAT_MODE_H

#include "moat/base.h"

enum mode { MODE_AUDIT, MODE_STANDARD, MODE_PREVIEW, MODE_STRICT, MODE_COUNT };

/* What a denied sender sees: nothing, or an answer (TCP reset, ICMP admin-prohibited). */
enum deny { DENY_DROP, DENY_REJECT, DENY_COUNT };

enum direction { INGRESS, EGRESS, DIRECTION_COUNT };

const char *mode_name(enum mode mode);
bool mode_parse(const char *text, enum mode *ret); /* exact, lower case */
bool mode_is_tighter(enum mode a, enum mode than);
const char *deny_name(enum deny deny);
bool deny_parse(const char *text, enum deny *ret);
const char *direction_name(enum direction d); /* "ingress", "egress" */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the daemon, if it is there. One line of JSON each way over <podstore_dir>/policyd.sock:
 *
 *   {"op":"attach","key":"<network>/<containerID>:<ifname>"}   answered when the pod's policy is in the kernel, or waiting is useless
 *   {"op":"detach","key":"…"}                                  not answered
 *
 * A daemon that is absent, refuses, hangs or talks nonsense is no error: the pod is closed without it.
 */
#ifndef MOAT_PLUGIN_NOTIFY_H
#define MOAT_PLUGIN_NOTIFY_H

#include "moat/base.h"

enum notify_outcome {
	NOTIFY_ABSENT,   /* nobody took the line */
	NOTIFY_SENT,     /* it was taken, no answer came in time (or none was waited for) */
	NOTIFY_ANSWERED,
};

/* Returns after at most wait_ms in all: connecting, sending and the answer. 0 sends without waiting for the answer. */
enum notify_outcome notify_attach(const char *key, unsigned wait_ms);
enum notify_outcome notify_detach(const char *key);

#endif

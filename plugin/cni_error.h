/* SPDX-License-Identifier: Apache-2.0 */
/* How a verb fails: a code of the CNI specification (1.1.0, section 5, "Error") or one of moat's own, and two sentences. */
#ifndef MOAT_PLUGIN_CNI_ERROR_H
#define MOAT_PLUGIN_CNI_ERROR_H

#include <stdio.h>

#include "moat/err.h"

/*
 * Code 3 (container unknown) is absent: on ADD it would tell the runtime that no DEL is needed. The table in moat(8) is this one;
 * numbers are never reused.
 */
enum cni_code {
	CNI_OK = 0,
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_UNSUPPORTED_FIELD = 2,
	CNI_INVALID_ENVIRONMENT = 4,
	CNI_IO_FAILURE = 5, /* standard input, the pod store */
	CNI_DECODE_FAILURE = 6,
	CNI_INVALID_CONFIG = 7,
	CNI_TRY_AGAIN = 11, /* what may pass: memory, busy kernel */
	CNI_NOT_AVAILABLE = 50,
	CNI_NOT_AVAILABLE_LIMITED = 51, /* and pods that run already are concerned */

	CNI_NO_NETNS = 100,            /* CNI_NETNS is gone or no network namespace */
	CNI_NO_INTERFACE = 101,        /* CNI_IFNAME is not in it */
	CNI_UNSUPPORTED_PRIMARY = 102, /* no veth, a bridge that is not plain, no address */
	CNI_RULESET = 103,             /* the kernel refused the ruleset */
	CNI_PORT_CHANGED = 104,        /* the port was renamed or went during ADD */
	CNI_CONNTRACK = 105,           /* entries of former owners could not be deleted */
	CNI_NOT_PERMITTED = 106,       /* CAP_NET_ADMIN or CAP_SYS_ADMIN is missing */
	CNI_NOT_AS_ADDED = 107,        /* CHECK found a difference */
	CNI_GC_INCOMPLETE = 108,       /* GC could not delete everything that it should */
	CNI_BRIDGE = 109,              /* the bridge's settings could not be changed */
};

#define CNI_MSG_MAX 512

struct cni_error {
	enum cni_code code;
	char msg[CNI_MSG_MAX];      /* printable ASCII */
	char details[ERR_TEXT_MAX]; /* "" if there are none */
};

/* Replaces what is in e and returns the code. */
int cni_fail(struct cni_error *e, enum cni_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/*
 * The same with a cause as details. A cause that says "not permitted" or "not now" makes it CNI_NOT_PERMITTED or CNI_TRY_AGAIN
 * instead, since that is what the reader must do something about.
 */
int cni_fail_cause(struct cni_error *e, enum cni_code code, const struct err *cause, const char *fmt, ...) PRINTF_LIKE(4, 5);

#ifdef __clang_analyzer__ /* it sees one file at a time: that a failure has a code it is told here */
#define cni_fail(e, code, ...) ((void)cni_fail(e, code, __VA_ARGS__), (int)(code))
#define cni_fail_cause(e, code, cause, ...) ((void)cni_fail_cause(e, code, cause, __VA_ARGS__), (int)(code))
#endif

/* The error as the specification's JSON, on one line. */
void cni_error_print(const struct cni_error *e, const char *cni_version, FILE *out);

/* One line on standard error, which runtimes put into their log. */
void cni_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors are values: a function that can fail takes `struct err *` and returns 0 or a negative errno. The sentence in it
 * names the thing, what was found, what was expected and what to do. It lives on the caller's stack; nothing to release.
 */
#ifndef MOAT_ERR_H
#define MOAT_ERR_H

#include <errno.h>

#include "moat/base.h"

#define ERR_TEXT_MAX 1024

struct err {
	int code;                /* positive errno, 0 if none */
	char text[ERR_TEXT_MAX]; /* printable ASCII, NUL-terminated, cut with "..." */
};

/* Replaces what is in err (may be NULL). Returns -code, so that `return err_set(…)` is the one line of a failure. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "<context>: " before the sentence in err and returns -err->code. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* err_set with ": <strerror(code)>" at the end. */
int err_errno(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#ifdef __clang_analyzer__ /* it sees one file at a time: that a failure is negative it is told here */
#define err_set(err, code, ...) ((void)err_set(err, code, __VA_ARGS__), -EINVAL)
#define err_errno(err, code, ...) ((void)err_errno(err, code, __VA_ARGS__), -EIO)
#endif

#endif

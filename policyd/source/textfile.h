/* SPDX-License-Identifier: Apache-2.0 */
/* A small file that an administrator wrote, read whole. Links are followed: it may be a mounted ConfigMap's. */
#ifndef POLICYD_TEXTFILE_H
#define POLICYD_TEXTFILE_H

#include <sys/stat.h>

#include "moat/err.h"

/*
 * The text, with a NUL behind its *ret_len bytes (caller frees), or NULL: err says why, and of what (for a sentence: "conflist"). ret_st
 * (may be NULL): the file's, as it was before it was read.
 */
char *textfile_read(const char *what, const char *path, size_t max, size_t *ret_len, struct stat *ret_st, struct err *err);

#endif

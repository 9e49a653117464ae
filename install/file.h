/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the node: read bounded, put whole or not at all. */
#ifndef INSTALL_FILE_H
#define INSTALL_FILE_H

#include <sys/types.h>

#include "moat/err.h"

#define CONFLIST_MAX (1ul << 20) /* bytes of one configuration, as the plugin and the daemon have it */
#define PLUGIN_MAX (64ul << 20)  /* bytes of the binary */

/* A directory, to be given to the others; -errno. */
int file_open_dir(const char *path, struct err *err);

/*
 * The whole of a regular file, NUL-terminated, in *ret (caller frees). dir may be AT_FDCWD; links are followed: who may write in
 * these directories is the node's administrator. -ENOENT, -EFBIG beyond max bytes, -EINVAL for what is no regular file.
 */
int file_read(int dir, const char *name, size_t max, char **ret, size_t *ret_len, struct err *err);

/*
 * Makes the file have this content and mode: a temporary beside it, fsync, rename, fsync of the directory, so that nobody ever sees half
 * of it, after a power failure either. What is so already is left alone, and *ret_changed is false.
 */
int file_put(int dir, const char *name, const char *data, size_t len, mode_t mode, bool *ret_changed, struct err *err);

/* Takes it away, and what a killed file_put left. Not there is fine. */
int file_remove(int dir, const char *name, bool *ret_changed, struct err *err);
void file_sweep(int dir); /* temporaries that a killed file_put left */

#endif

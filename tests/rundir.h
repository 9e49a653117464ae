/* SPDX-License-Identifier: Apache-2.0 */
/* A pod store of one test's own: a temporary directory in MOAT_RUN_DIR. */
#ifndef MOAT_TESTS_RUNDIR_H
#define MOAT_TESTS_RUNDIR_H

#include "moat/attachment.h"

void rundir_make(void);   /* a checked fixture: before each test, */
void rundir_remove(void); /* and after */

/*
 * To the real kernel without touching the host: user and network namespaces of the calling process' own, with every
 * capability there. Before rundir_make; only in a process that Check forked.
 */
void rundir_leave_host(void);
bool rundir_netns_has_cookie(void); /* since Linux 5.14; without it no proof is recorded */

char *rundir_path(const char *below);                    /* the path in it; caller frees */
void rundir_write(const char *below, const char *text);  /* a file; its directory is there */
char *rundir_read(const char *below);                    /* its text; caller frees */
bool rundir_has(const char *below);                      /* anything, a dangling link too */
size_t rundir_count(void);                               /* entries that are not directories, at any depth, but for lock and proof */

/* An attachment net/<id>:eth0 with one address (NULL: none) at a port; attachment_free. */
struct attachment *rundir_attachment(const char *id, const char *port, const char *address);

#endif

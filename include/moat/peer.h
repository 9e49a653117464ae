/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of the control socket: both sides ask, though the directory is private already. */
#ifndef MOAT_PEER_H
#define MOAT_PEER_H

#include "moat/err.h"

/* A connected Unix stream socket. 0: root, or the user of this process. -EPERM: somebody else, whom err names. */
int peer_check(int fd, struct err *err);

#endif

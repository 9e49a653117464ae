/* SPDX-License-Identifier: Apache-2.0 */
/* A primary of moat's own: ptp, with addresses by host-local out of the ranges that the Node has. */
#ifndef INSTALL_STANDALONE_H
#define INSTALL_STANDALONE_H

#include "install/primary.h"

/* -EAGAIN: the daemon does not know the ranges yet, or does not answer. *ret is to be released by primary_done. */
int standalone_make(struct primary *ret, struct err *err);

/* The same for an answer of the daemon's op "status". */
int standalone_of_status(const cJSON *status, struct primary *ret, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon's changes cost while connection tracking is full of others' connections, and how soon a denied one is gone. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "bench/change.h"

/* The daemon follows the directory, which has the cluster of cluster.h. */
void crowd_measure(struct change_events *e, const char *directory);

#endif

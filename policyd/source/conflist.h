/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conflist as the daemon follows it: its moat entry's mode and deny hold for all attachments of its network,
 * its tunnelPorts for the node. */
#ifndef POLICYD_CONFLIST_H
#define POLICYD_CONFLIST_H

#include "policyd/model/cluster.h"

#define CONFLIST_BYTES_MAX (1u << 20)

struct conflist {
	char *path; /* NULL: none is followed */
	char *last; /* text of the version in force */
	char trouble[256]; /* why the file is not in force; "" */
};

void conflist_init(struct conflist *c, const char *path); /* path may be NULL */
void conflist_done(struct conflist *c);

/* Reads the file again; true if the cluster's modes changed. An unreadable or wrong file changes nothing, and is told. */
bool conflist_read(struct conflist *c, struct cluster *cluster);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The baseline's file as the daemon follows it. One with an error, or that is gone, leaves the last good version in force, and is told. To
 * take everything back, write one without entities and rules.
 */
#ifndef POLICYD_BASELINE_FILE_H
#define POLICYD_BASELINE_FILE_H

#include <sys/stat.h>

#include "policyd/model/cluster.h"

#define BASELINE_BYTES_MAX (1u << 20) /* what a ConfigMap may have */
#define BASELINE_MESSAGES_MAX 20

struct baseline_file {
	char *path;       /* NULL: none is followed */
	struct stat seen; /* of the version that was looked at last */
	bool looked;
	bool in_force;    /* some version of it is */
	char *text;       /* of that one */
	size_t text_len;
	size_t rules;     /* of that, entities' too */
	VEC(char *) errors, warnings; /* of the version that was looked at last */
};

void baseline_file_init(struct baseline_file *f, const char *path); /* path may be NULL */
void baseline_file_done(struct baseline_file *f);

/* Looks at the file; true if the cluster's baseline changed. */
bool baseline_file_read(struct baseline_file *f, struct cluster *cluster);

#endif

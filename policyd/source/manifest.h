/* SPDX-License-Identifier: Apache-2.0 */
/* Source `manifests`: a directory of YAML and JSON files, followed as they change. manifest.c has the theory. */
#ifndef POLICYD_MANIFEST_H
#define POLICYD_MANIFEST_H

#include "moat/table.h"
#include "policyd/model/cluster.h"
#include "policyd/decode/decode.h"
#include "policyd/source/turns.h"

#define MANIFEST_FILES_MAX 20000 /* per directory: two files per pod of a cluster of 10,000 */

/* One file that is or was there. */
struct manifest_file {
	char *name; /* without directory; the hash key */
	VEC(char *) errors, warnings;
	bool stale;    /* an error: what is in force is its last good version */
	bool lost;     /* an error and no good version: part of what it says is unknown */
	bool had_good; /* some version of it was good */
	bool in_batch, seen; /* while a batch is read */
	struct manifest_claim *claims; /* objects of its version in force */
	UT_hash_handle hh;
};

struct manifest_source {
	char *directory;
	struct cluster *cluster; /* not owned: where objects go */
	int inotify;             /* readable: call manifest_read_events */
	int watch;               /* -1 while the directory is missing */
	bool synced;             /* the directory was read whole once */
	char missing[256];       /* why the directory cannot be read; "" if it can */
	struct manifest_file *files;
	size_t n_lost; /* files with ->lost */
	bool too_many; /* more files than MANIFEST_FILES_MAX: some were not read */
	struct waiting_file *waiting; /* changed, and not read yet */
	struct turns *turns; /* not owned: which namespace's files are read; NULL: all at once */
	uint64_t next_us;    /* CLOCK_MONOTONIC: when the first of those that wait may be read; 0: none waits */
	struct manifest_holder *holders; /* which file an object in force comes from */
};

int manifest_init(struct manifest_source *s, const char *directory, struct cluster *cluster, struct err *err);
void manifest_done(struct manifest_source *s);

/*
 * Reads the directory whole: new and changed files are taken, vanished ones dropped. If the directory is missing nothing is
 * dropped; call again (the daemon does, each second). True if the cluster may have changed.
 */
bool manifest_scan(struct manifest_source *s);

size_t manifest_count_objects(const struct manifest_source *s); /* in force */

size_t manifest_count_waiting(const struct manifest_source *s); /* files */

/*
 * Takes what inotify says, all that is there at once, and reads the files it names, and that waited, if it is their turn; call again at
 * next_us. True if the cluster may have changed.
 */
bool manifest_read_events(struct manifest_source *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz targets. Each is a function of bytes that checks what must hold whatever the bytes are, and aborts where it does not. Two
 * programs call it: libFuzzer (entry.c, one program per target), and tests/test_fuzz.c, which replays the committed corpora with any
 * compiler. No target asks the kernel: netlink is answered by kernel.c.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdio.h>

#include "moat/base.h"

struct fuzz_target {
	const char *name;
	void (*prepare)(void); /* once per process; NULL: nothing */
	void (*run)(const uint8_t *data, size_t len);
};

extern const struct fuzz_target fuzz_plugin;    /* environment, standard input */
extern const struct fuzz_target fuzz_manifest;  /* a file of the manifests' directory, down to profiles */
extern const struct fuzz_target fuzz_policy;    /* the spec of one NetworkPolicy, likewise */
extern const struct fuzz_target fuzz_selector;  /* selectors and ports as the model has them */
extern const struct fuzz_target fuzz_cluster;   /* changes of a cluster, one after the other */
extern const struct fuzz_target fuzz_netlink;   /* what the kernel answers */
extern const struct fuzz_target fuzz_watch;     /* what the kernel tells of changes */
extern const struct fuzz_target fuzz_control;   /* what clients say to the daemon */
extern const struct fuzz_target fuzz_moatctl;   /* what the daemon says to moatctl */
extern const struct fuzz_target fuzz_podstore;  /* state files and index links */
extern const struct fuzz_target fuzz_kube;      /* what an API server answers */
extern const struct fuzz_target fuzz_conflist;  /* the conflist that the daemon follows */

#define FUZZ_CHECK(condition)                                                                                          \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                 \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* Bytes taken from the front: what is not there is zero. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};
uint8_t fuzz_byte(struct fuzz_input *in);
/* Up to and without the first `end`, which is taken too; without one all the rest. A copy; caller frees. NUL bytes end it early. */
char *fuzz_text_until(struct fuzz_input *in, char end);

/* A directory of this process' own in MOAT_RUN_DIR, removed at exit; fuzz_rundir_clear empties it. */
void fuzz_rundir_make(void);
void fuzz_rundir_clear(void);
char *fuzz_rundir_path(const char *below); /* caller frees */
void fuzz_write_file(const char *path, const void *data, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the manifest source share: manifest.c has the theory, manifest_events.c follows the directory. */
#ifndef POLICYD_MANIFEST_INTERNAL_H
#define POLICYD_MANIFEST_INTERNAL_H

#include "policyd/source/manifest.h"

/* An object that a file names, with its decoded form until the cluster takes it. */
struct manifest_claim {
	struct object *object; /* NULL once handed over */
	enum object_kind kind;
	char *ns, *name;
	char *key;
	struct manifest_claim *next;
};

struct manifest_holder {
	char *key; /* "kind/namespace/name" */
	struct manifest_file *file; /* NULL: let go during this batch */
	const struct manifest_claim *claim; /* of file: which one, if it names the object twice */
	UT_hash_handle hh;
};

/* Files that a batch of changes reads anew, and objects that their former versions held. */
struct batch {
	VEC(struct manifest_file *) files;
	VEC(struct manifest_holder *) loose;
};

bool manifest_is_one(const char *name);
/* Reads a file into the batch; manifest_settle gives what the batch says to the cluster. */
void manifest_load(struct manifest_source *s, struct batch *b, const char *name);
void manifest_settle(struct manifest_source *s, struct batch *b);
void manifest_set_missing(struct manifest_source *s, const char *why);

void manifest_forget_waiting(struct manifest_source *s);

#endif

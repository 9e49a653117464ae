/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of one kind that an API server told of: which are in force, and those of a new list, until it is complete and
 * replaces them. While a new list is kept, events go to it and not to the cluster.
 *
 * What is told but cannot be read: its last good version stays in force; of a NetworkPolicy that never had one, its closed reading
 * (decode.h); other objects are as if they were not there, so that pods that depend on them are closed.
 */
#ifndef POLICYD_KUBE_STORE_H
#define POLICYD_KUBE_STORE_H

#include "moat/table.h"
#include "policyd/model/cluster.h"
#include "policyd/decode/doc.h"
#include "policyd/source/turns.h"

#define KUBE_VERSION_MAX 64 /* characters of a resourceVersion; those of etcd have 20 */
#define KUBE_OBJECTS_MAX 1000000 /* of one kind: Kubernetes is made for 150,000 pods */

struct kube_entry {
	char *key; /* "namespace/name", or "name" */
	char *uid;
	char *error;           /* why the newest version could not be read; NULL: it could */
	struct object *object; /* of a new list: what is to be in force */
	bool keep;             /* of a new list: what is in force is to stay */
	bool in_force;         /* there is a version in force, or to be */
	bool good;             /* and that is a good one, no closed reading */
	UT_hash_handle hh;
};

struct kube_store {
	enum object_kind kind;
	struct cluster *cluster;
	struct turns *turns;        /* not owned: whose changes wait; NULL: nobody's */
	struct kube_waiting *waiting; /* the newest version of each object that waits for its namespace's turn */
	struct kube_entry *objects; /* in force */
	struct kube_entry *fresh;   /* the new list */
	bool listing;               /* there is a new list */
};

void kube_store_init(struct kube_store *s, enum object_kind kind, struct cluster *cluster);
void kube_store_done(struct kube_store *s); /* what is in force stays with the cluster */

/* A new list; one that was there is dropped. What waits for its turn waits no more: true if the cluster was changed by that. */
bool kube_store_begin(struct kube_store *s);
void kube_store_drop(struct kube_store *s);
void kube_store_take(struct kube_store *s);  /* the new list is complete: it replaces what is in force */

/*
 * Those whose turn it is by now (CLOCK_MONOTONIC), or all of them: true if the cluster was changed. *ret_next_us: when the first of the
 * others may be the next; 0: none waits.
 */
bool kube_store_take_turns(struct kube_store *s, bool all, uint64_t now_us, uint64_t *ret_next_us);
size_t kube_store_count_waiting(const struct kube_store *s);

/*
 * An object was listed, added, changed or (deleted) deleted. ret_version: its resourceVersion, KUBE_VERSION_MAX bytes. An error if it
 * is none of this kind or there is no telling which: then the sender is not to be believed, and nothing was changed.
 * With turns it may wait, once for all that happens to it until its turn.
 */
int kube_store_put(struct kube_store *s, const struct doc *root, bool deleted, char *ret_version, struct err *err);

/* metadata.resourceVersion, as it may be in a URL. */
int kube_version_of(const struct doc *root, char *ret, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Adoption: pods of this node that have no attachment, because they ran before moat did, get one. adopt.c has the theory. */
#ifndef POLICYD_ADOPT_H
#define POLICYD_ADOPT_H

#include "moat/table.h"
#include "policyd/source/attachments.h"

/* Why an escape is still one. */
struct adopt_refusal {
	char *pod; /* "namespace/name" */
	char *uid; /* may be NULL */
	char *why;
	bool seen;
	UT_hash_handle hh;
};

struct adopt {
	struct cluster *cluster;         /* neither owned */
	struct attachments *attachments;
	struct nl *nl; /* nor this: its changes are no stranger's to the watch */
	bool enforce; /* --adopt=enforce: at once as any other pod */
	struct adopt_refusal *refusals;
	unsigned adopted; /* since the start */
};

void adopt_init(struct adopt *a, struct cluster *cluster, struct attachments *attachments, struct nl *nl, bool enforce);
void adopt_done(struct adopt *a);

/*
 * Adopts what escapes there are; again: also those of which that has failed before. True if the cluster changed. Before reconciliation, so that
 * no rule about addresses that nobody guards meets them.
 */
bool adopt_escapes(struct adopt *a, bool again);
const char *adopt_why_not(const struct adopt *a, const struct object *pod); /* NULL: not tried yet */

/* No DEL may come for an adopted pod: once its link has gone, so does it. True if the cluster changed. */
bool adopt_release_gone(struct adopt *a);

/*
 * The adopted pod of that name (NULL, NULL: each) is enforced from now on, and its open connections are judged. Returns how many there were, or
 * a negative errno if one could not be written.
 */
int adopt_enforce(struct adopt *a, const char *ns, const char *name, struct err *err);

#endif

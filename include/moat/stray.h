/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strays: chains and elements of a pod that no attachment of the pod store has. Its state file was lost, or a DEL came between a
 * look at the store and a commit. While the link is there the pod may still run: it is closed and stays. When the link has gone
 * everything goes. stray.c says why that is safe beside a new ADD.
 */
#ifndef MOAT_STRAY_H
#define MOAT_STRAY_H

#include "moat/addr.h"
#include "moat/nl.h"
#include "moat/txn.h"

/* An element of pods' sets that is no known pod's. */
struct stray_element {
	const struct set_spec *set;
	struct key key, value; /* value: of a map to values */
	char chain[CHAIN_NAME_MAX]; /* its verdict goes there; "": none */
};

/* What stands and no attachment of the pod store wants, the store having been read after the kernel. */
struct leftovers {
	VEC(struct stray_element) elements;
	VEC(char *) chains;
};
void leftovers_done(struct leftovers *l);

enum stray_fate {
	STRAY_STAYS,              /* a pod's port and addresses: closed */
	STRAY_PORT_STAYS,         /* a port alone */
	STRAY_TAKEN_AWAY,         /* a pod's port and addresses */
	STRAY_ELEMENT_TAKEN_AWAY, /* of the set with this name */
	STRAY_REFUSED,            /* err says why */
};

struct stray_judge {
	struct nl *nl;
	bool (*has_addr)(const struct addr *addr, void *arg); /* is it an attachment's? */
	void (*told)(enum stray_fate fate, const char *what, const struct err *err, void *arg); /* what is fit to be printed */
	void *arg;
};

/* Takes what can go, closes what must stay. False: the kernel refused something. The caller holds the pod store's lock. */
bool stray_settle(const struct leftovers *found, const struct stray_judge *judge);

#endif

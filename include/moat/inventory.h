/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What should be in moat's tables, beside what is. Wanted is what a transaction would put: the messages that make it are read as the
 * kernel's own are, so that there is no second description of anything. Rules are compared by their tags and their place
 * in the chain, elements by everything they have. Elements of sets with a timeout come and go, and are left out.
 */
#ifndef MOAT_INVENTORY_H
#define MOAT_INVENTORY_H

#include "moat/elements.h"
#include "moat/txn.h"

enum inventory_kind { INVENTORY_CHAIN, INVENTORY_RULE, INVENTORY_SET, INVENTORY_ELEMENT };

struct inventory_object {
	enum table table;
	enum inventory_kind kind;
	const char *name;       /* of the chain (a rule's too), or of the set */
	struct element element; /* INVENTORY_ELEMENT, of the kernel's objects only */
	void *owner;            /* of wanted objects only */
	uint64_t id;            /* of all that it is, the same in every inventory */
};

struct inventory;
struct inventory *inventory_new(void);
void inventory_free(struct inventory *inv); /* accepts NULL */

/* Everything that the transaction adds, but for elements of the set `except` (may be NULL). It may delete nothing that is wanted. */
void inventory_want(struct inventory *inv, struct txn *t, const char *except, void *owner);

/*
 * Dumps a table and calls extra for what stands and is not wanted, then missing for what is wanted in this table and does not stand.
 * Texts and keys are valid during the call. A table that is not there holds nothing. Returns 0 or a negative errno.
 */
typedef void (*inventory_fn)(const struct inventory_object *o, void *arg);
int inventory_compare(struct inventory *inv, struct nl *nl, enum table table, inventory_fn extra, inventory_fn missing, void *arg);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications of nftables about moat's tables. The kernel sends those of one transaction together, while it holds the
 * lock of all transactions, and then the number of the generation that it made: numbers are consecutive, whoever commits,
 * so a number that is missing is a transaction that was not heard of.
 */
#ifndef MOAT_TABLE_EVENT_H
#define MOAT_TABLE_EVENT_H

#include "moat/elements.h"
#include "moat/nl.h"
#include "moat/txn.h"

enum table_event_kind {
	TABLE_EVENT_TABLE = 1,
	TABLE_EVENT_CHAIN,
	TABLE_EVENT_RULE,
	TABLE_EVENT_SET,
	TABLE_EVENT_ELEMENTS,
	TABLE_EVENT_GENERATION, /* the end of somebody's transaction, on whatever table */
};

struct table_event {
	enum table_event_kind kind;
	enum table table;
	bool added;                    /* or changed; else deleted */
	const char *name;              /* of the chain (a rule's too) or the set; "" for others */
	const struct nlattr *elements; /* TABLE_EVENT_ELEMENTS: for elements_each */
	uint32_t generation;           /* TABLE_EVENT_GENERATION, */
	uint32_t pid;                  /* and whose: 0 and "" if the kernel does not say */
	const char *process;
};

/* False for what is none of these, or another table's. The texts are the message's. */
bool table_event_parse(const struct nlmsghdr *nlh, struct table_event *ret);

/* The number of the present generation. Returns 0 or a negative errno. */
int table_generation(struct nl *nl, uint32_t *ret);

#endif

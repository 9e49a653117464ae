/* SPDX-License-Identifier: Apache-2.0 */
/* ruleset_prove for a process that is short: what was proved is not proved again while nobody changed anything. */
#ifndef MOAT_PROOF_H
#define MOAT_PROOF_H

#include "moat/txn.h"

struct proof_record {
	char boot[40];        /* the kernel's boot id: */
	uint64_t netns;       /* cookies of network namespaces begin anew with each boot */
	uint32_t generation;  /* of the namespace's nftables; 0: unknown, nothing is recorded */
	uint32_t unused;
	uint64_t static_part[2]; /* by table, a hash of the rules that stood then; 0: not known to stand */
	uint64_t check;       /* a hash of all that */
};

struct proof {
	struct nl *nl;
	struct proof_record now; /* what is known to stand */
};

/* Reads the record, unless it is not to be trusted, and asks the kernel whether it still counts. nl stays the caller's. */
void proof_begin(struct proof *p, struct nl *nl, bool trust);

/* As ruleset_prove. */
int proof_make(struct proof *p, enum table table, struct err *err);

/* The transaction that is to be committed writes the static part of the table anew. */
void proof_renew(struct proof *p, enum table table);

/*
 * After one transaction of ours that was committed and certainly changed something (a rule added, anything deleted): records what stands,
 * if no other one was committed since proof_begin.
 */
void proof_keep(struct proof *p);

/* Likewise, and nothing is recorded: another transaction of ours follows. False: nothing will be. */
bool proof_pass(struct proof *p);

/* txn_commit of a transaction that may change nothing, handing the record on; not if it writes static rules: they may be another version's. */
int proof_commit(struct txn *t, struct nl *nl, struct err *err);

#endif

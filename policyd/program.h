/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles and groups in the kernel: which chains, maps and sets one of them is, under which names. Queues operations,
 * decides nothing.
 *
 * A name is a letter or two, the definition's hash, and the epoch: a number of this daemon's run. After a restart or a
 * surprise everything is made anew under a new epoch beside what stands, then swapped in, then the old is taken away: the one
 * way that a change goes, and it owes nothing to what it finds.
 *
 *	p-<hash>-<epoch>    profile chain                   m-<hash>-<epoch>   its map port range . protocol → group
 *	gid-<hash>-<epoch>  group chain; i, e: direction;   a4-, a6-           its members
 *	                    d, r, o: the end it goes to     b4-, b6-           its blocks (never edited)
 *	                                                    t4-, t6-           endpoints: address . protocol . port
 */
#ifndef POLICYD_PROGRAM_H
#define POLICYD_PROGRAM_H

#include "moat/txn.h"
#include "policyd/compile.h"

#define EPOCH_MAX 12
#define PROGRAM_VARIANTS (DIRECTION_COUNT * END_COUNT) /* group chains: one per direction and end in use */

/* The chain that a pod's chain goes to: an end for an empty profile, `open`, or the profile's own chain. */
const char *program_target(const struct profile *p, const char *epoch, char buf[CHAIN_NAME_MAX]);

/* Does this profile need chains of its own? */
bool program_needs_chain(const struct profile *p);

/* The group's sets with all members. */
void program_add_group(struct txn *t, const struct group *g, const char *epoch);
void program_delete_group_sets(struct txn *t, const struct group *g, const char *epoch);
void program_change_member(struct txn *t, const struct group *g, const char *epoch, const struct member_change *change);

/* The group's chain for a direction and an end; variant is its number below PROGRAM_VARIANTS. */
unsigned program_variant(const struct profile *p);
void program_add_group_chain(struct txn *t, const struct group *g, unsigned variant, const char *epoch);
void program_delete_group_chain(struct txn *t, const struct group *g, unsigned variant, const char *epoch);

/* The profile's map and chain; its groups' sets and chains must be queued or committed before. */
void program_add_profile(struct txn *t, const struct profile *p, const char *epoch);
void program_delete_profile(struct txn *t, const struct profile *p, const char *epoch);

/* Is this the name of a chain or set that program.c makes? *ret_current: of this epoch. */
bool program_owns_name(const char *name, const char *epoch, bool *ret_current);

#endif

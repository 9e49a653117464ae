/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles and groups in the kernel: which chains, maps and sets one of them is, under which names. Queues operations,
 * decides nothing.
 *
 * A name is a letter or two, a number, and the epoch: a number of this daemon's run. After a restart or a surprise everything
 * is made anew under a new epoch beside what stands, then swapped in, then the old is taken away: the one way that a change
 * goes, and it owes nothing to what it finds. Numbers are given as profiles and groups are installed, and never again
 * within an epoch. (The definition's hash would do as well, but the kernel looks for a set by its name through all sets
 * of a table: with 2,100 of them, names of 44 letters instead of 15 doubled what a policy change costs.)
 *
 *	p-<number>-<epoch>    profile chain                   m-<number>-<epoch>   its map port range . protocol → group
 *	gid-<number>-<epoch>  group chain; i, e: direction;   a4-, a6-             its members
 *	                      d, r, o: the end it goes to     b4-, b6-             its blocks (never edited)
 *	                                                      t4-, t6-             endpoints: address . protocol . port
 *	                                                      r4-, r6-             the node's pod ranges (net.c)
 *
 * Everything comes in two steps. First the sets and maps, and the chains, empty: the maps go to them. Then the rules, in
 * the very transaction that swaps them in: new chains are as atomic as new rules are, only sets are not, and the kernel
 * walks all that base chains reach once for each transaction that has a rule in it.
 */
#ifndef POLICYD_PROGRAM_H
#define POLICYD_PROGRAM_H

#include "moat/txn.h"
#include "policyd/model/compile.h"

#define EPOCH_DIGITS 8
#define EPOCH_MAX (EPOCH_DIGITS + 1)
#define PROGRAM_VARIANTS (DIRECTION_COUNT * END_COUNT) /* group chains: one per direction and end in use */

struct epoch {
	char name[EPOCH_MAX];
	uint32_t numbers; /* given so far */
	bool family[2];   /* groups have member sets for IPv4, IPv6: half of all sets are for a family that most clusters do not use */
};

/* The chain that a pod's chain goes to: an end for an empty profile, `open`, or the profile's own chain. */
const char *program_target(const struct profile *p, const struct epoch *epoch, char buf[CHAIN_NAME_MAX]);

/* Does this profile need chains of its own? */
bool program_needs_chain(const struct profile *p);

/* The group's sets with all members. */
void program_add_group(struct txn *t, const struct group *g, const struct epoch *epoch);
void program_delete_group_sets(struct txn *t, const struct group *g, const struct epoch *epoch);
void program_change_member(struct txn *t, const struct group *g, const struct epoch *epoch, const struct member_change *change);

/* The group's chain for a direction and an end; variant is its number below PROGRAM_VARIANTS. */
unsigned program_variant(const struct profile *p);
void program_add_group_chain(struct txn *t, const struct group *g, unsigned variant, const struct epoch *epoch);
void program_fill_group_chain(struct txn *t, const struct group *g, unsigned variant, const struct epoch *epoch);
void program_delete_group_chain(struct txn *t, const struct group *g, unsigned variant, const struct epoch *epoch);

/* The profile's chain and map; its groups' chains must be queued or committed before. */
void program_add_profile(struct txn *t, const struct profile *p, const struct epoch *epoch);
void program_fill_profile(struct txn *t, const struct profile *p, const struct epoch *epoch);
void program_delete_profile(struct txn *t, const struct profile *p, const struct epoch *epoch);

/* The map of the node's pod ranges (net.c). */
const char *program_ranges_name(int f, uint32_t number, const struct epoch *epoch, char buf[CHAIN_NAME_MAX]);

/* Is this the name of a chain or set that program.c makes, or made in an earlier version? *ret_current: of this epoch. */
bool program_owns_name(const char *name, const struct epoch *epoch, bool *ret_current);

#endif

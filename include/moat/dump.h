/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in table inet moat, asked of the kernel. */
#ifndef MOAT_DUMP_H
#define MOAT_DUMP_H

#include "moat/nl.h"

/* Calls fn with the name of every chain (set) of the table. Without a table: none. Returns 0 or a negative errno. */
typedef void (*dump_name_fn)(const char *name, void *arg);
int dump_chains(struct nl *nl, dump_name_fn fn, void *arg);
int dump_sets(struct nl *nl, dump_name_fn fn, void *arg);

/* Calls fn with the key of every element of a set. Without the set: none. */
typedef void (*dump_key_fn)(const void *key, size_t len, void *arg);
int dump_elements(struct nl *nl, const char *set, dump_key_fn fn, void *arg);

/* Packets counted by the counters of the chain; 0 if there is none. */
uint64_t dump_counter(struct nl *nl, const char *chain);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of sets as the kernel tells them, in dumps and in notifications: read in place, nothing is copied. */
#ifndef MOAT_ELEMENTS_H
#define MOAT_ELEMENTS_H

#include "moat/base.h"

struct nlattr;

struct element {
	const void *key, *key_end; /* key_end NULL: a single key */
	uint16_t key_len, key_end_len;
	uint32_t flags;    /* NFT_SET_ELEM_* */
	const void *data;  /* of a map to values, else NULL */
	uint16_t data_len;
	int32_t verdict;   /* NFT_GOTO, NF_ACCEPT …; 0 without one */
	const char *chain; /* of a goto or jump, else "" */
};

/* Calls fn for each element of a NFTA_SET_ELEM_LIST_ELEMENTS attribute; NULL has none. */
typedef void (*element_fn)(const struct element *e, void *arg);
void elements_each(const struct nlattr *list, element_fn fn, void *arg);

#endif

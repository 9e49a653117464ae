/* SPDX-License-Identifier: Apache-2.0 */
/* What txn.c, txn_set.c and rule.c share: the queue of messages and the rule that is being built. */
#ifndef CORE_TXN_INTERNAL_H
#define CORE_TXN_INTERNAL_H

#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "moat/rule.h"
#include "moat/txn.h"

#define MESSAGE_BYTES_MAX (80ul * 1024) /* one message: a chunk of elements below 64 KiB, and its frame */

struct txn {
	char *bytes; /* the messages, without the frame of the batch */
	size_t len, cap;
	VEC(char *) labels; /* of message i, for errors: "add element ports" */
	uint32_t set_id;    /* sets need a number of their own within a batch */
	struct nl *parts; /* txn_allow_parts: where parts go; NULL: all at once */
	struct err part_error;
	uint32_t only_at; /* txn_only_at; generations are counted from 1 */

	enum table table; /* txn_on */
	bool without_bridge;

	struct nftnl_set *elements; /* an element list still growing: queued before anything else is */
	enum table elements_table;
	uint16_t elements_type;     /* NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM */
	unsigned n_elements;

	bool in_rule; /* between rule_begin and rule_end */
	struct nftnl_rule *rule;
	uint64_t tag;            /* of the expressions so far */
	uint8_t note[RULE_NOTE_MAX]; /* that the rule carries */
	uint8_t note_len;
	uint32_t reg;            /* next free 32-bit register, */
	uint32_t reg_key;        /* and the first of the key being loaded */
	uint8_t family;          /* address family this rule has checked, 0 none */
	uint8_t l4proto;         /* likewise */
	uint16_t ether_type;     /* likewise, in table bridge moat */
	VEC(struct rule_tag) tags; /* of the tagged rules, in order */
	bool tags_only;            /* proof: rules are made for their tags and not queued */
};

struct rule_tag {
	const char *chain; /* static text */
	uint64_t tag;
};

uint8_t table_family(enum table table); /* NFPROTO_* */
const char *table_name(enum table table);

/* Starts a message in a scratch buffer; txn_message_end appends it to the queue under the label (taken). */
struct nlmsghdr *txn_message_begin(struct txn *t, enum table table, void *scratch, uint16_t type, uint16_t flags);
void txn_message_end(struct txn *t, const struct nlmsghdr *nlh, char *label);
void txn_elements_flush(struct txn *t);

/* What copies may have no memory for the copy: an object without one of its parts is never sent. */
#define MUST_COPY(call)                                                                                                \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			abort();                                                                                       \
	} while (0)

/* nftnl objects come from here: NULL aborts. */
#define MUST(ptr)                                                                                                      \
	({                                                                                                             \
		__typeof__(ptr) must_ = (ptr);                                                                         \
		if (!must_)                                                                                            \
			abort();                                                                                       \
		must_;                                                                                                 \
	})

#endif

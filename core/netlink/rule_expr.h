/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of nf_tables: what phrases (rule.c, rule_link.c) are made of. Each phrase allocates registers as it loads, and
 * gives them back when it has compared or looked up (expr_reg_reset).
 */
#ifndef CORE_RULE_EXPR_H
#define CORE_RULE_EXPR_H

#include "core/netlink/txn_internal.h"

/* An expression, its attributes, and its place at the end of the rule. NULL, and not an error, while only tags are wanted. */
struct nftnl_expr *expr_new(struct txn *t, const char *name);
void expr_put_bytes(struct txn *t, struct nftnl_expr *e, uint16_t attr, const void *data, uint32_t len);
void expr_put_number(struct txn *t, struct nftnl_expr *e, size_t size, uint16_t attr, uint64_t value); /* size: bytes of the attribute */
void expr_put_text(struct txn *t, struct nftnl_expr *e, uint16_t attr, const char *text);
void expr_push(struct txn *t, struct nftnl_expr *e);

/* Registers for a key of len bytes: 32-bit ones from NFT_REG32_00 on, as many as it needs. */
uint32_t expr_reg_take(struct txn *t, size_t len);
void expr_reg_reset(struct txn *t);

/* Loads: the register is returned. */
uint32_t expr_meta(struct txn *t, uint32_t key, size_t len);
uint32_t expr_payload(struct txn *t, uint32_t base, uint32_t offset, uint32_t len);

void expr_bitwise_and(struct txn *t, uint32_t reg, const void *mask, uint32_t len); /* in place; at most 16 bytes */
void expr_cmp(struct txn *t, uint32_t reg, uint32_t op, const void *data, uint32_t len);
/* Looks up what was loaded since the last reset, which aborts if it is nothing; the caller pushes. */
struct nftnl_expr *expr_lookup(struct txn *t, const char *set);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions of nf_tables: what phrases (rule.c, rule_link.c) are made of. */
#include "core/netlink/rule_expr.h"

#include <libnftnl/expr.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

/*
 * Every expression and attribute of a rule goes into its tag. For a proof, which only wants the tags, that is all that happens:
 * there are no nftnl objects then, and `e` is NULL.
 */
static void mix(struct txn *t, const void *data, size_t len)
{
	/* FNV-1a, 64 bits: tells versions of our own rules apart; nobody's input gets here */
	for (const uint8_t *p = data; len--; p++)
		t->tag = (t->tag ^ *p) * 0x100000001b3u;
}

struct nftnl_expr *expr_new(struct txn *t, const char *name)
{
	mix(t, name, strlen(name) + 1);
	return t->tags_only ? NULL : MUST(nftnl_expr_alloc(name));
}

void expr_put_bytes(struct txn *t, struct nftnl_expr *e, uint16_t attr, const void *data, uint32_t len)
{
	mix(t, &attr, sizeof(attr));
	mix(t, data, len);
	if (e && nftnl_expr_set(e, attr, data, len) < 0)
		abort();
}

void expr_put_number(struct txn *t, struct nftnl_expr *e, size_t size, uint16_t attr, uint64_t value)
{
	uint8_t u8 = (uint8_t)value;
	uint16_t u16 = (uint16_t)value;
	uint32_t u32 = (uint32_t)value;

	expr_put_bytes(t, e, attr, size == 1 ? (void *)&u8 : size == 2 ? (void *)&u16 : size == 4 ? (void *)&u32 : (void *)&value, (uint32_t)size);
}

void expr_put_text(struct txn *t, struct nftnl_expr *e, uint16_t attr, const char *text)
{
	mix(t, &attr, sizeof(attr));
	mix(t, text, strlen(text) + 1);
	if (e)
		MUST_COPY(nftnl_expr_set_str(e, attr, text));
}

void expr_push(struct txn *t, struct nftnl_expr *e)
{
	if (e)
		nftnl_rule_add_expr(t->rule, e);
}

uint32_t expr_reg_take(struct txn *t, size_t len)
{
	uint32_t reg = t->reg;

	t->reg += (uint32_t)((len + 3) / 4);
	if (t->reg > NFT_REG32_15 + 1)
		abort();
	return reg;
}

void expr_reg_reset(struct txn *t)
{
	t->reg = t->reg_key = NFT_REG32_00;
}

void expr_cmp(struct txn *t, uint32_t reg, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *e = expr_new(t, "cmp");

	expr_put_number(t, e, 4, NFTNL_EXPR_CMP_SREG, reg);
	expr_put_number(t, e, 4, NFTNL_EXPR_CMP_OP, op);
	expr_put_bytes(t, e, NFTNL_EXPR_CMP_DATA, data, len);
	expr_push(t, e);
}

uint32_t expr_meta(struct txn *t, uint32_t key, size_t len)
{
	struct nftnl_expr *e = expr_new(t, "meta");
	uint32_t reg = expr_reg_take(t, len);

	expr_put_number(t, e, 4, NFTNL_EXPR_META_KEY, key);
	expr_put_number(t, e, 4, NFTNL_EXPR_META_DREG, reg);
	expr_push(t, e);
	return reg;
}

uint32_t expr_payload(struct txn *t, uint32_t base, uint32_t offset, uint32_t len)
{
	struct nftnl_expr *e = expr_new(t, "payload");
	uint32_t reg = expr_reg_take(t, len);

	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_BASE, base);
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_LEN, len);
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_DREG, reg);
	expr_push(t, e);
	return reg;
}

void expr_bitwise_and(struct txn *t, uint32_t reg, const void *mask, uint32_t len)
{
	static const uint8_t zero[16];
	struct nftnl_expr *e = expr_new(t, "bitwise");

	expr_put_number(t, e, 4, NFTNL_EXPR_BITWISE_SREG, reg);
	expr_put_number(t, e, 4, NFTNL_EXPR_BITWISE_DREG, reg);
	expr_put_number(t, e, 4, NFTNL_EXPR_BITWISE_LEN, len);
	expr_put_bytes(t, e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	expr_put_bytes(t, e, NFTNL_EXPR_BITWISE_XOR, zero, len);
	expr_push(t, e);
}

struct nftnl_expr *expr_lookup(struct txn *t, const char *set)
{
	struct nftnl_expr *e = expr_new(t, "lookup");

	if (t->reg == t->reg_key)
		abort(); /* nothing was loaded */
	expr_put_number(t, e, 4, NFTNL_EXPR_LOOKUP_SREG, t->reg_key);
	expr_put_text(t, e, NFTNL_EXPR_LOOKUP_SET, set);
	expr_reg_reset(t);
	return e;
}


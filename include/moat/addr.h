/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses and blocks, both families, network byte order. */
#ifndef MOAT_ADDR_H
#define MOAT_ADDR_H

#include "moat/err.h"

#define ADDR_TEXT_MAX 46  /* INET6_ADDRSTRLEN */
#define BLOCK_TEXT_MAX 50 /* address, slash, three digits, NUL */

struct addr {
	uint8_t family;    /* AF_INET or AF_INET6 */
	uint8_t bytes[16]; /* network order; the first 4 for AF_INET, the rest zero */
};

/* A CIDR block; bits beyond `prefix` are zero (addr_parse_block masks them). */
struct block {
	struct addr base;
	uint8_t prefix; /* 0…32 or 0…128 */
};

/*
 * Text to address: one IPv4 or IPv6 literal, no zone, no prefix. Leading zeros of an IPv4 part are decimal (legacy zeros, as
 * Kubernetes reads them: "010.0.0.1" is 10.0.0.1). -EINVAL names the text. IPv4-mapped IPv6 (::ffff:a.b.c.d) is -EINVAL too:
 * the kernel never puts it on the wire, so a rule for it would guard nothing.
 */
int addr_parse(const char *text, struct addr *ret, struct err *err);

/* "address/prefix"; bits beyond the prefix are masked, as the API server warns about but accepts. */
int addr_parse_block(const char *text, struct block *ret, struct err *err);

size_t addr_len(const struct addr *a);  /* bytes: 4 or 16 */
uint8_t addr_bits(const struct addr *a); /* 32 or 128 */
int addr_cmp(const struct addr *a, const struct addr *b); /* total order: family, then bytes */
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_in_block(const struct addr *a, const struct block *b);
bool addr_is_pod_address(const struct addr *a); /* unicast, not loopback, link-local, unspecified */
struct addr addr_block_last(const struct block *b); /* highest address of the block */
bool addr_next(struct addr *a); /* a + 1 in place; false (and all zero) past the highest */
bool addr_prev(struct addr *a); /* a - 1 in place; false below the lowest */

/* MAC addresses: six bytes, as "02:00:00:00:00:01" and in no other way. */
#define ETHER_TEXT_MAX 18
bool ether_parse(const char *text, uint8_t ret[6]);
const char *ether_text(const uint8_t mac[6], char buf[ETHER_TEXT_MAX]);

const char *addr_text(const struct addr *a, char buf[ADDR_TEXT_MAX]);
const char *addr_block_text(const struct block *b, char buf[BLOCK_TEXT_MAX]);

#endif

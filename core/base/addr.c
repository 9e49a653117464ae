/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "moat/text.h"

/* Four decimal parts; leading zeros allowed and decimal, unlike inet_pton, which refuses them, and inet_aton, which reads octal. */
static bool parse_ipv4(const char *s, uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned value = 0, digits = 0;

		for (; *s >= '0' && *s <= '9'; s++, digits++) {
			value = value * 10 + (unsigned)(*s - '0');
			if (value > 255 || digits > 15)
				return false;
		}
		if (digits == 0 || *s != (i < 3 ? '.' : '\0'))
			return false;
		bytes[i] = (uint8_t)value;
		s++;
	}
	return true;
}

int addr_parse(const char *text, struct addr *ret, struct err *err)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct addr a = {0};

	if (text && parse_ipv4(text, a.bytes)) {
		a.family = AF_INET;
	} else if (text && inet_pton(AF_INET6, text, a.bytes) == 1) {
		a.family = AF_INET6;
		if (!memcmp(a.bytes, mapped, sizeof(mapped)))
			return err_set(err, EINVAL, "address %s is IPv4-mapped IPv6; write it as plain IPv4", TEXT(text));
	} else {
		return err_set(err, EINVAL, "\"%s\" is not an IPv4 or IPv6 address", TEXT(text));
	}
	*ret = a;
	return 0;
}

static void mask(struct block *b)
{
	for (size_t i = 0; i < addr_len(&b->base); i++) {
		int bits = (int)b->prefix - (int)(8 * i);

		if (bits <= 0)
			b->base.bytes[i] = 0;
		else if (bits < 8)
			b->base.bytes[i] &= (uint8_t)(0xff << (8 - bits));
	}
}

int addr_parse_block(const char *text, struct block *ret, struct err *err)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	char address[ADDR_TEXT_MAX + 16];
	struct block b;
	unsigned prefix = 0;
	size_t len = slash ? (size_t)(slash - text) : 0;

	if (!slash || len >= sizeof(address))
		return err_set(err, EINVAL, "\"%s\" is not a CIDR block; write it as address/prefix", TEXT(text));
	memcpy(address, text, len);
	address[len] = '\0';
	if (addr_parse(address, &b.base, err) < 0)
		return err_wrap(err, "CIDR block %s", TEXT(text));
	for (const char *p = slash + 1; *p || p == slash + 1; p++) {
		if (*p < '0' || *p > '9' || (prefix = prefix * 10 + (unsigned)(*p - '0')) > addr_bits(&b.base))
			return err_set(err, EINVAL, "CIDR block %s: the prefix must be a number from 0 to %u", TEXT(text),
				       addr_bits(&b.base));
	}
	b.prefix = (uint8_t)prefix;
	mask(&b);
	*ret = b;
	return 0;
}

size_t addr_len(const struct addr *a)
{
	return a->family == AF_INET ? 4 : 16;
}

uint8_t addr_bits(const struct addr *a)
{
	return a->family == AF_INET ? 32 : 128;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, addr_len(a));
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) == 0;
}

bool addr_in_block(const struct addr *a, const struct block *b)
{
	struct block own = {.base = *a, .prefix = b->prefix};

	if (a->family != b->base.family)
		return false;
	mask(&own);
	return addr_equal(&own.base, &b->base);
}

bool addr_is_pod_address(const struct addr *a)
{
	static const uint8_t zero[16];

	if (!memcmp(a->bytes, zero, addr_len(a)))
		return false;
	if (a->family == AF_INET)
		return a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224 &&
		       !(a->bytes[0] == 169 && a->bytes[1] == 254);
	if (a->bytes[0] == 0xff || (a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80))
		return false;
	return !(!memcmp(a->bytes, zero, 15) && a->bytes[15] == 1);
}

struct addr addr_block_last(const struct block *b)
{
	struct addr last = b->base;

	for (size_t i = 0; i < addr_len(&last); i++) {
		int bits = (int)b->prefix - (int)(8 * i);

		if (bits <= 0)
			last.bytes[i] = 0xff;
		else if (bits < 8)
			last.bytes[i] |= (uint8_t)(0xff >> bits);
	}
	return last;
}

bool addr_next(struct addr *a)
{
	for (size_t i = addr_len(a); i-- > 0;)
		if (++a->bytes[i])
			return true;
	return false;
}

bool addr_prev(struct addr *a)
{
	for (size_t i = addr_len(a); i-- > 0;)
		if (a->bytes[i]--)
			return true;
	return false;
}

const char *addr_text(const struct addr *a, char buf[ADDR_TEXT_MAX])
{
	if (!inet_ntop(a->family, a->bytes, buf, ADDR_TEXT_MAX))
		snprintf(buf, ADDR_TEXT_MAX, "(no address)");
	return buf;
}

const char *addr_block_text(const struct block *b, char buf[BLOCK_TEXT_MAX])
{
	char address[ADDR_TEXT_MAX];

	snprintf(buf, BLOCK_TEXT_MAX, "%s/%u", addr_text(&b->base, address), b->prefix);
	return buf;
}

bool ether_parse(const char *text, uint8_t ret[6])
{
	static const char digits[] = "0123456789abcdef";

	if (!text || strlen(text) != ETHER_TEXT_MAX - 1)
		return false;
	for (size_t i = 0; i < 6; i++, text += 3) {
		const char *high = strchr(digits, text[0]), *low = strchr(digits, text[1]);

		if (!high || !low || text[2] != (i < 5 ? ':' : '\0'))
			return false;
		ret[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return true;
}

const char *ether_text(const uint8_t mac[6], char buf[ETHER_TEXT_MAX])
{
	snprintf(buf, ETHER_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}

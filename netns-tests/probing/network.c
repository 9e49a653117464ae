/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 with its options, IPv6 with its extension headers. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>

#include "netns-tests/probing/craft.h"
#include "netns-tests/probing/probe.h"

static uint8_t protocol_of_next(const struct packet *p, const struct layer *l)
{
	const struct layer *next = packet_next(p, l);
	int protocol = next ? next->kind->protocol : IPPROTO_NONE;

	/* 253: for experiments (RFC 3692) */
	return (uint8_t)layer_number(l, "next", protocol < 0 ? 253 : (unsigned)protocol, 255);
}

/* RFC 791 section 3.1. A route has one address, the pointer at it. */
static void append_option(struct packet *p, const struct layer *l, const char *key, uint8_t type)
{
	uint8_t option[8] = { type, 7, 4 };

	if (!layer_value(l, key))
		return;
	layer_addr(l, key, 4, option + 3);
	packet_append(p, option, sizeof(option)); /* an end of the list behind it */
}

static void append_options(struct packet *p, const struct layer *l)
{
	static const uint8_t alert[4] = { IPOPT_RA, 4 }, timestamp[8] = { IPOPT_TS, 8, 5 }, nop[4] = { 1, 1, 1, 1 };

	append_option(p, l, "lsrr", IPOPT_LSRR);
	append_option(p, l, "ssrr", IPOPT_SSRR);
	append_option(p, l, "rr", IPOPT_RR);
	if (layer_value(l, "alert"))
		packet_append(p, alert, sizeof(alert));
	if (layer_value(l, "timestamp"))
		packet_append(p, timestamp, sizeof(timestamp));
	if (layer_value(l, "nop"))
		packet_append(p, nop, sizeof(nop));
}

static void build_ip4(struct packet *p, struct layer *l)
{
	uint8_t *h = packet_append(p, NULL, 20);
	unsigned long offset = layer_number(l, "off", 0, 65528);

	append_options(p, l);
	h[0] = (uint8_t)(0x40 | (p->len - l->at) / 4);
	packet_put16(p, l->at + 4, (uint16_t)layer_number(l, "id", (p->token + 1) & 0xffff, 0xffff)); /* 0: the kernel chooses */
	packet_put16(p, l->at + 6, (uint16_t)(offset / 8 | (layer_value(l, "more") ? IP_MF : 0) | (layer_value(l, "df") ? IP_DF : 0)));
	h[8] = (uint8_t)layer_number(l, "hops", 64, 255);
	h[9] = protocol_of_next(p, l);
	layer_addr(l, "src", 4, h + 12);
	layer_addr(l, "dst", 4, h + 16);
}

static void finish_ip4(struct packet *p, struct layer *l)
{
	packet_put16(p, l->at + 2, (uint16_t)layer_number(l, "len", p->len - l->at, 0xffff));
	packet_put16(p, l->at + 10, 0);
	packet_put16(p, l->at + 10, checksum_fold(checksum_add(0, p->bytes + l->at, l->header)));
}

static void build_ip6(struct packet *p, struct layer *l)
{
	uint8_t *h = packet_append(p, NULL, 40);

	h[0] = 0x60;
	h[6] = protocol_of_next(p, l);
	h[7] = (uint8_t)layer_number(l, "hops", 64, 255);
	layer_addr(l, "src", 16, h + 8);
	layer_addr(l, "dst", 16, h + 24);
}

static void finish_ip6(struct packet *p, struct layer *l)
{
	packet_put16(p, l->at + 4, (uint16_t)layer_number(l, "len", p->len - l->at - 40, 0xffff));
}

/* Hop-by-hop and destination options: a pad, or the router alert (RFC 2711). pads: so many times 8 bytes more. */
static void build_options6(struct packet *p, struct layer *l)
{
	unsigned long more = layer_number(l, "pads", 0, 255);
	uint8_t *h = packet_append(p, NULL, 8);

	h[0] = protocol_of_next(p, l);
	h[1] = (uint8_t)more;
	if (layer_value(l, "alert"))
		memcpy(h + 2, (const uint8_t[6]){ 5, 2, 0, 0, 1, 0 }, 6);
	else
		memcpy(h + 2, (const uint8_t[6]){ 1, 4 }, 6);
	for (unsigned long i = 0; i < more; i++)
		packet_append(p, (const uint8_t[8]){ 1, 6 }, 8);
}

/* Type 4 is a segment routing header (RFC 8754): its list is reversed, so the one segment left is the first. */
static void build_rt(struct packet *p, struct layer *l)
{
	const char *last = layer_value(l, "final");
	uint8_t *h = packet_append(p, NULL, last ? 40 : 24);

	h[0] = protocol_of_next(p, l);
	h[1] = last ? 4 : 2; /* in units of 8 bytes beyond the first */
	h[2] = (uint8_t)layer_number(l, "type", 0, 255);
	h[3] = (uint8_t)layer_number(l, "left", 1, 255);
	if (last) {
		h[4] = 1; /* the last entry */
		layer_addr(l, "final", 16, h + 8);
		layer_addr(l, "via", 16, h + 24);
	} else {
		layer_addr(l, "via", 16, h + 8);
	}
}

static void build_frag(struct packet *p, struct layer *l)
{
	uint8_t *h = packet_append(p, NULL, 8);

	h[0] = protocol_of_next(p, l);
	packet_put16(p, l->at + 2, (uint16_t)(layer_number(l, "off", 0, 65528) | (layer_value(l, "more") ? 1 : 0)));
	packet_put16(p, l->at + 6, (uint16_t)layer_number(l, "id", (p->token + 1) & 0xffff, 0xffff));
}

const struct layer_kind network_kinds[] = {
	{ "ip4", 0x0800, IPPROTO_IPIP, "src dst hops next id off more df len lsrr ssrr rr alert timestamp nop cut ", build_ip4, finish_ip4 },
	{ "ip6", 0x86dd, IPPROTO_IPV6, "src dst hops next len cut ", build_ip6, finish_ip6 },
	{ "hop", 0, IPPROTO_HOPOPTS, "next alert pads ", build_options6, NULL },
	{ "dest", 0, IPPROTO_DSTOPTS, "next alert pads ", build_options6, NULL },
	{ "rt", 0, IPPROTO_ROUTING, "next type left via final ", build_rt, NULL },
	{ "frag", 0, IPPROTO_FRAGMENT, "next off more id ", build_frag, NULL },
};
const size_t n_network_kinds = sizeof(network_kinds) / sizeof(network_kinds[0]);

/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet, its tags, ARP, and what is no layer at all: bytes and tokens. */
#include <arpa/inet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#include "netns-tests/probing/craft.h"
#include "netns-tests/probing/probe.h"

static uint16_t type_of_next(const struct packet *p, const struct layer *l)
{
	const struct layer *next = packet_next(p, l);

	if (layer_value(l, "type"))
		return (uint16_t)layer_number(l, "type", 0, 0xffff);
	if (next && !strcmp(next->kind->name, "vlan"))
		return (uint16_t)layer_number(next, "tpid", 0x8100, 0xffff);
	return (uint16_t)(next ? next->kind->ethertype : 0);
}

static void build_eth(struct packet *p, struct layer *l)
{
	uint8_t *h = packet_append(p, NULL, 14);

	layer_mac(l, "dst", p->gateway_mac, h);
	layer_mac(l, "src", p->own_mac, h + 6);
	packet_put16(p, l->at + 12, type_of_next(p, l));
}

static void build_vlan(struct packet *p, struct layer *l)
{
	packet_append(p, NULL, 4);
	packet_put16(p, l->at, (uint16_t)layer_number(l, "id", 0, 4095));
	packet_put16(p, l->at + 2, type_of_next(p, l));
}

/* IEEE 802.2: the type field of Ethernet is a length then */
static void build_llc(struct packet *p, struct layer *l)
{
	const uint8_t h[3] = { (uint8_t)layer_number(l, "sap", 0x42, 0xff), (uint8_t)layer_number(l, "sap", 0x42, 0xff), 3 };

	packet_append(p, h, sizeof(h));
}

static void finish_llc(struct packet *p, struct layer *l)
{
	packet_put16(p, l->at - 2, (uint16_t)(p->len - l->at));
}

static void build_arp(struct packet *p, struct layer *l)
{
	static const uint8_t nobody[6], start[] = { 0, ARPHRD_ETHER, 8, 0, 6, 4 };
	uint8_t *h = packet_append(p, NULL, 28);

	memcpy(h, start, sizeof(start));
	packet_put16(p, l->at + 6, (uint16_t)layer_number(l, "op", ARPOP_REQUEST, 0xffff));
	layer_mac(l, "sha", p->own_mac, h + 8);
	layer_addr(l, "spa", 4, h + 14);
	layer_mac(l, "tha", nobody, h + 18);
	layer_addr(l, "tpa", 4, h + 24);
}

/*
 * As many times as a fragment may need it. nd: as an option of neighbour discovery that receivers skip
 * (type 253, RFC 4727).
 */
static void build_token(struct packet *p, struct layer *l)
{
	unsigned long times = layer_number(l, "n", 3, 1000);
	uint8_t token[TOKEN_LEN];

	token_write(token, p->token);
	if (layer_value(l, "nd")) {
		static const uint8_t option[8] = { 253, 2 };

		packet_append(p, option, sizeof(option));
		times = 1;
	}
	while (times--)
		packet_append(p, token, sizeof(token));
}

static void build_hex(struct packet *p, struct layer *l)
{
	const char *text = layer_value(l, "bytes");
	unsigned byte;
	int len;

	for (; text && sscanf(text, "%2x%n", &byte, &len) == 1; text += len)
		packet_append(p, &(uint8_t){ (uint8_t)byte }, 1);
	if (!text || *text)
		probe_usage("hex: bytes=%s", text ? text : " is missing");
	packet_append(p, NULL, layer_number(l, "zeros", 0, 60000));
}

static void build_text(struct packet *p, struct layer *l)
{
	const char *is = layer_value(l, "is");

	packet_append(p, is ? is : "", is ? strlen(is) : 0);
}

const struct layer_kind link_kinds[] = {
	{ "eth", 0x6558, 143, "src dst type ", build_eth, NULL }, /* inside GRE and IP: RFC 1701, RFC 8986 */
	{ "vlan", 0x8100, -1, "id tpid type ", build_vlan, NULL },
	{ "llc", 0, -1, "sap ", build_llc, finish_llc },
	{ "arp", 0x0806, -1, "op sha spa tha tpa ", build_arp, NULL },
	{ "token", 0, -1, "n nd ", build_token, NULL },
	{ "hex", 0, -1, "bytes zeros ", build_hex, NULL },
	{ "text", 0, -1, "is ", build_text, NULL },
};
const size_t n_link_kinds = sizeof(link_kinds) / sizeof(link_kinds[0]);

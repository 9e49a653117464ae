/* SPDX-License-Identifier: Apache-2.0 */
/* TCP, UDP, ICMP, neighbour discovery, and what carries other packets. */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#include "netns-tests/probing/craft.h"
#include "netns-tests/probing/probe.h"

/* RFC 9293 section 3.1, RFC 8200 section 8.1. The longer fields of IPv6 add the same numbers. */
static uint32_t pseudo_header(const struct packet *p, const struct layer *l, uint8_t protocol)
{
	uint32_t sum = protocol + (uint32_t)(p->len - l->at);

	for (const struct layer *ip = l; ip-- > p->layers;) {
		if (!strcmp(ip->kind->name, "ip4"))
			return checksum_add(sum, p->bytes + ip->at + 12, 8);
		if (!strcmp(ip->kind->name, "ip6"))
			return checksum_add(sum, p->bytes + ip->at + 8, 32);
	}
	return sum;
}

static void put_checksum(struct packet *p, struct layer *l, size_t at, uint32_t sum)
{
	packet_put16(p, l->at + at, 0);
	packet_put16(p, l->at + at,
		     (uint16_t)layer_number(l, "sum", checksum_fold(checksum_add(sum, p->bytes + l->at, p->len - l->at)), 0xffff));
}

static void build_udp(struct packet *p, struct layer *l)
{
	packet_append(p, NULL, 8);
	packet_put16(p, l->at, (uint16_t)layer_number(l, "sport", 40000, 65535));
	packet_put16(p, l->at + 2, (uint16_t)layer_number(l, "dport", 5001, 65535));
}

static void finish_udp(struct packet *p, struct layer *l)
{
	packet_put16(p, l->at + 4, (uint16_t)layer_number(l, "len", p->len - l->at, 65535));
	put_checksum(p, l, 6, pseudo_header(p, l, IPPROTO_UDP));
}

static void build_tcp(struct packet *p, struct layer *l)
{
	static const char names[] = "FSRPA"; /* bits of the header, from the lowest */
	const char *flags = layer_value(l, "flags");
	uint8_t *h = packet_append(p, NULL, 20);
	uint32_t seq = htonl((uint32_t)layer_number(l, "seq", 1000, UINT32_MAX));
	uint32_t ack = htonl((uint32_t)layer_number(l, "ack", 0, UINT32_MAX));

	packet_put16(p, l->at, (uint16_t)layer_number(l, "sport", 40000, 65535));
	packet_put16(p, l->at + 2, (uint16_t)layer_number(l, "dport", 5001, 65535));
	memcpy(h + 4, &seq, 4);
	memcpy(h + 8, &ack, 4);
	h[12] = 5 << 4;
	for (const char *c = flags ? flags : "S"; *c; c++) {
		const char *at = strchr(names, *c);

		if (!at)
			probe_usage("tcp: flags are of %s", names);
		h[13] |= (uint8_t)(1 << (at - names));
	}
	packet_put16(p, l->at + 14, 1024);
}

static void finish_tcp(struct packet *p, struct layer *l)
{
	put_checksum(p, l, 16, pseudo_header(p, l, IPPROTO_TCP));
}

/* Of both families; rest: the second word of the header. */
static void build_icmp(struct packet *p, struct layer *l)
{
	uint8_t *h = packet_append(p, NULL, 8);
	uint32_t rest = htonl((uint32_t)layer_number(l, "rest", 0, UINT32_MAX));

	h[0] = (uint8_t)layer_number(l, "type", l->kind->protocol == IPPROTO_ICMP ? 8 : ICMP6_ECHO_REQUEST, 255);
	h[1] = (uint8_t)layer_number(l, "code", 0, 255);
	memcpy(h + 4, &rest, 4);
	if (layer_value(l, "gateway")) /* of a redirect */
		layer_addr(l, "gateway", 4, h + 4);
}

static void finish_icmp4(struct packet *p, struct layer *l)
{
	put_checksum(p, l, 2, 0);
}

static void finish_icmp6(struct packet *p, struct layer *l)
{
	put_checksum(p, l, 2, pseudo_header(p, l, IPPROTO_ICMPV6));
}

static void append_lla(struct packet *p, const struct layer *l, const char *key, uint8_t type)
{
	uint8_t option[8] = { type, 1 };

	if (!layer_value(l, key))
		return;
	layer_mac(l, key, option, option + 2);
	packet_append(p, option, sizeof(option));
}

/* Solicitation (135), advertisement (136), router solicitation (133) and advertisement (134), redirect (137): RFC 4861 section 4 */
static void build_nd(struct packet *p, struct layer *l)
{
	unsigned long type = layer_number(l, "type", ND_NEIGHBOR_SOLICIT, 255);
	uint32_t flags = htonl((uint32_t)layer_number(l, "flags", 0, UINT32_MAX));
	uint8_t *h = packet_append(p, NULL, 8);

	h[0] = (uint8_t)type;
	memcpy(h + 4, &flags, 4);
	if (type == ND_ROUTER_ADVERT)
		packet_append(p, NULL, 8);
	else if (type != ND_ROUTER_SOLICIT)
		layer_addr(l, "target", 16, packet_append(p, NULL, 16));
	if (type == ND_REDIRECT)
		layer_addr(l, "for", 16, packet_append(p, NULL, 16));
	append_lla(p, l, "slla", ND_OPT_SOURCE_LINKADDR);
	append_lla(p, l, "tlla", ND_OPT_TARGET_LINKADDR);
	if (layer_value(l, "prefix")) { /* of 64 bits, on link and for addresses, for an hour */
		static const uint8_t start[16] = { ND_OPT_PREFIX_INFORMATION, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 14, 16 };

		packet_append(p, start, sizeof(start));
		layer_addr(l, "prefix", 16, packet_append(p, NULL, 16));
	}
}

static void build_gre(struct packet *p, struct layer *l)
{
	const struct layer *next = packet_next(p, l);

	packet_append(p, NULL, 4);
	packet_put16(p, l->at + 2, (uint16_t)(next ? next->kind->ethertype : 0));
}

static void build_vxlan(struct packet *p, struct layer *l)
{
	uint8_t *h = packet_append(p, NULL, 8);
	unsigned long vni = layer_number(l, "vni", 1, 0xffffff);

	h[0] = 8;
	h[4] = (uint8_t)(vni >> 16);
	h[5] = (uint8_t)(vni >> 8);
	h[6] = (uint8_t)vni;
}

const struct layer_kind transport_kinds[] = {
	{ "udp", 0, IPPROTO_UDP, "sport dport len sum ", build_udp, finish_udp },
	{ "tcp", 0, IPPROTO_TCP, "sport dport seq ack flags sum ", build_tcp, finish_tcp },
	{ "icmp4", 0, IPPROTO_ICMP, "type code rest gateway sum ", build_icmp, finish_icmp4 },
	{ "icmp6", 0, IPPROTO_ICMPV6, "type code rest sum ", build_icmp, finish_icmp6 },
	{ "nd", 0, IPPROTO_ICMPV6, "type flags target for slla tlla prefix sum ", build_nd, finish_icmp6 },
	{ "gre", 0, IPPROTO_GRE, "", build_gre, NULL },
	{ "vxlan", 0, -1, "vni ", build_vxlan, NULL },
};
const size_t n_transport_kinds = sizeof(transport_kinds) / sizeof(transport_kinds[0]);

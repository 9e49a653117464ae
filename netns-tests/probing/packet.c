/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leak counter's packets. Source ports differ from packet to packet, so that connection tracking knows none of them and policy
 * judges each; a steady path keeps its ports, and over TCP its place in the stream: each packet is the first one's retransmission, in
 * the window whatever the other end says. A datagram in fragments has the record in each of its three pieces:
 *
 *	piece 0: UDP header, record        piece 1: record, filler        piece 2: record
 */
#include "netns-tests/probing/ledger.h"

#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

enum {
	PIECE_BYTES = sizeof(struct udphdr) + RECORD_BYTES,
	PIECES = 3,
	PORTS_OF_A_KIND = 10000, /* from 10000 on: kinds between the same two addresses never share a connection */
};

static uint16_t source_port(const struct path *p, uint32_t number)
{
	uint32_t own;

	if (p->source_port)
		return p->source_port;
	own = p->steady ? (uint32_t)p->port % PORTS_OF_A_KIND : number % PORTS_OF_A_KIND;

	return (uint16_t)(10000 + p->kind * PORTS_OF_A_KIND + own);
}

static size_t build_tcp(const struct path *p, const struct record *r, uint8_t *out)
{
	struct tcphdr h = { .th_sport = htons(source_port(p, r->number)), .th_dport = htons(p->port), .th_off = 5,
			    .th_win = htons(1024), .th_seq = htonl(p->steady ? 1 : r->number << 8) };

	h.th_flags = p->kind == KIND_SYN ? TH_SYN : TH_ACK;
	h.th_ack = p->kind == KIND_SYN ? 0 : htonl(1);
	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), r, RECORD_BYTES);
	h.th_sum = probe_checksum(&p->source, &p->target, IPPROTO_TCP, out, sizeof(h) + RECORD_BYTES);
	memcpy(out, &h, sizeof(h));
	return sizeof(h) + RECORD_BYTES;
}

static size_t build_udp(const struct path *p, const struct record *r, unsigned records, uint8_t *out)
{
	size_t len = records == 1 ? PIECE_BYTES : (PIECES - 1) * PIECE_BYTES + RECORD_BYTES;
	struct udphdr h = { .uh_sport = htons(source_port(p, r->number)), .uh_dport = htons(p->port),
			    .uh_ulen = htons((uint16_t)len) };

	memset(out, 0, len);
	memcpy(out + sizeof(h), r, RECORD_BYTES);
	for (unsigned i = 1; i < records; i++)
		memcpy(out + i * PIECE_BYTES, r, RECORD_BYTES);
	memcpy(out, &h, sizeof(h));
	h.uh_sum = probe_checksum(&p->source, &p->target, IPPROTO_UDP, out, len);
	memcpy(out, &h, sizeof(h));
	return len;
}

static size_t build_echo(const struct path *p, const struct record *r, uint8_t *out)
{
	bool v4 = p->source.any.sa_family == AF_INET;
	struct icmphdr h = { .type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST };

	h.un.echo.id = htons((uint16_t)(p->steady ? r->path : r->number));
	h.un.echo.sequence = htons((uint16_t)r->number);
	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), r, RECORD_BYTES);
	h.checksum = v4 ? probe_checksum(NULL, NULL, 0, out, sizeof(h) + RECORD_BYTES)
			: probe_checksum(&p->source, &p->target, IPPROTO_ICMPV6, out, sizeof(h) + RECORD_BYTES);
	memcpy(out, &h, sizeof(h));
	return sizeof(h) + RECORD_BYTES;
}

static uint8_t protocol_of(const struct path *p)
{
	switch (p->kind) {
	case KIND_SYN:
	case KIND_ACK:
		return IPPROTO_TCP;
	case KIND_ECHO:
		return p->source.any.sa_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	default:
		return IPPROTO_UDP;
	}
}

static size_t build_payload(const struct path *p, const struct record *r, uint8_t *out)
{
	switch (p->kind) {
	case KIND_SYN:
	case KIND_ACK:
		return build_tcp(p, r, out);
	case KIND_ECHO:
		return build_echo(p, r, out);
	default:
		return build_udp(p, r, p->kind == KIND_FRAGMENTS ? PIECES : 1, out);
	}
}

static size_t put_header4(const struct path *p, uint32_t number, size_t offset, size_t len, bool more, uint8_t *out)
{
	struct ip h = { .ip_v = 4, .ip_hl = 5, .ip_ttl = 64, .ip_p = protocol_of(p), .ip_src = p->source.v4.sin_addr,
			.ip_dst = p->target.v4.sin_addr };

	h.ip_id = htons((uint16_t)(number % 65535 + 1)); /* in the place of 0 the kernel puts a number of its own, in each piece another */
	h.ip_off = htons((uint16_t)(offset / 8 | (more ? IP_MF : 0)));
	h.ip_len = htons((uint16_t)(sizeof(h) + len)); /* the kernel fills in the checksum */
	memcpy(out, &h, sizeof(h));
	return sizeof(h);
}

static size_t put_header6(const struct path *p, uint32_t number, size_t offset, size_t len, bool more, uint8_t *out)
{
	bool whole = offset == 0 && !more;
	struct ip6_hdr h = { .ip6_src = p->source.v6.sin6_addr, .ip6_dst = p->target.v6.sin6_addr };
	struct ip6_frag frag = { .ip6f_nxt = protocol_of(p), .ip6f_ident = htonl(number),
				 .ip6f_offlg = htons((uint16_t)(offset | more)) };

	h.ip6_flow = htonl(6u << 28);
	h.ip6_hlim = 64;
	h.ip6_nxt = whole ? protocol_of(p) : IPPROTO_FRAGMENT;
	h.ip6_plen = htons((uint16_t)(len + (whole ? 0 : sizeof(frag))));
	memcpy(out, &h, sizeof(h));
	if (whole)
		return sizeof(h);
	memcpy(out + sizeof(h), &frag, sizeof(frag));
	return sizeof(h) + sizeof(frag);
}

size_t packet_build(const struct path *p, const struct record *r, unsigned piece, uint8_t *out)
{
	uint8_t payload[PACKET_BYTES_MAX];
	size_t total = build_payload(p, r, payload), step = p->kind == KIND_FRAGMENTS ? PIECE_BYTES : total;
	size_t offset = piece * step, len, n;

	if (offset >= total)
		return 0;
	len = total - offset < step ? total - offset : step;
	n = p->source.any.sa_family == AF_INET ? put_header4(p, r->number, offset, len, offset + len < total, out)
					       : put_header6(p, r->number, offset, len, offset + len < total, out);
	memcpy(out + n, payload + offset, len);
	return n + len;
}

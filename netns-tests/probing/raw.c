/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: forged packets, both families. The whole IP header is ours (IP_HDRINCL, IPV6_HDRINCL), so is the source address;
 * the route still belongs to the kernel. --fragment N cuts the payload of the IP packet into pieces of N bytes (a multiple
 * of 8), below any MTU: a filter that reads ports only from first fragments must still judge the others. icmp6 takes --type,
 * and zeros and the payload behind it.
 */
#include "netns-tests/probing/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct forgery {
	uint8_t protocol;
	const char *saddr, *daddr, *flags, *payload;
	uint8_t hops, type;
	uint16_t sport, dport;
	uint32_t seq, ack;
	unsigned long fragment, count;
};

static size_t build_tcp(const struct forgery *f, const struct endpoint *from, const struct endpoint *to, uint8_t *out)
{
	struct tcphdr h = { .th_sport = htons(f->sport), .th_dport = htons(f->dport), .th_seq = htonl(f->seq),
			    .th_ack = htonl(f->ack), .th_off = 5, .th_win = htons(1024) };
	static const char names[] = "FSRPA"; /* bits of the header, from the lowest */
	size_t len = sizeof(h) + strlen(f->payload);

	for (const char *c = f->flags; *c; c++) {
		const char *at = strchr(names, *c);

		if (!at)
			probe_usage("raw: --flags knows %s, not %c", names, *c);
		h.th_flags |= (uint8_t)(1 << (at - names));
	}
	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), f->payload, strlen(f->payload));
	h.th_sum = probe_checksum(from, to, IPPROTO_TCP, out, len);
	memcpy(out, &h, sizeof(h));
	return len;
}

static size_t build_udp(const struct forgery *f, const struct endpoint *from, const struct endpoint *to, uint8_t *out)
{
	size_t len = sizeof(struct udphdr) + strlen(f->payload);
	struct udphdr h = { .uh_sport = htons(f->sport), .uh_dport = htons(f->dport), .uh_ulen = htons((uint16_t)len) };

	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), f->payload, strlen(f->payload));
	h.uh_sum = probe_checksum(from, to, IPPROTO_UDP, out, len);
	memcpy(out, &h, sizeof(h));
	return len;
}

static size_t build_icmp6(const struct forgery *f, const struct endpoint *from, const struct endpoint *to, uint8_t *out)
{
	size_t len = 24 + strlen(f->payload); /* a neighbour solicitation's */
	uint16_t sum;

	memset(out, 0, 24);
	out[0] = f->type;
	memcpy(out + 24, f->payload, strlen(f->payload));
	sum = probe_checksum(from, to, IPPROTO_ICMPV6, out, len);
	memcpy(out + 2, &sum, sizeof(sum));
	return len;
}

/* One IP packet around `len` bytes that start at `offset` of the whole; `more` follow; whole says that none do or did. */
static void send_piece(int fd, const struct forgery *f, const struct endpoint *from, const struct endpoint *to,
		       const uint8_t *data, size_t len, size_t offset, bool more, bool whole)
{
	uint8_t packet[65536];
	struct endpoint target = *to;
	const uint16_t id = (uint16_t)getpid();
	size_t n;

	if (from->any.sa_family == AF_INET) {
		struct ip h = { .ip_v = 4, .ip_hl = 5, .ip_ttl = f->hops, .ip_p = f->protocol, .ip_id = htons(id),
				.ip_src = from->v4.sin_addr, .ip_dst = to->v4.sin_addr };

		h.ip_off = htons((uint16_t)(offset / 8 | (more ? IP_MF : 0)));
		h.ip_len = htons((uint16_t)(sizeof(h) + len)); /* the kernel fills in the checksum */
		memcpy(packet, &h, sizeof(h));
		n = sizeof(h);
	} else {
		struct ip6_frag frag = { .ip6f_nxt = f->protocol, .ip6f_ident = htonl(id) };
		struct ip6_hdr h = { .ip6_src = from->v6.sin6_addr, .ip6_dst = to->v6.sin6_addr };

		h.ip6_flow = htonl(6u << 28);
		h.ip6_hlim = f->hops;
		h.ip6_nxt = whole ? f->protocol : IPPROTO_FRAGMENT;
		h.ip6_plen = htons((uint16_t)(len + (whole ? 0 : sizeof(frag))));
		frag.ip6f_offlg = htons((uint16_t)(offset | more));
		memcpy(packet, &h, sizeof(h));
		n = sizeof(h);
		if (!whole) {
			memcpy(packet + n, &frag, sizeof(frag));
			n += sizeof(frag);
		}
		target.v6.sin6_port = 0; /* a raw IPv6 socket takes a port for a protocol */
	}
	memcpy(packet + n, data, len);
	if (sendto(fd, packet, n + len, 0, &target.any, target.len) < 0)
		probe_die("raw: send");
}

static void forge(const struct forgery *f)
{
	struct endpoint from = probe_endpoint(f->saddr, NULL), to = probe_endpoint(f->daddr, NULL);
	int fd = socket(from.any.sa_family, SOCK_RAW, IPPROTO_RAW);
	uint8_t data[4096];
	size_t len;

	if (fd < 0)
		probe_die("raw: socket");
	if (from.any.sa_family != to.any.sa_family)
		probe_usage("raw: %s and %s are of two families", f->saddr, f->daddr);
	if (f->protocol == IPPROTO_TCP) {
		len = build_tcp(f, &from, &to, data);
	} else if (f->protocol == IPPROTO_UDP) {
		len = build_udp(f, &from, &to, data);
	} else if (f->protocol == IPPROTO_ICMPV6 && f->type) {
		len = build_icmp6(f, &from, &to, data);
	} else {
		len = strlen(f->payload);
		memcpy(data, f->payload, len);
	}
	for (unsigned long i = 0; i < f->count; i++) {
		size_t step = f->fragment ? f->fragment : len ? len : 1;

		for (size_t at = 0; at == 0 || at < len; at += step) {
			size_t rest = len - at;

			send_piece(fd, f, &from, &to, data + at, rest < step ? rest : step, at, rest > step, len <= step);
		}
	}
	close(fd);
}

static uint8_t protocol_of(const char *name)
{
	if (!strcmp(name, "tcp"))
		return IPPROTO_TCP;
	if (!strcmp(name, "udp"))
		return IPPROTO_UDP;
	if (!strcmp(name, "icmp6"))
		return IPPROTO_ICMPV6;
	return (uint8_t)probe_number(name, 255);
}

int probe_raw(int argc, char **argv)
{
	enum { SADDR, DADDR, SPORT, DPORT, FLAGS, SEQ, ACK, PAYLOAD, FRAGMENT, COUNT, HOPS, TYPE };
	static const struct option options[] = {
		{ "saddr", 1, NULL, SADDR }, { "daddr", 1, NULL, DADDR }, { "sport", 1, NULL, SPORT },
		{ "dport", 1, NULL, DPORT }, { "flags", 1, NULL, FLAGS }, { "seq", 1, NULL, SEQ },
		{ "ack", 1, NULL, ACK },     { "payload", 1, NULL, PAYLOAD }, { "fragment", 1, NULL, FRAGMENT },
		{ "count", 1, NULL, COUNT }, { "hops", 1, NULL, HOPS },
		{ "type", 1, NULL, TYPE }, { NULL, 0, NULL, 0 },
	};
	struct forgery f = { .flags = "S", .payload = "forged", .sport = 40000, .dport = 80, .count = 1,
			      .hops = 64 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case SADDR: f.saddr = optarg; break;
		case DADDR: f.daddr = optarg; break;
		case SPORT: f.sport = (uint16_t)probe_number(optarg, 65535); break;
		case DPORT: f.dport = (uint16_t)probe_number(optarg, 65535); break;
		case FLAGS: f.flags = optarg; break;
		case SEQ: f.seq = (uint32_t)probe_number(optarg, UINT32_MAX); break;
		case ACK: f.ack = (uint32_t)probe_number(optarg, UINT32_MAX); break;
		case PAYLOAD: f.payload = optarg; break;
		case FRAGMENT: f.fragment = probe_number(optarg, 1480) & ~7ul; break;
		case COUNT: f.count = probe_number(optarg, 1000000); break;
		case HOPS: f.hops = (uint8_t)probe_number(optarg, 255); break;
		case TYPE: f.type = (uint8_t)probe_number(optarg, 255); break;
		default: probe_usage("raw: unknown option");
		}
	}
	if (argc - optind != 1 || !f.saddr || !f.daddr || strlen(f.payload) > 4000)
		probe_usage("raw tcp|udp|icmp6|NUMBER --saddr ADDR --daddr ADDR ...");
	f.protocol = protocol_of(argv[optind]);
	forge(&f);
	return 0;
}

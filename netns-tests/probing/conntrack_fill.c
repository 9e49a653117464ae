/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrack-fill: adds entries to the node's connection tracking table until it has so many, or refuses more. They are of nobody here
 * (198.18.0.0/15, RFC 2544), and assured, so that the kernel does not drop them to make room. Prints how many there are.
 */
#include "netns-tests/probing/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGES = 100, MESSAGE_BYTES = 256, FLOW_SECONDS = 600 };

struct batch {
	uint8_t bytes[MESSAGES * MESSAGE_BYTES];
	size_t len;
};

static struct nlattr *put(struct batch *b, uint16_t type, const void *data, size_t len)
{
	struct nlattr *attr = (struct nlattr *)(b->bytes + b->len);

	attr->nla_type = type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memset((uint8_t *)attr + NLA_HDRLEN, 0, NLA_ALIGN(len));
	if (len)
		memcpy((uint8_t *)attr + NLA_HDRLEN, data, len);
	b->len += NLA_HDRLEN + NLA_ALIGN(len);
	return attr;
}

static struct nlattr *nest(struct batch *b, uint16_t type)
{
	return put(b, type | NLA_F_NESTED, NULL, 0);
}

static void nest_end(const struct batch *b, struct nlattr *attr)
{
	attr->nla_len = (uint16_t)(b->bytes + b->len - (uint8_t *)attr);
}

static void put_tuple(struct batch *b, uint16_t type, uint32_t source, uint32_t destination, uint16_t sport, uint16_t dport)
{
	const uint32_t from = htonl(source), to = htonl(destination);
	const uint16_t from_port = htons(sport), to_port = htons(dport);
	const uint8_t protocol = IPPROTO_UDP;
	struct nlattr *tuple = nest(b, type), *part = nest(b, CTA_TUPLE_IP);

	put(b, CTA_IP_V4_SRC, &from, 4);
	put(b, CTA_IP_V4_DST, &to, 4);
	nest_end(b, part);
	part = nest(b, CTA_TUPLE_PROTO);
	put(b, CTA_PROTO_NUM, &protocol, 1);
	put(b, CTA_PROTO_SRC_PORT, &from_port, 2);
	put(b, CTA_PROTO_DST_PORT, &to_port, 2);
	nest_end(b, part);
	nest_end(b, tuple);
}

static void put_flow(struct batch *b, uint32_t number)
{
	const uint32_t status = htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED), timeout = htonl(FLOW_SECONDS);
	uint32_t source = 0xc6120000 + (number >> 14), destination = 0xc6130001;
	uint16_t port = (uint16_t)(1024 + (number & 0x3fff));
	struct nlmsghdr *h = (struct nlmsghdr *)(b->bytes + b->len);
	struct nfgenmsg *nfg = (struct nfgenmsg *)(h + 1);

	memset(h, 0, NLMSG_LENGTH(sizeof(*nfg)));
	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
	nfg->nfgen_family = AF_INET;
	b->len += NLMSG_LENGTH(sizeof(*nfg));
	put_tuple(b, CTA_TUPLE_ORIG, source, destination, port, 53);
	put_tuple(b, CTA_TUPLE_REPLY, destination, source, 53, port);
	put(b, CTA_STATUS, &status, 4);
	put(b, CTA_TIMEOUT, &timeout, 4);
	h->nlmsg_len = (uint32_t)(b->bytes + b->len - (uint8_t *)h);
}

/* Only refusals are answered. */
static bool was_refused(int fd)
{
	uint8_t answer[8192];
	bool refused = false;

	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		refused = true;
	return refused;
}

static unsigned long entries(void)
{
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
	unsigned long n = 0;

	if (!f || fscanf(f, "%lu", &n) != 1)
		probe_die("nf_conntrack_count");
	fclose(f);
	return n;
}

int probe_conntrack_fill(int argc, char **argv)
{
	static struct batch b;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	unsigned long wanted;
	uint32_t number = 0;

	if (argc != 2)
		probe_usage("conntrack-fill NUMBER");
	wanted = probe_number(argv[1], 1 << 22);
	if (fd < 0)
		probe_die("netlink socket");
	do {
		b.len = 0;
		for (int i = 0; i < MESSAGES; i++)
			put_flow(&b, number++);
		if (sendto(fd, b.bytes, b.len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
			probe_die("conntrack-fill: send");
	} while (number < wanted && !was_refused(fd));
	printf("entries %lu\n", entries());
	close(fd);
	return 0;
}

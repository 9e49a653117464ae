/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/flows.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define FLOW_BYTES_MAX 512
#define FLOW_SECONDS 600

void flows_open(struct flows *f)
{
	memset(f, 0, sizeof(*f));
	if (nl_open(&f->nl, NETLINK_NETFILTER, NULL) < 0)
		abort();
}

void flows_close(struct flows *f)
{
	flows_send(f);
	nl_close(&f->nl);
}

static void put_tuple(struct nlmsghdr *nlh, uint16_t type, uint8_t protocol, const struct addr *from, uint16_t from_port,
		      const struct addr *to, uint16_t to_port)
{
	struct nlattr *tuple = mnl_attr_nest_start(nlh, type), *part = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	bool v6 = from->family == AF_INET6;

	mnl_attr_put(nlh, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, addr_len(from), from->bytes);
	mnl_attr_put(nlh, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, addr_len(to), to->bytes);
	mnl_attr_nest_end(nlh, part);
	part = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, protocol);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, htons(from_port));
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons(to_port));
	mnl_attr_nest_end(nlh, part);
	mnl_attr_nest_end(nlh, tuple);
}

static void put_tcp_state(struct nlmsghdr *nlh)
{
	struct nlattr *info = mnl_attr_nest_start(nlh, CTA_PROTOINFO), *tcp = mnl_attr_nest_start(nlh, CTA_PROTOINFO_TCP);

	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	mnl_attr_nest_end(nlh, tcp);
	mnl_attr_nest_end(nlh, info);
}

void flows_add(struct flows *f, const struct conntrack_flow *flow)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(f->bytes + f->len);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = flow->source.family;
	put_tuple(nlh, CTA_TUPLE_ORIG, flow->protocol, &flow->source, flow->source_port, &flow->destination, flow->destination_port);
	put_tuple(nlh, CTA_TUPLE_REPLY, flow->protocol, &flow->reply_source, flow->reply_source_port, &flow->reply_destination,
		  flow->reply_destination_port);
	mnl_attr_put_u32(nlh, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	mnl_attr_put_u32(nlh, CTA_TIMEOUT, htonl(FLOW_SECONDS));
	if (f->zone)
		mnl_attr_put_u16(nlh, CTA_ZONE, htons(f->zone));
	if (flow->protocol == IPPROTO_TCP)
		put_tcp_state(nlh);
	f->len += MNL_ALIGN(nlh->nlmsg_len);
	if (f->len + FLOW_BYTES_MAX > sizeof(f->bytes))
		flows_send(f);
}

void flows_send(struct flows *f)
{
	char answer[8192];

	if (f->len && send(f->nl.fd, f->bytes, f->len, 0) < 0)
		abort();
	f->len = 0;
	while (recv(f->nl.fd, answer, sizeof(answer), MSG_DONTWAIT) > 0) /* only refusals are answered, one in each datagram */
		f->refused++;
}

size_t flows_count(void)
{
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
	size_t n = 0;

	if (!f || fscanf(f, "%zu", &n) != 1)
		abort();
	fclose(f);
	return n;
}

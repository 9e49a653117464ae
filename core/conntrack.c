/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conntrack entries by address. The kernel can filter a dump by one address of one tuple at a time (CTA_FILTER, 5.8; a filter on delete is
 * refused), each a walk over the whole table; a plain dump is one walk for all addresses but copies every entry out. So: an empty
 * table costs one question, a small one a plain dump, a large one four filtered dumps per address.
 */
#include "moat/conntrack.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include "attr_internal.h"
#include "moat/nl.h"

#define PLAIN_DUMP_MAX 4096 /* entries per address asked for; a plain dump copies some 0.4 µs each, a walk of the default table takes as long as 500–1,000 of them */
#define FILTER_IP_SRC (1u << 0) /* CTA_FILTER_F_CTA_IP_SRC and _DST of net/netfilter/nf_internals.h: not in a header for users */
#define FILTER_IP_DST (1u << 1)

struct sweep {
	struct addr *addrs; /* sorted */
	size_t n_addrs;
	conntrack_match_fn match;
	void *arg;
	struct nl *deleter; /* deletes while another socket dumps */
	size_t deleted;
};

static struct nlmsghdr *request(void *scratch, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = 0;
	return nlh;
}

static void read_address(const struct nlattr *attr, uint8_t family, struct addr *ret)
{
	struct addr a = {.family = family};

	if (attr_bytes(attr, a.bytes, addr_len(&a)))
		*ret = a;
}

static void read_tuple(const struct nlattr *tuple, struct addr *source, struct addr *destination, uint16_t *source_port,
		       uint16_t *destination_port, uint8_t *protocol)
{
	const struct nlattr *part, *attr;

	mnl_attr_for_each_nested(part, tuple) {
		if (mnl_attr_get_type(part) == CTA_TUPLE_IP) {
			mnl_attr_for_each_nested(attr, part) {
				switch (mnl_attr_get_type(attr)) {
				case CTA_IP_V4_SRC: read_address(attr, AF_INET, source); break;
				case CTA_IP_V4_DST: read_address(attr, AF_INET, destination); break;
				case CTA_IP_V6_SRC: read_address(attr, AF_INET6, source); break;
				case CTA_IP_V6_DST: read_address(attr, AF_INET6, destination); break;
				}
			}
		} else if (mnl_attr_get_type(part) == CTA_TUPLE_PROTO) {
			mnl_attr_for_each_nested(attr, part) {
				switch (mnl_attr_get_type(attr)) {
				case CTA_PROTO_NUM: attr_bytes(attr, protocol, 1); break;
				case CTA_PROTO_SRC_PORT: *source_port = attr_be16(attr, 0); break;
				case CTA_PROTO_DST_PORT: *destination_port = attr_be16(attr, 0); break;
				}
			}
		}
	}
}

static int by_addr(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static bool is_one(const struct sweep *s, const struct addr *a)
{
	return bsearch(a, s->addrs, s->n_addrs, sizeof(s->addrs[0]), by_addr) != NULL;
}

static bool concerns(const struct sweep *s, const struct conntrack_flow *flow)
{
	return is_one(s, &flow->source) || is_one(s, &flow->destination) || is_one(s, &flow->reply_source) ||
	       is_one(s, &flow->reply_destination);
}

static bool put_again(struct nlmsghdr *nlh, size_t size, uint16_t type, const struct nlattr *attr)
{
	return mnl_attr_put_check(nlh, size, type, mnl_attr_get_payload_len(attr), mnl_attr_get_payload(attr));
}

/* By its own tuple, zone and number: exactly this entry, or one that is gone. */
static int delete_entry(struct sweep *s, uint8_t family, const struct nlattr *tuple, const struct nlattr *zone, const struct nlattr *id)
{
	char scratch[1024] = {0};
	struct nlmsghdr *nlh = request(scratch, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, family);
	int code;

	if (!put_again(nlh, sizeof(scratch), CTA_TUPLE_ORIG | NLA_F_NESTED, tuple) ||
	    (zone && !put_again(nlh, sizeof(scratch), CTA_ZONE, zone)) || (id && !put_again(nlh, sizeof(scratch), CTA_ID, id)))
		return -EBADMSG;
	code = nl_request(s->deleter, nlh, NULL, NULL);
	if (code == 0)
		s->deleted++;
	return code == -ENOENT ? 0 : code;
}

static int on_entry(const struct nlmsghdr *nlh, void *arg)
{
	const struct nfgenmsg *nfg = attr_header(nlh, sizeof(*nfg));
	struct sweep *s = arg;
	struct conntrack_flow flow = {0};
	const struct nlattr *attr, *tuple = NULL, *zone = NULL, *id = NULL;
	uint8_t ignored;

	mnl_attr_for_each(attr, nlh, sizeof(*nfg)) {
		switch (mnl_attr_get_type(attr)) {
		case CTA_TUPLE_ORIG:
			tuple = attr;
			read_tuple(attr, &flow.source, &flow.destination, &flow.source_port, &flow.destination_port,
				   &flow.protocol);
			break;
		case CTA_TUPLE_REPLY:
			read_tuple(attr, &flow.reply_source, &flow.reply_destination, &flow.reply_source_port,
				   &flow.reply_destination_port, &ignored);
			break;
		case CTA_ZONE:
			zone = attr;
			break;
		case CTA_ID:
			id = attr;
			break;
		}
	}
	if (!nfg || !tuple || !concerns(s, &flow) || (s->match && !s->match(&flow, s->arg)))
		return 0;
	return delete_entry(s, nfg->nfgen_family, tuple, zone, id);
}

static int on_stats(const struct nlmsghdr *nlh, void *arg)
{
	uint32_t *entries = arg;

	*entries = attr_be32(attr_of(nlh, sizeof(struct nfgenmsg), CTA_STATS_GLOBAL_ENTRIES), *entries);
	return 0;
}

static uint32_t count_entries(struct nl *nl)
{
	char scratch[256] = {0};
	uint32_t entries = PLAIN_DUMP_MAX; /* if the kernel does not say */

	nl_request(nl, request(scratch, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC), on_stats, &entries);
	return entries;
}

static int dump_all(struct nl *nl, struct sweep *s)
{
	char scratch[256] = {0};

	return nl_request(nl, request(scratch, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC), on_entry, s);
}

static int dump_one(struct nl *nl, struct sweep *s, const struct addr *a, bool reply, bool destination)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = request(scratch, IPCTNL_MSG_CT_GET, NLM_F_DUMP, a->family);
	uint32_t flag = destination ? FILTER_IP_DST : FILTER_IP_SRC;
	uint16_t type = a->family == AF_INET ? (destination ? CTA_IP_V4_DST : CTA_IP_V4_SRC)
					     : (destination ? CTA_IP_V6_DST : CTA_IP_V6_SRC);
	struct nlattr *tuple, *ip, *filter;

	tuple = mnl_attr_nest_start(nlh, reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
	ip = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put(nlh, type, addr_len(a), a->bytes);
	mnl_attr_nest_end(nlh, ip);
	mnl_attr_nest_end(nlh, tuple);
	filter = mnl_attr_nest_start(nlh, CTA_FILTER);
	mnl_attr_put_u32(nlh, CTA_FILTER_ORIG_FLAGS, reply ? 0 : flag);
	mnl_attr_put_u32(nlh, CTA_FILTER_REPLY_FLAGS, reply ? flag : 0);
	mnl_attr_nest_end(nlh, filter);
	return nl_request(nl, nlh, on_entry, s);
}

static int dump_filtered(struct nl *nl, struct sweep *s)
{
	for (size_t i = 0; i < s->n_addrs; i++) {
		for (unsigned end = 0; end < 4; end++) {
			int code = dump_one(nl, s, &s->addrs[i], end & 1, end & 2);

			if (code == -EOPNOTSUPP || code == -EINVAL)
				return dump_all(nl, s); /* before 5.8 */
			if (code < 0)
				return code;
		}
	}
	return 0;
}

int conntrack_open(struct conntrack *ct, struct err *err)
{
	ct->deleter.fd = -1; /* opened by the first deletion: most ADDs have none */
	return nl_open(&ct->dumper, NETLINK_NETFILTER, err);
}

void conntrack_close(struct conntrack *ct)
{
	nl_close(&ct->dumper);
	nl_close(&ct->deleter);
}

int conntrack_delete(struct conntrack *ct, const struct addr *addrs, size_t n_addrs, conntrack_match_fn match, void *arg,
		     size_t *ret_deleted, struct err *err)
{
	CLEAN_FREE struct addr *sorted = mem_alloc((n_addrs + 1) * sizeof(*sorted));
	struct sweep s = {.addrs = sorted, .n_addrs = n_addrs, .match = match, .arg = arg, .deleter = &ct->deleter};
	uint32_t entries = n_addrs ? count_entries(&ct->dumper) : 0;
	int code;

	if (entries && ct->deleter.fd < 0 && (code = nl_open(&ct->deleter, NETLINK_NETFILTER, err)) < 0)
		return code;
	for (size_t i = 0; i < n_addrs; i++)
		sorted[i] = addrs[i];
	qsort(sorted, n_addrs, sizeof(*sorted), by_addr);
	do { /* a table that is resized during the dump: once more */
		code = !entries ? 0 : entries <= PLAIN_DUMP_MAX * n_addrs ? dump_all(&ct->dumper, &s) : dump_filtered(&ct->dumper, &s);
	} while (code == -EINTR);
	if (ret_deleted)
		*ret_deleted = s.deleted;
	if (code < 0)
		return err_errno(err, -code, "delete conntrack entries of %zu address%s", n_addrs, n_addrs == 1 ? "" : "es");
	return 0;
}

int conntrack_forget(const struct addr *addrs, size_t n_addrs, struct err *err)
{
	struct conntrack ct;
	int code = conntrack_open(&ct, err);

	if (code == 0)
		code = conntrack_delete(&ct, addrs, n_addrs, NULL, NULL, NULL, err);
	conntrack_close(&ct);
	return code;
}

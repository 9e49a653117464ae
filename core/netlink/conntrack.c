/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conntrack entries by address. The table is hashed by whole tuples, so whoever asks by address walks it all: 40 ns for each
 * bucket of the table and 160 ns for each entry that the kernel compares, or 2,050 ns for each that it copies out (measured
 * on Linux 6.18). The kernel can filter a dump by one IPv4 address in one place of an entry (CTA_FILTER, 5.8; a filter on
 * delete takes no policy into account), each filter a walk of its own; a plain dump is one walk for all of them. So: an empty
 * table costs one question, and otherwise whatever is cheaper by these numbers.
 *
 * A filter by an IPv6 address gives every entry but those that have it (ctnetlink_filter_match_tuple takes ipv6_addr_cmp for
 * a yes; 5.8 to 6.18 at least): there the filter is the family.
 */
#include "moat/conntrack.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attr_internal.h"
#include "moat/nl.h"

/* Prices in those of comparing one entry. */
#define ENTRY_COPIED 13
#define BUCKETS_WALKED 4 /* for one */

#define BUCKETS_UNKNOWN 65536 /* nf_conntrack_init_start of a machine below 4 GiB */
#define FILTER_IP_SRC (1u << 0) /* CTA_FILTER_F_CTA_IP_SRC and _DST of net/netfilter/nf_internals.h: not in a header for users */
#define FILTER_IP_DST (1u << 1)
#define DELETE_BYTES (32ul * 1024) /* of requests in one send */
#define DELETE_BYTES_MAX 256u     /* one request */

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

struct search {
	struct conntrack_place *places; /* sorted */
	size_t n;
	struct conntrack_entries *found;
};

static int compare_places(const void *a, const void *b)
{
	const struct conntrack_place *x = a, *y = b;
	int order = addr_cmp(&x->addr, &y->addr);

	return order ? order : (int)x->end - (int)y->end;
}

static bool is_searched(const struct search *s, const struct addr *addr, enum conntrack_end end)
{
	const struct conntrack_place place = {.addr = *addr, .end = end};

	return bsearch(&place, s->places, s->n, sizeof(place), compare_places) != NULL;
}

static bool concerns(const struct search *s, const struct conntrack_flow *flow)
{
	return is_searched(s, &flow->source, CONNTRACK_SOURCE) || is_searched(s, &flow->destination, CONNTRACK_DESTINATION) ||
	       is_searched(s, &flow->reply_source, CONNTRACK_REPLY_SOURCE) ||
	       is_searched(s, &flow->reply_destination, CONNTRACK_REPLY_DESTINATION);
}

/* False: not an entry that could be named to the kernel. */
static bool read_entry(const struct nlmsghdr *nlh, const struct nfgenmsg *nfg, struct conntrack_entry *ret)
{
	struct conntrack_flow *flow = &ret->flow;
	const struct nlattr *attr;
	uint8_t ignored;

	*ret = (struct conntrack_entry){.family = nfg->nfgen_family};
	mnl_attr_for_each(attr, nlh, sizeof(*nfg)) {
		switch (mnl_attr_get_type(attr)) {
		case CTA_TUPLE_ORIG:
			read_tuple(attr, &flow->source, &flow->destination, &flow->source_port, &flow->destination_port,
				   &flow->protocol);
			if (mnl_attr_get_payload_len(attr) > sizeof(ret->tuple))
				return false;
			ret->tuple_len = (uint8_t)mnl_attr_get_payload_len(attr);
			memcpy(ret->tuple, mnl_attr_get_payload(attr), ret->tuple_len);
			break;
		case CTA_TUPLE_REPLY:
			read_tuple(attr, &flow->reply_source, &flow->reply_destination, &flow->reply_source_port,
				   &flow->reply_destination_port, &ignored);
			break;
		case CTA_ZONE:
			ret->has_zone = attr_bytes(attr, &ret->zone, sizeof(ret->zone));
			break;
		case CTA_ID:
			attr_bytes(attr, &ret->id, sizeof(ret->id));
			break;
		}
	}
	return ret->tuple_len > 0;
}

static int on_entry(const struct nlmsghdr *nlh, void *arg)
{
	const struct nfgenmsg *nfg = attr_header(nlh, sizeof(*nfg));
	struct search *s = arg;
	struct conntrack_entry entry;

	if (nfg && read_entry(nlh, nfg, &entry) && concerns(s, &entry.flow))
		VEC_PUSH(s->found, entry);
	return 0;
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
	uint32_t entries = 1; /* if the kernel does not say */

	nl_request(nl, request(scratch, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC), on_stats, &entries);
	return entries;
}

static int dump_family(struct nl *nl, struct search *s, uint8_t family)
{
	char scratch[256] = {0};

	return nl_request(nl, request(scratch, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family), on_entry, s);
}

static int dump_one(struct nl *nl, struct search *s, const struct conntrack_place *place)
{
	bool reply = place->end == CONNTRACK_REPLY_SOURCE || place->end == CONNTRACK_REPLY_DESTINATION;
	bool destination = place->end == CONNTRACK_DESTINATION || place->end == CONNTRACK_REPLY_DESTINATION;
	uint32_t flag = destination ? FILTER_IP_DST : FILTER_IP_SRC;
	const struct addr *a = &place->addr;
	char scratch[512] = {0};
	struct nlmsghdr *nlh = request(scratch, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_INET);
	struct nlattr *tuple, *ip, *filter;

	tuple = mnl_attr_nest_start(nlh, reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
	ip = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put(nlh, destination ? CTA_IP_V4_DST : CTA_IP_V4_SRC, addr_len(a), a->bytes);
	mnl_attr_nest_end(nlh, ip);
	mnl_attr_nest_end(nlh, tuple);
	filter = mnl_attr_nest_start(nlh, CTA_FILTER);
	mnl_attr_put_u32(nlh, CTA_FILTER_ORIG_FLAGS, reply ? 0 : flag);
	mnl_attr_put_u32(nlh, CTA_FILTER_REPLY_FLAGS, reply ? flag : 0);
	mnl_attr_nest_end(nlh, filter);
	return nl_request(nl, nlh, on_entry, s);
}

/* places are sorted: those of IPv4 come first */
static int dump_filtered(struct nl *nl, struct search *s, size_t n_ipv4)
{
	int code = n_ipv4 < s->n ? dump_family(nl, s, AF_INET6) : 0;

	for (size_t i = 0; code == 0 && i < n_ipv4; i++) {
		code = dump_one(nl, s, &s->places[i]);
		if (code == -EOPNOTSUPP || code == -EINVAL)
			return dump_family(nl, s, AF_INET); /* before 5.8 */
	}
	return code;
}

/* walks: of a filter each, beside one dump of a family if there is one */
static bool plain_is_cheaper(uint32_t buckets, uint32_t entries, size_t walks)
{
	uint64_t walk = buckets / BUCKETS_WALKED;

	return walks * (walk + entries) >= walk + (uint64_t)ENTRY_COPIED * entries;
}

static int dump(struct conntrack *ct, struct search *s)
{
	uint32_t entries = count_entries(&ct->finder);
	size_t n_ipv4 = 0;

	while (n_ipv4 < s->n && s->places[n_ipv4].addr.family == AF_INET)
		n_ipv4++;
	if (!entries)
		return 0;
	if (plain_is_cheaper(ct->buckets, entries, n_ipv4))
		return dump_family(&ct->finder, s, n_ipv4 < s->n ? AF_UNSPEC : AF_INET);
	return dump_filtered(&ct->finder, s, n_ipv4);
}

static uint32_t read_buckets(void)
{
	CLEAN_CLOSE int fd = open("/proc/sys/net/netfilter/nf_conntrack_buckets", O_RDONLY | O_CLOEXEC);
	char text[16] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return BUCKETS_UNKNOWN;
	return (uint32_t)strtoul(text, NULL, 10);
}

int conntrack_open(struct conntrack *ct, struct err *err)
{
	ct->deleter.fd = -1; /* opened by the first deletion: most ADDs have none */
	ct->buckets = read_buckets();
	return nl_open(&ct->finder, NETLINK_NETFILTER, err);
}

void conntrack_close(struct conntrack *ct)
{
	nl_close(&ct->finder);
	nl_close(&ct->deleter);
}

int conntrack_find(struct conntrack *ct, const struct conntrack_place *places, size_t n, struct conntrack_entries *ret, struct err *err)
{
	CLEAN_FREE struct conntrack_place *sorted = mem_zalloc((n + 1) * sizeof(*sorted));
	struct search s = {.places = sorted, .n = n, .found = ret};
	size_t before = ret->n;
	int code;

	for (size_t i = 0; i < n; i++)
		sorted[i] = places[i];
	qsort(sorted, n, sizeof(*sorted), compare_places);
	do { /* a table that is resized during the dump: once more */
		ret->n = before;
		code = n ? dump(ct, &s) : 0;
	} while (code == -EINTR);
	if (code < 0)
		return err_errno(err, -code, "find conntrack entries of %zu addresses", n);
	return 0;
}

/* Without an acknowledgement: only what fails is answered. */
static size_t put_deletion(void *buf, const struct conntrack_entry *e)
{
	struct nlmsghdr *nlh = request(buf, IPCTNL_MSG_CT_DELETE, 0, e->family);

	mnl_attr_put(nlh, CTA_TUPLE_ORIG | NLA_F_NESTED, e->tuple_len, e->tuple);
	if (e->has_zone)
		mnl_attr_put(nlh, CTA_ZONE, sizeof(e->zone), &e->zone);
	mnl_attr_put(nlh, CTA_ID, sizeof(e->id), &e->id);
	return MNL_ALIGN(nlh->nlmsg_len);
}

/* The kernel has answered by the time that send returns. An overrun of answers loses no deletion, only their count. */
static int read_refusals(int fd, size_t *deleted)
{
	char buf[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	int result = 0;
	ssize_t got;

	while ((got = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0 || (got < 0 && (errno == EINTR || errno == ENOBUFS))) {
		int left = got < 0 ? 0 : (int)got;

		for (const struct nlmsghdr *nlh = (void *)buf; attr_message_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			int code = nlh->nlmsg_type == NLMSG_ERROR ? attr_error(nlh) : 0;

			*deleted -= code < 0 && *deleted;
			if (code < 0 && code != -ENOENT)
				result = code;
		}
	}
	return result;
}

int conntrack_delete(struct conntrack *ct, const struct conntrack_entry *entries, size_t n, size_t *ret_deleted, struct err *err)
{
	CLEAN_FREE char *buf = mem_zalloc(DELETE_BYTES);
	size_t deleted = n, len = 0;
	int result = n && ct->deleter.fd < 0 ? nl_open(&ct->deleter, NETLINK_NETFILTER, err) : 0;

	if (result < 0)
		return result;
	for (size_t i = 0; i < n; i++) {
		int code;

		len += put_deletion(buf + len, &entries[i]);
		if (len + DELETE_BYTES_MAX <= DELETE_BYTES && i + 1 < n)
			continue;
		code = send(ct->deleter.fd, buf, len, 0) < 0 ? -errno : read_refusals(ct->deleter.fd, &deleted);
		result = code < 0 ? code : result;
		len = 0;
	}
	if (ret_deleted)
		*ret_deleted = deleted;
	return result < 0 ? err_errno(err, -result, "delete conntrack entries") : 0;
}

int conntrack_forget(const struct addr *addrs, size_t n_addrs, struct err *err)
{
	CLEAN_FREE struct conntrack_place *places = mem_alloc((n_addrs + 1) * CONNTRACK_ENDS * sizeof(*places));
	struct conntrack_entries found = {0};
	struct conntrack ct;
	int code = conntrack_open(&ct, err);

	for (size_t i = 0; i < n_addrs * CONNTRACK_ENDS; i++)
		places[i] = (struct conntrack_place){.addr = addrs[i / CONNTRACK_ENDS], .end = (enum conntrack_end)(i % CONNTRACK_ENDS)};
	if (code == 0)
		code = conntrack_find(&ct, places, n_addrs * CONNTRACK_ENDS, &found, err);
	if (code == 0)
		code = conntrack_delete(&ct, found.v, found.n, NULL, err);
	free(found.v);
	conntrack_close(&ct);
	return code;
}

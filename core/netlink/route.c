/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/route.h"

#include <string.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>

#include "core/netlink/attr_internal.h"
#include "moat/nl.h"

static struct nlmsghdr *message(void *scratch, uint16_t type, uint16_t flags, int family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	rtm->rtm_family = (uint8_t)family;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = ROUTE_PROTOCOL;
	rtm->rtm_type = RTN_UNICAST;
	return nlh;
}

static int change(const struct route *r, uint16_t type, uint16_t flags, struct err *err)
{
	char scratch[256] = {0}, to[BLOCK_TEXT_MAX], via[ADDR_TEXT_MAX];
	struct nlmsghdr *nlh = message(scratch, type, NLM_F_ACK | flags, r->to.base.family);
	struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct nl nl;
	int code;

	rtm->rtm_dst_len = r->to.prefix;
	mnl_attr_put(nlh, RTA_DST, addr_len(&r->to.base), r->to.base.bytes);
	mnl_attr_put(nlh, RTA_GATEWAY, addr_len(&r->via), r->via.bytes);
	code = nl_open(&nl, NETLINK_ROUTE, err);
	if (code < 0)
		return code;
	code = nl_request(&nl, nlh, NULL, NULL);
	nl_close(&nl);
	return code < 0 ? err_errno(err, -code, "route to %s via %s", addr_block_text(&r->to, to), addr_text(&r->via, via)) : 0;
}

int route_add(const struct route *r, struct err *err)
{
	return change(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, err);
}

int route_remove(const struct route *r, struct err *err)
{
	int code = change(r, RTM_DELROUTE, 0, err);

	return code == -ESRCH ? 0 : code;
}

struct search {
	route_fn fn;
	void *arg;
};

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = attr_header(nlh, sizeof(*rtm));
	const struct search *s = arg;
	struct route r = {.to = {.prefix = 0}};

	if (nlh->nlmsg_type != RTM_NEWROUTE || !rtm || rtm->rtm_protocol != ROUTE_PROTOCOL || rtm->rtm_table != RT_TABLE_MAIN ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return 0;
	r.to.base.family = r.via.family = rtm->rtm_family;
	r.to.prefix = rtm->rtm_dst_len;
	if (attr_bytes(attr_of(nlh, sizeof(*rtm), RTA_DST), r.to.base.bytes, addr_len(&r.to.base)) &&
	    attr_bytes(attr_of(nlh, sizeof(*rtm), RTA_GATEWAY), r.via.bytes, addr_len(&r.via)))
		s->fn(&r, s->arg);
	return 0;
}

int route_each(route_fn fn, void *arg, struct err *err)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct search search = {fn, arg};
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, err);

	if (code < 0)
		return code;
	for (size_t i = 0; code == 0 && i < ARRAY_SIZE(families); i++) {
		char scratch[256] = {0};

		code = nl_dump(&nl, message(scratch, RTM_GETROUTE, NLM_F_DUMP, families[i]), on_route, &search);
	}
	nl_close(&nl);
	return code < 0 ? err_errno(err, -code, "the routes of this node") : 0;
}

int route_cmp(const struct route *a, const struct route *b)
{
	int order = addr_cmp(&a->to.base, &b->to.base);

	if (order == 0)
		order = a->to.prefix - b->to.prefix;
	return order ? order : addr_cmp(&a->via, &b->via);
}

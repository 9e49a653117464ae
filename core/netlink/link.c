/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/link.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attr_internal.h"
#include "moat/nl.h"
#include "moat/text.h"

static void copy_text(const char *text, char *ret, size_t size)
{
	snprintf(ret, size, "%s", text ? text : "");
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = attr_header(nlh, sizeof(*ifi));
	const size_t header = sizeof(*ifi);
	struct link *link = arg;

	if (nlh->nlmsg_type != RTM_NEWLINK || !ifi)
		return 0;
	link->index = (uint32_t)ifi->ifi_index;
	copy_text(attr_text(attr_of(nlh, header, IFLA_IFNAME)), link->name, sizeof(link->name));
	copy_text(attr_text(attr_in(attr_of(nlh, header, IFLA_LINKINFO), IFLA_INFO_KIND)), link->kind, sizeof(link->kind));
	link->peer_index = attr_u32(attr_of(nlh, header, IFLA_LINK), 0);
	link->peer_nsid = (int32_t)attr_u32(attr_of(nlh, header, IFLA_LINK_NETNSID), (uint32_t)-1);
	link->master_index = attr_u32(attr_of(nlh, header, IFLA_MASTER), 0);
	attr_bytes(attr_of(nlh, header, IFLA_ADDRESS), link->mac, sizeof(link->mac));
	return 0;
}

/* index 0: all. Nobody reads the statistics, and they are most of an answer's work. */
static struct nlmsghdr *ask_link(void *scratch, uint16_t flags, uint32_t index)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)index;
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nlh;
}

static int get_link(struct nl *nl, uint32_t index, struct link *ret)
{
	char scratch[256] = {0};
	struct link found = {0};
	int code = nl_request(nl, ask_link(scratch, 0, index), on_link, &found);

	if (code < 0 || !found.index)
		return code < 0 ? code : -ENODEV;
	*ret = found;
	return 0;
}

int link_by_index(uint32_t index, struct link *ret, struct err *err)
{
	struct nl nl;
	int code;

	if (!index)
		return err_set(err, ENODEV, "interface with index 0");
	code = nl_open(&nl, NETLINK_ROUTE, err);
	if (code < 0)
		return code;
	code = get_link(&nl, index, ret);
	nl_close(&nl);
	return code < 0 ? err_errno(err, -code, "interface with index %u", index) : 0;
}

struct every_link {
	link_fn fn;
	void *arg;
};

static int on_every_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct every_link *every = arg;
	struct link link = {0};

	on_link(nlh, &link);
	if (link.index)
		every->fn(&link, every->arg);
	return 0;
}

int link_each(link_fn fn, void *arg, struct err *err)
{
	struct every_link every = {fn, arg};
	char scratch[256] = {0};
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, err);

	if (code < 0)
		return code;
	code = nl_dump(&nl, ask_link(scratch, NLM_F_DUMP, 0), on_every_link, &every);
	nl_close(&nl);
	return code < 0 ? err_errno(err, -code, "list the network interfaces") : 0;
}

struct named {
	const char *name;
	int32_t nsid; /* whose links are asked for; -1: our own */
	struct link found;
};

/* A kernel that does not know the question for another namespace's links answers with our own (before 4.20). */
static int on_any_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *of = attr_of(nlh, sizeof(struct ifinfomsg), IFLA_TARGET_NETNSID);
	struct named *named = arg;
	struct link link = {0};
	int code;

	if ((int32_t)attr_u32(of, (uint32_t)-1) != named->nsid)
		return 0;
	code = on_link(nlh, &link);
	if (!strcmp(link.name, named->name))
		named->found = link;
	return code;
}

/*
 * By name, in the namespace of a container, which has few. A question for one interface alone would first settle its carrier
 * event that is still pending after the primary plugin (rtnl_getlink → linkwatch_sync_dev): longer than all the rest.
 */
static int find_link(struct nl *nl, int32_t nsid, const char *name, struct link *ret)
{
	struct named named = {.name = name, .nsid = nsid};
	char scratch[256] = {0};
	struct nlmsghdr *nlh = ask_link(scratch, NLM_F_DUMP, 0);
	int code;

	if (nsid >= 0)
		mnl_attr_put_u32(nlh, IFLA_TARGET_NETNSID, (uint32_t)nsid);
	code = nl_dump(nl, nlh, on_any_link, &named);
	if (code < 0 || !named.found.index)
		return code < 0 ? code : -ENODEV;
	*ret = named.found;
	return 0;
}

/* Asked in the namespace `there`; the caller's is restored. */
static int find_in_netns(int there, const char *ifname, struct link *ret, struct err *err)
{
	CLEAN_CLOSE int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct nl nl;
	int code;

	if (own < 0)
		return err_errno(err, errno, "open own network namespace");
	if (setns(there, CLONE_NEWNET) < 0)
		return err_errno(err, errno, "enter it");
	code = nl_open(&nl, NETLINK_ROUTE, err);
	if (code >= 0 && (code = find_link(&nl, -1, ifname, ret)) < 0)
		err_errno(err, -code, "interface %s", TEXT(ifname));
	nl_close(&nl);
	if (setns(own, CLONE_NEWNET) < 0)
		abort(); /* going on would write rules in the pod's namespace */
	return code;
}

static int on_nsid(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWNSID)
		*(int32_t *)arg = (int32_t)attr_u32(attr_of(nlh, sizeof(struct rtgenmsg), NETNSA_NSID), (uint32_t)-1);
	return 0;
}

/* The number that our namespace gives to another: one that a link of ours points to has one. -1: none. */
static int32_t ask_nsid(struct nl *nl, int there)
{
	char scratch[256] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct rtgenmsg *gen;
	int32_t nsid = -1;

	nlh->nlmsg_type = RTM_GETNSID;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	gen = mnl_nlmsg_put_extra_header(nlh, sizeof(*gen));
	gen->rtgen_family = AF_UNSPEC;
	mnl_attr_put_u32(nlh, NETNSA_FD, (uint32_t)there);
	return nl_request(nl, nlh, on_nsid, &nsid) == 0 ? nsid : -1;
}

/*
 * The other end of `inside`, here, if it names it back: interface indices are numbers of one namespace, so a veth pair elsewhere
 * may have both numbers we look for.
 */
static int find_port(struct nl *nl, const struct link *inside, int32_t nsid, struct link *ret)
{
	int code = inside->peer_index ? get_link(nl, inside->peer_index, ret) : -ENODEV;

	if (code < 0)
		return code;
	return !strcmp(ret->kind, "veth") && ret->peer_index == inside->index && nsid >= 0 && nsid == ret->peer_nsid ? 0 : -ENODEV;
}

/* Through our own namespace's number for the container's where there is one: entering it takes three times as long. */
static int find_both(struct nl *nl, const char *netns, const char *ifname, struct link *port, struct err *err)
{
	CLEAN_CLOSE int there = open(netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int32_t nsid = there < 0 ? -1 : ask_nsid(nl, there);
	struct link inside;

	if (there < 0)
		return err_errno(err, errno, "open network namespace %s", TEXT(netns));
	if ((nsid < 0 || find_link(nl, nsid, ifname, &inside) < 0) && find_in_netns(there, ifname, &inside, err) < 0)
		return err_wrap(err, "network namespace %s", TEXT(netns));
	if (strcmp(inside.kind, "veth") != 0)
		return err_set(err, EMEDIUMTYPE,
			       "interface %s of the container is of kind \"%s\", not a veth: it bypasses the node's network stack, "
			       "so moat cannot guard it; use a primary plugin that makes veth pairs (ptp)",
			       TEXT(ifname), TEXT(inside.kind));
	if (find_port(nl, &inside, nsid, port) < 0)
		return err_set(err, ELNRNG,
			       "interface %s of the container has no peer in this network namespace (index %u): "
			       "the runtime must call moat in the namespace that the primary plugin used",
			       TEXT(ifname), inside.peer_index);
	memcpy(port->peer_mac, inside.mac, sizeof(port->peer_mac));
	return 0;
}

int link_port_of(const char *netns, const char *ifname, struct link *ret_port, struct err *err)
{
	struct link port;
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, err);

	if (code < 0)
		return code;
	code = find_both(&nl, netns, ifname, &port, err);
	nl_close(&nl);
	if (code == 0)
		*ret_port = port;
	return code;
}

struct route {
	uint8_t type; /* RTN_* */
	uint32_t index;
};

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = attr_header(nlh, sizeof(*rtm));
	struct route *route = arg;

	if (nlh->nlmsg_type == RTM_NEWROUTE && rtm) {
		route->type = rtm->rtm_type;
		route->index = attr_u32(attr_of(nlh, sizeof(*rtm), RTA_OIF), 0);
	}
	return 0;
}

static struct nlmsghdr *ask_route(void *scratch, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct rtmsg *rtm;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	return nlh;
}

static struct route route_to(const struct addr *addr)
{
	char scratch[256] = {0};
	struct nlmsghdr *nlh = ask_route(scratch, 0, addr->family);
	struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route found = {0}, none = {0};
	struct err err;
	struct nl nl;
	int code;

	rtm->rtm_dst_len = addr_bits(addr);
	mnl_attr_put(nlh, RTA_DST, addr_len(addr), addr->bytes);
	if (nl_open(&nl, NETLINK_ROUTE, &err) < 0)
		return none;
	code = nl_request(&nl, nlh, on_route, &found);
	nl_close(&nl);
	return code < 0 ? none : found;
}

bool link_addr_is_local(const struct addr *addr)
{
	return route_to(addr).type == RTN_LOCAL;
}

uint32_t link_towards(const struct addr *addr)
{
	return route_to(addr).index;
}

struct every_route {
	link_route_fn fn;
	void *arg;
};

static int on_every_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = attr_header(nlh, sizeof(*rtm));
	const struct every_route *every = arg;
	struct route route = {0};
	struct addr addr;

	if (!rtm || (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return 0;
	addr = (struct addr){.family = rtm->rtm_family};
	on_route(nlh, &route);
	if (route.type == RTN_UNICAST && route.index && rtm->rtm_dst_len == addr_bits(&addr) &&
	    attr_bytes(attr_of(nlh, sizeof(*rtm), RTA_DST), addr.bytes, addr_len(&addr)))
		every->fn(&addr, route.index, every->arg);
	return 0;
}

int link_each_host_route(link_route_fn fn, void *arg, struct err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct every_route every = {fn, arg};
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, err);

	if (code < 0)
		return code;
	for (size_t i = 0; code == 0 && i < ARRAY_SIZE(families); i++) {
		char scratch[256] = {0};

		code = nl_dump(&nl, ask_route(scratch, NLM_F_DUMP, families[i]), on_every_route, &every);
	}
	nl_close(&nl);
	return code < 0 ? err_errno(err, -code, "list the routes") : 0;
}

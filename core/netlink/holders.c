/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behind which port of the node an address is
 *
 * Routed (ptp and what is like it): the node's route to this very address, all bits of it, goes out of a veth. The primary
 * wrote it, as root of the node, and nothing that a pod does changes it.
 *
 * A bridge: the route ends at the bridge, and which of its ports it is nobody has written down. The neighbour table and the forwarding
 * table say it, but both are what pods say of themselves: whoever sends a forged ARP reply is in them. So each container
 * behind a port is asked for its addresses (RTM_GETADDR with IFA_TARGET_NETNSID, Linux 4.20). That too is what the
 * container made of itself, but the pod that the address was given to has it; who takes it besides makes two, and then there is no
 * answer. A pod that gave its address away can only have itself mistaken.
 *
 * The address itself comes from whoever asks, who has it from the API: the kernel is not asked who somebody is.
 */
#include "moat/holders.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "attr_internal.h"
#include "moat/nl.h"
#include "moat/text.h"

#ifndef RTM_F_FIB_MATCH
#define RTM_F_FIB_MATCH 0x2000
#endif

struct holder {
	struct link port;
	VEC(struct addr) addrs; /* of the other end */
	bool known;             /* they could be asked for */
};

struct holders {
	VEC(struct link) links; /* all of this namespace */
	VEC(struct holder) v;
};

static void add_link(const struct link *link, void *arg)
{
	struct holders *h = arg;
	struct holder holder = {.port = *link};

	VEC_PUSH(&h->links, *link);
	if (!strcmp(link->kind, "veth") && link->peer_nsid >= 0 && link->peer_index)
		VEC_PUSH(&h->v, holder);
}

static int on_addr(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = attr_header(nlh, sizeof(*ifa));
	const struct nlattr *local = attr_of(nlh, sizeof(*ifa), IFA_LOCAL), *of = attr_of(nlh, sizeof(*ifa), IFA_TARGET_NETNSID);
	struct holder *holder = arg;
	struct addr a = {.family = AF_UNSPEC};

	/* a kernel that does not know the question answers with our own */
	if (nlh->nlmsg_type != RTM_NEWADDR || !ifa || attr_u32(of, (uint32_t)-1) != (uint32_t)holder->port.peer_nsid ||
	    ifa->ifa_index != holder->port.peer_index || (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return 0;
	a.family = ifa->ifa_family;
	if (!local)
		local = attr_of(nlh, sizeof(*ifa), IFA_ADDRESS);
	if (attr_bytes(local, a.bytes, addr_len(&a)))
		VEC_PUSH(&holder->addrs, a);
	return 0;
}

static void ask_addrs(struct nl *nl, struct holder *holder)
{
	char scratch[256] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = AF_UNSPEC;
	mnl_attr_put_u32(nlh, IFA_TARGET_NETNSID, (uint32_t)holder->port.peer_nsid);
	holder->known = nl_dump(nl, nlh, on_addr, holder) == 0;
}

struct asked_link {
	uint32_t index;
	int32_t nsid;
	uint8_t *mac;
	bool found;
};

static int on_peer(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = attr_header(nlh, sizeof(*ifi));
	struct asked_link *asked = arg;

	if (nlh->nlmsg_type == RTM_NEWLINK && ifi && (uint32_t)ifi->ifi_index == asked->index &&
	    (int32_t)attr_u32(attr_of(nlh, sizeof(*ifi), IFLA_TARGET_NETNSID), (uint32_t)-1) == asked->nsid)
		asked->found = attr_bytes(attr_of(nlh, sizeof(*ifi), IFLA_ADDRESS), asked->mac, 6);
	return 0;
}

/* The container's MAC. */
static int ask_mac(struct link *port, struct err *err)
{
	struct asked_link asked = {.index = port->peer_index, .nsid = port->peer_nsid, .mac = port->peer_mac};
	char scratch[256] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct ifinfomsg *ifi;
	struct nl nl;
	int code;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)port->peer_index;
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	mnl_attr_put_u32(nlh, IFLA_TARGET_NETNSID, (uint32_t)port->peer_nsid);
	code = nl_open(&nl, NETLINK_ROUTE, err);
	if (code < 0)
		return code;
	code = nl_request(&nl, nlh, on_peer, &asked);
	nl_close(&nl);
	if (code == 0 && !asked.found)
		code = -ENODEV;
	return code < 0 ? err_errno(err, -code, "the interface behind port %s", TEXT(port->name)) : 0;
}

int holders_new(struct holders **ret, struct err *err)
{
	struct holders *h = mem_zalloc(sizeof(*h));
	struct nl nl;
	int code = link_each(add_link, h, err);

	if (code == 0)
		code = nl_open(&nl, NETLINK_ROUTE, err);
	if (code < 0) {
		holders_free(h);
		return code;
	}
	/* only then the kernel looks at IFA_TARGET_NETNSID (inet_dump_ifaddr) */
	setsockopt(nl.fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &(int){1}, sizeof(int));
	for (size_t i = 0; i < h->v.n; i++)
		ask_addrs(&nl, &h->v.v[i]);
	nl_close(&nl);
	*ret = h;
	return 0;
}

void holders_free(struct holders *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->v.n; i++)
		VEC_DONE(&h->v.v[i].addrs);
	VEC_DONE(&h->v);
	VEC_DONE(&h->links);
	free(h);
}

/* The route that leads to an address. */
struct way {
	uint32_t oif;
	uint8_t bits;
	bool unicast;
};

static int on_way(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = attr_header(nlh, sizeof(*rtm));
	struct way *way = arg;

	if (nlh->nlmsg_type != RTM_NEWROUTE || !rtm)
		return 0;
	way->oif = attr_u32(attr_of(nlh, sizeof(*rtm), RTA_OIF), 0);
	way->bits = rtm->rtm_dst_len;
	way->unicast = rtm->rtm_type == RTN_UNICAST;
	return 0;
}

static int find_way(const struct addr *addr, struct way *ret, struct err *err)
{
	char scratch[256] = {0}, buf[ADDR_TEXT_MAX];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	struct rtmsg *rtm;
	struct nl nl;
	int code;

	*ret = (struct way){.oif = 0};
	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = addr->family;
	rtm->rtm_dst_len = addr_bits(addr);
	rtm->rtm_flags = RTM_F_FIB_MATCH; /* the route as it was written, with the length of its prefix */
	mnl_attr_put(nlh, RTA_DST, addr_len(addr), addr->bytes);
	code = nl_open(&nl, NETLINK_ROUTE, err);
	if (code < 0)
		return code;
	code = nl_request(&nl, nlh, on_way, ret);
	nl_close(&nl);
	return code < 0 ? err_errno(err, -code, "the node has no route to %s", addr_text(addr, buf)) : 0;
}

static const struct link *link_of(const struct holders *h, uint32_t index)
{
	for (size_t i = 0; i < h->links.n; i++)
		if (h->links.v[i].index == index)
			return &h->links.v[i];
	return NULL;
}

static bool has_addr(const struct holder *holder, const struct addr *addr)
{
	for (size_t i = 0; i < holder->addrs.n; i++)
		if (addr_equal(&holder->addrs.v[i], addr))
			return true;
	return false;
}

static int find_routed(const struct holders *h, const struct link *out, const struct addr *addr, const struct holder **ret, struct err *err)
{
	char buf[ADDR_TEXT_MAX];

	for (size_t i = 0; i < h->v.n; i++) {
		if (h->v.v[i].port.index == out->index) {
			*ret = &h->v.v[i];
			return 0;
		}
	}
	return err_set(err, ENOENT, "the route to %s leads to %s (%s), which is neither a bridge nor one end of a veth pair into another namespace",
		       addr_text(addr, buf), TEXT(out->name), out->kind[0] ? TEXT(out->kind) : "a device of its own");
}

static int find_bridged(const struct holders *h, const struct link *bridge, const struct addr *addr, const struct holder **ret, struct err *err)
{
	char buf[ADDR_TEXT_MAX];
	bool blind = false;

	*ret = NULL;
	for (size_t i = 0; i < h->v.n; i++) {
		const struct holder *holder = &h->v.v[i];

		if (holder->port.master_index != bridge->index)
			continue;
		blind |= !holder->known;
		if (!has_addr(holder, addr))
			continue;
		if (*ret)
			return err_set(err, EMLINK, "two containers of bridge %s have address %s, at %s and %s: whose it is nobody can tell",
				       TEXT(bridge->name), addr_text(addr, buf), TEXT((*ret)->port.name), TEXT(holder->port.name));
		*ret = holder;
	}
	if (blind)
		return err_set(err, ENOENT, "not every container of bridge %s could be asked for its addresses", TEXT(bridge->name));
	return *ret ? 0 : err_set(err, ENOENT, "no container of bridge %s has address %s", TEXT(bridge->name), addr_text(addr, buf));
}

static int find_one(const struct holders *h, const struct addr *addr, const struct holder **ret, struct err *err)
{
	char buf[ADDR_TEXT_MAX];
	const struct link *out;
	struct way way;

	if (find_way(addr, &way, err) < 0)
		return -err->code;
	out = link_of(h, way.oif);
	if (!out || !way.unicast)
		return err_set(err, ENOENT, "%s is no other host's address by the node's routes", addr_text(addr, buf));
	if (!strcmp(out->kind, "bridge"))
		return find_bridged(h, out, addr, ret, err);
	if (way.bits != addr_bits(addr))
		return err_set(err, ENOENT, "the node has no route to %s alone, and its route to a range with it leads to %s, no bridge",
			       addr_text(addr, buf), TEXT(out->name));
	return find_routed(h, out, addr, ret, err);
}

int holders_find(const struct holders *h, const struct addr *addrs, size_t n, struct link *ret_port, struct err *err)
{
	const struct holder *first = NULL, *holder = NULL;

	if (!n)
		return err_set(err, ENOENT, "it has no address yet");
	for (size_t i = 0; i < n; i++) {
		if (find_one(h, &addrs[i], &holder, err) < 0)
			return -err->code;
		if (first && first != holder)
			return err_set(err, EMLINK, "its addresses are behind two ports, %s and %s", TEXT(first->port.name), TEXT(holder->port.name));
		first = holder;
	}
	*ret_port = first->port;
	return ask_mac(ret_port, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bridge, its ports and its settings, over rtnetlink: one question gives name, MAC, options and what IPv4 and IPv6 have of it.
 * The proxy delays are parameters of the neighbour tables (no sysctl shows them in a user namespace). IPv6's proxy_ndp, and what
 * concerns all interfaces, is a sysctl only.
 */
#include "moat/bridge.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "core/netlink/attr_internal.h"
#include "moat/nl.h"
#include "moat/text.h"

static void found(struct bridge_values *values, enum bridge_setting s, uint32_t value)
{
	values->v[s] = value;
	values->has[s] = true;
}

/* One number of an array of them. */
static void find_at(const struct nlattr *array, size_t i, struct bridge_values *values, enum bridge_setting s)
{
	uint32_t value;

	if (!array || mnl_attr_get_payload_len(array) < (i + 1) * sizeof(value))
		return;
	memcpy(&value, (const uint8_t *)mnl_attr_get_payload(array) + i * sizeof(value), sizeof(value));
	found(values, s, value);
}

static void read_families(const struct nlattr *spec, struct bridge_values *now)
{
	const struct nlattr *conf = attr_in(attr_in(spec, AF_INET), IFLA_INET_CONF);
	const struct nlattr *conf6 = attr_in(attr_in(spec, AF_INET6), IFLA_INET6_CONF);

	find_at(conf, IPV4_DEVCONF_PROXY_ARP_PVLAN - 1, now, BRIDGE_PROXY_ARP_PVLAN);
	find_at(conf, IPV4_DEVCONF_SEND_REDIRECTS - 1, now, BRIDGE_SEND_REDIRECTS);
	find_at(conf6, DEVCONF_PROXY_NDP, now, BRIDGE_PROXY_NDP);
}

static void read_options(const struct nlattr *data, struct bridge *b)
{
	struct br_boolopt_multi multi;
	uint8_t filtering = 0;

	attr_bytes(attr_in(data, IFLA_BR_VLAN_FILTERING), &filtering, sizeof(filtering));
	b->vlan_filtering = filtering;
	if (attr_bytes(attr_in(data, IFLA_BR_MULTI_BOOLOPT), &multi, sizeof(multi)))
		found(&b->now, BRIDGE_NO_LINKLOCAL_LEARN, multi.optval >> BR_BOOLOPT_NO_LL_LEARN & 1);
}

static void copy_text(const struct nlattr *attr, char *ret, size_t size)
{
	const char *text = attr_text(attr);

	snprintf(ret, size, "%s", text ? text : "");
}

/* A link, as much of it as anybody here wants. */
struct seen {
	struct bridge bridge;
	uint32_t master;
	char kind[16];
};

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = attr_header(nlh, sizeof(*ifi));
	const size_t header = sizeof(*ifi);
	const struct nlattr *info;
	struct seen *seen = arg;

	if (nlh->nlmsg_type != RTM_NEWLINK || !ifi)
		return 0;
	memset(seen, 0, sizeof(*seen));
	seen->bridge.index = (uint32_t)ifi->ifi_index;
	seen->master = attr_u32(attr_of(nlh, header, IFLA_MASTER), 0);
	copy_text(attr_of(nlh, header, IFLA_IFNAME), seen->bridge.name, sizeof(seen->bridge.name));
	attr_bytes(attr_of(nlh, header, IFLA_ADDRESS), seen->bridge.mac, sizeof(seen->bridge.mac));
	info = attr_of(nlh, header, IFLA_LINKINFO);
	copy_text(attr_in(info, IFLA_INFO_KIND), seen->kind, sizeof(seen->kind));
	if (!strcmp(seen->kind, "bridge"))
		read_options(attr_in(info, IFLA_INFO_DATA), &seen->bridge);
	read_families(attr_of(nlh, header, IFLA_AF_SPEC), &seen->bridge.now);
	return 0;
}

static struct nlmsghdr *ask(void *scratch, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	return nlh;
}

static struct nlmsghdr *ask_link(void *scratch, uint16_t type, uint16_t flags, uint32_t index)
{
	struct nlmsghdr *nlh = ask(scratch, type, flags);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = (int)index;
	return nlh;
}

static int on_addr(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = attr_header(nlh, sizeof(*ifa));
	const struct nlattr *local;
	struct bridge *b = arg;
	struct addr addr = {0};

	if (nlh->nlmsg_type != RTM_NEWADDR || !ifa || ifa->ifa_index != b->index || ifa->ifa_scope >= RT_SCOPE_LINK)
		return 0;
	addr.family = ifa->ifa_family;
	local = attr_of(nlh, sizeof(*ifa), IFA_LOCAL); /* the own one, where there is a peer's too */
	if (!local)
		local = attr_of(nlh, sizeof(*ifa), IFA_ADDRESS);
	if ((addr.family != AF_INET && addr.family != AF_INET6) || !attr_bytes(local, addr.bytes, addr_len(&addr)))
		return 0;
	if (b->n_addrs == BRIDGE_ADDRS_MAX)
		return -E2BIG;
	b->addrs[b->n_addrs++] = addr;
	return 0;
}

/* The socket answers for one interface only where the kernel is strict about what it is asked; else on_addr chooses. */
static int read_addrs(struct nl *nl, struct bridge *b)
{
	static const int on = 1;
	char scratch[256] = {0};
	struct nlmsghdr *nlh = ask(scratch, RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	ifa->ifa_index = b->index;
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return nl_dump(nl, nlh, on_addr, b);
}

#define ALL_SEND_REDIRECTS "ipv4/conf/all/send_redirects"

/* In a container /proc/sys cannot be written: what may be is mounted elsewhere. Whose settings they are the process' network namespace says. */
static char *sysctl_path(const char *below, const char *interface, const char *name)
{
	const char *dir = getenv("MOAT_SYSCTL_NET");

	return mem_printf("%s/%s%s%s", dir && *dir ? dir : "/proc/sys/net", below, interface, name);
}

static void read_all(struct bridge_values *now)
{
	CLEAN_FREE char *path = sysctl_path(ALL_SEND_REDIRECTS, "", "");
	CLEAN_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char digit;

	if (fd >= 0 && read(fd, &digit, 1) == 1)
		found(now, BRIDGE_ALL_SEND_REDIRECTS, digit != '0');
}

int bridge_look(uint32_t index, struct bridge *ret, struct err *err)
{
	char scratch[256] = {0};
	struct nlmsghdr *nlh = ask_link(scratch, RTM_GETLINK, 0, index);
	struct seen seen = {.kind = ""};
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, err);

	if (code < 0)
		return code;
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	code = nl_request(&nl, nlh, on_link, &seen);
	if (code == 0 && !strcmp(seen.kind, "bridge"))
		code = read_addrs(&nl, &seen.bridge);
	nl_close(&nl);
	if (code < 0)
		return err_errno(err, -code, "interface with index %u", index);
	if (strcmp(seen.kind, "bridge") != 0)
		return err_set(err, EMEDIUMTYPE, "interface %s is no bridge but of kind \"%s\"", TEXT(seen.bridge.name), TEXT(seen.kind));
	read_all(&seen.bridge.now);
	*ret = seen.bridge;
	return 0;
}

struct port_search {
	const struct bridge *bridge;
	char *port, *kind;
};

static int on_port(const struct nlmsghdr *nlh, void *arg)
{
	struct port_search *search = arg;
	struct seen seen = {.kind = ""};

	on_link(nlh, &seen);
	if (seen.master != search->bridge->index || search->port[0] || !strcmp(seen.kind, "veth"))
		return 0;
	snprintf(search->port, IF_NAMESIZE, "%s", seen.bridge.name);
	snprintf(search->kind, sizeof(seen.kind), "%s", seen.kind);
	return 0;
}

int bridge_find_foreign_port(const struct bridge *b, char ret_port[IF_NAMESIZE], char ret_kind[16], struct err *err)
{
	char scratch[256] = {0};
	struct nlmsghdr *nlh = ask_link(scratch, RTM_GETLINK, NLM_F_DUMP, 0);
	struct port_search search = {b, ret_port, ret_kind};
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, err);

	if (code < 0)
		return code;
	ret_port[0] = ret_kind[0] = '\0';
	mnl_attr_put_u32(nlh, IFLA_MASTER, b->index);
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	code = nl_dump(&nl, nlh, on_port, &search);
	nl_close(&nl);
	return code < 0 ? err_errno(err, -code, "ports of bridge %s", TEXT(b->name)) : 0;
}

/* ---- proxy delays --------------------------------------------------------------------------------------------------------- */

struct delay {
	uint32_t index;
	struct bridge_values *now;
	enum bridge_setting setting;
};

static int on_table(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *parms = attr_of(nlh, sizeof(struct ndtmsg), NDTA_PARMS);
	struct delay *delay = arg;
	uint64_t value;

	if (attr_header(nlh, sizeof(struct ndtmsg)) && attr_u32(attr_in(parms, NDTPA_IFINDEX), 0) == delay->index &&
	    attr_bytes(attr_in(parms, NDTPA_PROXY_DELAY), &value, sizeof(value)))
		found(delay->now, delay->setting, (uint32_t)value);
	return 0;
}

static bool is_of_ipv6(enum bridge_setting s)
{
	return s == BRIDGE_PROXY_NDP || s == BRIDGE_ND_PROXY_DELAY;
}

int bridge_read_delays(struct bridge *b, struct err *err)
{
	static const enum bridge_setting settings[] = {BRIDGE_ARP_PROXY_DELAY, BRIDGE_ND_PROXY_DELAY};
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, err);

	for (size_t i = 0; code == 0 && i < ARRAY_SIZE(settings); i++) {
		char scratch[256] = {0};
		struct nlmsghdr *nlh = ask(scratch, RTM_GETNEIGHTBL, NLM_F_DUMP);
		struct ndtmsg *ndt = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndt));
		struct delay delay = {b->index, &b->now, settings[i]};

		ndt->ndtm_family = is_of_ipv6(settings[i]) ? AF_INET6 : AF_INET;
		code = nl_dump(&nl, nlh, on_table, &delay);
		if (code < 0)
			err_errno(err, -code, "neighbour tables of bridge %s", TEXT(b->name));
	}
	nl_close(&nl);
	return code;
}

/* ---- setting ---------------------------------------------------------------------------------------------------------------- */

static void put_devconf(struct nlmsghdr *nlh, uint16_t key, uint32_t value)
{
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC), *inet = mnl_attr_nest_start(nlh, AF_INET);
	struct nlattr *conf = mnl_attr_nest_start(nlh, IFLA_INET_CONF);

	mnl_attr_put_u32(nlh, key, value);
	mnl_attr_nest_end(nlh, conf);
	mnl_attr_nest_end(nlh, inet);
	mnl_attr_nest_end(nlh, spec);
}

static void put_option(struct nlmsghdr *nlh, unsigned option, uint32_t value)
{
	struct br_boolopt_multi multi = {.optval = value << option, .optmask = 1u << option};
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO), *data;

	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put(nlh, IFLA_BR_MULTI_BOOLOPT, sizeof(multi), &multi);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

static int request_once(struct nlmsghdr *nlh)
{
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, NULL);

	if (code == 0)
		code = nl_request(&nl, nlh, NULL, NULL);
	nl_close(&nl);
	return code;
}

static int set_link(const struct bridge *b, enum bridge_setting s, uint32_t value)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = ask_link(scratch, RTM_NEWLINK, NLM_F_ACK, b->index);

	if (s == BRIDGE_NO_LINKLOCAL_LEARN)
		put_option(nlh, BR_BOOLOPT_NO_LL_LEARN, value);
	else
		put_devconf(nlh, s == BRIDGE_PROXY_ARP_PVLAN ? IPV4_DEVCONF_PROXY_ARP_PVLAN : IPV4_DEVCONF_SEND_REDIRECTS, value);
	return request_once(nlh);
}

static int set_delay(const struct bridge *b, enum bridge_setting s, uint32_t value)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = ask(scratch, RTM_SETNEIGHTBL, NLM_F_ACK);
	struct ndtmsg *ndt = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndt));
	struct nlattr *parms;

	ndt->ndtm_family = is_of_ipv6(s) ? AF_INET6 : AF_INET;
	mnl_attr_put_strz(nlh, NDTA_NAME, is_of_ipv6(s) ? "ndisc_cache" : "arp_cache");
	parms = mnl_attr_nest_start(nlh, NDTA_PARMS);
	mnl_attr_put_u32(nlh, NDTPA_IFINDEX, b->index);
	mnl_attr_put_u64(nlh, NDTPA_PROXY_DELAY, value);
	mnl_attr_nest_end(nlh, parms);
	return request_once(nlh);
}

static int set_sysctl(const char *path, uint32_t value)
{
	CLEAN_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return dprintf(fd, "%u\n", value) < 0 ? -errno : 0;
}

/* The name is an interface's, so neither a slash nor ".." is in the path. */
static int set_proxy_ndp(const struct bridge *b, uint32_t value)
{
	CLEAN_FREE char *path = sysctl_path("ipv6/conf/", b->name, "/proxy_ndp");

	return set_sysctl(path, value);
}

static int set_all_send_redirects(uint32_t value)
{
	CLEAN_FREE char *path = sysctl_path(ALL_SEND_REDIRECTS, "", "");

	return set_sysctl(path, value);
}

int bridge_set(const struct bridge *b, enum bridge_setting s, uint32_t value, struct err *err)
{
	int code;

	if (s == BRIDGE_PROXY_NDP)
		code = set_proxy_ndp(b, value);
	else if (s == BRIDGE_ALL_SEND_REDIRECTS)
		code = set_all_send_redirects(value);
	else if (s == BRIDGE_ARP_PROXY_DELAY || s == BRIDGE_ND_PROXY_DELAY)
		code = set_delay(b, s, value);
	else
		code = set_link(b, s, value);
	return code < 0 ? err_errno(err, -code, "set %s of bridge %s to %u", bridge_setting_name(s), TEXT(b->name), value) : 0;
}

int bridge_pin_mac(const struct bridge *b, const uint8_t mac[6], struct err *err)
{
	char scratch[256] = {0}, text[ETHER_TEXT_MAX];
	struct nlmsghdr *nlh = ask_link(scratch, RTM_NEWLINK, NLM_F_ACK, b->index);
	int code;

	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	code = request_once(nlh);
	return code < 0 ? err_errno(err, -code, "give bridge %s the MAC address %s", TEXT(b->name), ether_text(mac, text)) : 0;
}

/* flags: NTF_PROXY, or 0 for what the node has learnt itself. What is not there is deleted. */
static int change_neighbour(uint32_t index, const struct addr *addr, uint8_t flags, bool on, struct err *err)
{
	char scratch[256] = {0}, text[ADDR_TEXT_MAX];
	struct nlmsghdr *nlh = ask(scratch, on ? RTM_NEWNEIGH : RTM_DELNEIGH, NLM_F_ACK | (on ? NLM_F_CREATE | NLM_F_REPLACE : 0));
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	int code;

	ndm->ndm_family = addr->family;
	ndm->ndm_ifindex = (int)index;
	ndm->ndm_flags = flags;
	mnl_attr_put(nlh, NDA_DST, addr_len(addr), addr->bytes);
	code = request_once(nlh);
	if (code < 0 && !on && (code == -ENOENT || code == -ENODEV))
		code = 0;
	return code < 0 ? err_errno(err, -code, "neighbour %s", addr_text(addr, text)) : 0;
}

int bridge_proxy(uint32_t index, const struct addr *addr, bool on, struct err *err)
{
	return change_neighbour(index, addr, NTF_PROXY, on, err);
}

int bridge_forget_neighbour(uint32_t index, const struct addr *addr, struct err *err)
{
	return change_neighbour(index, addr, 0, false, err);
}

struct proxies {
	uint32_t index;
	bridge_proxy_fn fn;
	void *arg;
};

static int on_proxy(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *ndm = attr_header(nlh, sizeof(*ndm));
	const struct proxies *p = arg;
	struct addr addr = {.family = AF_INET6};

	if (nlh->nlmsg_type == RTM_NEWNEIGH && ndm && (uint32_t)ndm->ndm_ifindex == p->index && ndm->ndm_flags & NTF_PROXY &&
	    attr_bytes(attr_of(nlh, sizeof(*ndm), NDA_DST), addr.bytes, addr_len(&addr)))
		p->fn(&addr, p->arg);
	return 0;
}

int bridge_each_proxy(uint32_t index, bridge_proxy_fn fn, void *arg, struct err *err)
{
	char scratch[256] = {0};
	struct nlmsghdr *nlh = ask(scratch, RTM_GETNEIGH, NLM_F_DUMP);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	struct proxies p = {index, fn, arg};
	struct nl nl;
	int code = nl_open(&nl, NETLINK_ROUTE, err);

	if (code < 0)
		return code;
	ndm->ndm_family = AF_INET6;
	ndm->ndm_flags = NTF_PROXY;
	code = nl_dump(&nl, nlh, on_proxy, &p);
	nl_close(&nl);
	return code < 0 ? err_errno(err, -code, "proxy neighbours") : 0;
}

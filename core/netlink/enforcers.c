/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By the one name that each of them always has. A list of all chains would be thousands where a service proxy is at work, and a look costs
 * as many messages; so they are asked for, one by one.
 */
#include "moat/enforcers.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moat/link.h"
#include "moat/nl.h"
#include "moat/text.h"

static const struct sign {
	const char *who;
	uint8_t family;
	const char *table, *chain; /* chain NULL: the table alone */
} signs[] = {
	{"Calico", NFPROTO_IPV4, "filter", "cali-FORWARD"},
	{"Calico", NFPROTO_IPV6, "filter", "cali-FORWARD"},
	{"Calico", NFPROTO_IPV4, "calico", NULL},
	{"Calico", NFPROTO_IPV6, "calico", NULL},
	{"kube-router", NFPROTO_IPV4, "filter", "KUBE-ROUTER-FORWARD"}, /* k3s has it inside */
	{"kube-router", NFPROTO_IPV6, "filter", "KUBE-ROUTER-FORWARD"},
	{"kube-router", NFPROTO_IPV4, "filter", "KUBE-NWPLCY-DEFAULT"},
	{"kube-router", NFPROTO_IPV6, "filter", "KUBE-NWPLCY-DEFAULT"},
	{"kube-router", NFPROTO_IPV4, "kube-router-filter-ipv4", NULL},
	{"kube-router", NFPROTO_IPV6, "kube-router-filter-ipv6", NULL},
	{"kindnet", NFPROTO_INET, "kindnet-network-policies", NULL},
	{"kube-network-policies", NFPROTO_INET, "kube-network-policies", NULL},
	{"Cilium", NFPROTO_IPV4, "filter", "CILIUM_FORWARD"},
	{"Cilium", NFPROTO_IPV6, "filter", "CILIUM_FORWARD"},
};

static const struct {
	const char *who, *begins; /* a name that ends so is whole */
} interfaces[] = {{"Cilium", "cilium_"}, {"Antrea", "antrea-gw"}};

static const struct {
	const char *file, *what;
} legacy[] = {{"/proc/net/ip_tables_names", "iptables-legacy"}, {"/proc/net/ip6_tables_names", "ip6tables-legacy"}};

static int note(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	*(bool *)arg = true;
	return 0;
}

static bool is_there(struct nl *nl, const struct sign *s)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh =
		nftnl_nlmsg_build_hdr(scratch, s->chain ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE, s->family, 0, 0);
	bool found = false;

	mnl_attr_put_strz(nlh, s->chain ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, s->table);
	if (s->chain)
		mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, s->chain);
	return nl_request(nl, nlh, note, &found) == 0 && found;
}

static const char *family_text(uint8_t family)
{
	return family == NFPROTO_INET ? "inet" : family == NFPROTO_IPV6 ? "ip6" : "ip";
}

struct telling {
	enforcer_fn fn;
	void *arg;
};

static void look_at_link(const struct link *link, void *arg)
{
	const struct telling *t = arg;
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++) {
		if (strncmp(link->name, interfaces[i].begins, strlen(interfaces[i].begins)) != 0)
			continue;
		snprintf(text, sizeof(text), "interface %s", TEXT(link->name));
		t->fn(interfaces[i].who, text, t->arg);
	}
}

static void look_at_legacy(const struct telling *t)
{
	char text[160], names[64];

	for (size_t i = 0; i < ARRAY_SIZE(legacy); i++) {
		CLEAN_CLOSE int fd = open(legacy[i].file, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, names, sizeof(names));

		if (n <= 0)
			continue;
		snprintf(text, sizeof(text), "%s is in use: what stands in its tables is not seen from here", legacy[i].what);
		t->fn("", text, t->arg);
	}
}

int enforcers_each(enforcer_fn fn, void *arg, struct err *err)
{
	struct telling t = {fn, arg};
	char text[128];
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
		const struct sign *s = &signs[i];

		if (!is_there(&nl, s))
			continue;
		snprintf(text, sizeof(text), "%s%s%stable %s %s", s->chain ? "chain " : "", s->chain ? s->chain : "", s->chain ? " of " : "",
			 family_text(s->family), s->table);
		fn(s->who, text, arg);
	}
	nl_close(&nl);
	look_at_legacy(&t);
	return link_each(look_at_link, &t, err);
}

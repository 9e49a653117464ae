/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links INDEX NAME: what a pod may do to the links of its node, through the number that the kernel gives the node's network
 * namespace in the pod's (IFLA_LINK_NETNSID of the pod's veth). INDEX and NAME are of a link of the node. Prints what the kernel
 * lets happen, a word each: read (its description), wire (a macvlan on it, here), make (a bridge on the node), delete (that).
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netns-tests/probing/probe.h"

struct request {
	struct nlmsghdr h;
	struct ifinfomsg i;
	uint8_t attributes[256];
};

static struct rtattr *put(struct request *r, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (void *)((uint8_t *)r + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void put_number(struct request *r, unsigned short type, int value)
{
	put(r, type, &value, sizeof(value));
}

static void put_kind(struct request *r, const char *kind)
{
	struct rtattr *info = put(r, IFLA_LINKINFO, NULL, 0);

	put(r, IFLA_INFO_KIND, kind, strlen(kind));
	info->rta_len = (unsigned short)((uint8_t *)r + r->h.nlmsg_len - (uint8_t *)info);
}

static struct request begin(unsigned short type, unsigned short flags)
{
	return (struct request){ .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = type,
					.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags) } };
}

/* Prints the word if the kernel does it. */
static void try(int fd, struct request *r, const char *word)
{
	uint8_t answer[16384];
	ssize_t n;
	struct nlmsghdr h;
	struct nlmsgerr e;

	if (send(fd, r, r->h.nlmsg_len, 0) < 0)
		probe_die("links: send");
	do {
		n = recv(fd, answer, sizeof(answer), 0);
		if (n < (ssize_t)sizeof(h))
			probe_die("links: recv");
		memcpy(&h, answer, sizeof(h));
	} while (h.nlmsg_type != NLMSG_ERROR);
	memcpy(&e, answer + NLMSG_HDRLEN, sizeof(e));
	if (e.error == 0)
		printf("%s\n", word);
}

int probe_links(int argc, char **argv)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), number = 0; /* the first that the kernel gives */
	struct request r;

	if (argc != 3 || fd < 0)
		probe_usage("links INDEX NAME");
	r = begin(RTM_GETLINK, 0);
	put_number(&r, IFLA_TARGET_NETNSID, number);
	put(&r, IFLA_IFNAME, argv[2], strlen(argv[2]) + 1);
	try(fd, &r, "read");
	r = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	put_number(&r, IFLA_LINK_NETNSID, number);
	put_number(&r, IFLA_LINK, (int)probe_number(argv[1], INT32_MAX));
	put(&r, IFLA_IFNAME, "stolen", 7);
	put_kind(&r, "macvlan");
	try(fd, &r, "wire");
	r = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	put_number(&r, IFLA_TARGET_NETNSID, number);
	put(&r, IFLA_IFNAME, "planted", 8);
	put_kind(&r, "bridge");
	try(fd, &r, "make");
	r = begin(RTM_DELLINK, 0);
	put_number(&r, IFLA_TARGET_NETNSID, number);
	put(&r, IFLA_IFNAME, "planted", 8);
	try(fd, &r, "delete");
	close(fd);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ear: what a process hears of changes. Takes its sockets that listen to a netlink multicast group by pidfd_getfd, which shares
 * them, and makes them hard of hearing (the smallest receive buffer: an overrun at once) or deaf (they leave the group). What
 * no daemon does to itself, and no option is there for.
 */
#include "netns-tests/probing/probe.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

enum { FDS_MAX = 1024 };

/* Which groups (bit n - 1: group n) of bus the socket is in; 0 if it is none of bus. */
static uint32_t groups_of(int fd, int bus)
{
	int domain = 0, protocol = -1;
	uint32_t groups[4] = { 0 };
	socklen_t len = sizeof(int), size = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) || domain != AF_NETLINK)
		return 0;
	len = sizeof(int);
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	if (protocol != bus || getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &size))
		return 0;
	return groups[0];
}

static void leave(int fd, uint32_t groups)
{
	for (int group = 1; group <= 32; group++)
		if (groups & 1u << (group - 1) && setsockopt(fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof(group)))
			probe_die("ear: leave a group");
}

int probe_ear(int argc, char **argv)
{
	static const int smallest = 1;
	int bus, pidfd, changed = 0;

	if (argc != 4 || (strcmp(argv[3], "hard") && strcmp(argv[3], "deaf")))
		probe_usage("ear PID nftables|route hard|deaf");
	bus = !strcmp(argv[2], "route") ? NETLINK_ROUTE : NETLINK_NETFILTER;
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)probe_number(argv[1], 1 << 22), 0);
	if (pidfd < 0)
		probe_die("ear: pidfd_open");
	for (int number = 0; number < FDS_MAX; number++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
		uint32_t groups = fd < 0 ? 0 : groups_of(fd, bus);

		if (groups && !strcmp(argv[3], "deaf"))
			leave(fd, groups);
		else if (groups && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest)))
			probe_die("ear: SO_RCVBUF");
		changed += groups != 0;
		if (fd >= 0)
			close(fd);
	}
	if (!changed)
		probe_usage("ear: process %s listens to nothing of %s", argv[1], argv[2]);
	printf("%d sockets\n", changed);
	return 0;
}

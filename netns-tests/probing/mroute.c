/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mroute: what a multicast routing daemon does to a node, in the smallest way: every packet to GROUP that comes in by the first
 * interface from SOURCE goes out by the others. The routes live as long as the process.
 */
#include <arpa/inet.h>
#include <linux/mroute.h>
#include <linux/mroute6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netns-tests/probing/probe.h"

static void set(int fd, int level, int option, const void *value, size_t len)
{
	if (setsockopt(fd, level, option, value, (socklen_t)len))
		probe_die("mroute: setsockopt");
}

static unsigned index_of(const char *ifname)
{
	unsigned index = if_nametoindex(ifname);

	if (!index)
		probe_die(ifname);
	return index;
}

static int route4(char **ifnames, int n)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_IGMP);

	set(fd, IPPROTO_IP, MRT_INIT, &(int){ 1 }, sizeof(int));
	for (int i = 0; i < n; i++) {
		struct vifctl vif = { .vifc_vifi = (vifi_t)i, .vifc_flags = VIFF_USE_IFINDEX, .vifc_threshold = 1 };

		vif.vifc_lcl_ifindex = (int)index_of(ifnames[i]);
		set(fd, IPPROTO_IP, MRT_ADD_VIF, &vif, sizeof(vif));
	}
	return fd;
}

static int route6(char **ifnames, int n)
{
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);

	set(fd, IPPROTO_IPV6, MRT6_INIT, &(int){ 1 }, sizeof(int));
	for (int i = 0; i < n; i++) {
		struct mif6ctl mif = { .mif6c_mifi = (mifi_t)i, .vifc_threshold = 1 };

		mif.mif6c_pifi = (uint16_t)index_of(ifnames[i]);
		set(fd, IPPROTO_IPV6, MRT6_ADD_MIF, &mif, sizeof(mif));
	}
	return fd;
}

/* From the interface with number `parent`; not back to it, save when it is the only one. */
static void add4(int fd, const struct endpoint *source, const struct endpoint *group, int parent, int n)
{
	struct mfcctl mfc = { .mfcc_origin = source->v4.sin_addr, .mfcc_mcastgrp = group->v4.sin_addr, .mfcc_parent = (vifi_t)parent };

	for (int i = 0; i < n; i++)
		mfc.mfcc_ttls[i] = i != parent;
	set(fd, IPPROTO_IP, MRT_ADD_MFC, &mfc, sizeof(mfc));
}

static void add6(int fd, const struct endpoint *source, const struct endpoint *group, int parent, int n)
{
	struct mf6cctl mfc = { .mf6cc_origin = source->v6, .mf6cc_mcastgrp = group->v6, .mf6cc_parent = (mifi_t)parent };

	for (int i = 0; i < n; i++)
		if (i != parent)
			IF_SET(i, &mfc.mf6cc_ifset);
	set(fd, IPPROTO_IPV6, MRT6_ADD_MFC, &mfc, sizeof(mfc));
}

/* mroute IF... -- GROUP SOURCE IF [SOURCE IF]... */
int probe_mroute(int argc, char **argv)
{
	struct endpoint group;
	int n = 1, fd;
	bool four;

	while (n < argc && strcmp(argv[n], "--") != 0)
		n++;
	if (argc < n + 4 || (argc - n) % 2)
		probe_usage("mroute IF... -- GROUP SOURCE IF [SOURCE IF]...");
	group = probe_endpoint(argv[n + 1], NULL);
	four = group.any.sa_family == AF_INET;
	fd = four ? route4(argv + 1, n - 1) : route6(argv + 1, n - 1);
	for (int i = n + 2; i + 1 < argc; i += 2) {
		struct endpoint source = probe_endpoint(argv[i], NULL);
		int parent = 0;

		while (parent < n - 1 && strcmp(argv[parent + 1], argv[i + 1]) != 0)
			parent++;
		if (parent == n - 1)
			probe_usage("mroute: %s is not among the interfaces", argv[i + 1]);
		(four ? add4 : add6)(fd, &source, &group, parent, n - 1);
	}
	probe_stop_on_signal();
	puts("ready");
	fflush(stdout);
	while (!probe_stopped())
		pause();
	return 0;
}

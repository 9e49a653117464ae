/* SPDX-License-Identifier: Apache-2.0 */
/* Network interfaces over rtnetlink: whose port is whose. */
#ifndef MOAT_LINK_H
#define MOAT_LINK_H

#include <net/if.h>

#include "moat/addr.h"
#include "moat/err.h"

struct link {
	char name[IF_NAMESIZE];
	uint32_t index;
	uint32_t peer_index;   /* veth: index of the other end in its own namespace; 0 if none */
	int32_t peer_nsid;     /* number that this namespace gives to the peer's; -1: the peer is here too */
	uint32_t master_index; /* 0 if not enslaved */
	char kind[16];         /* "veth", "bridge", …; "" for none */
	uint8_t mac[6];
	uint8_t peer_mac[6];   /* of link_port_of: the container's */
};

/* Of the caller's namespace. -ENODEV if there is none such. */
int link_by_index(uint32_t index, struct link *ret, struct err *err);

/* Calls fn for every interface of the caller's namespace. */
typedef void (*link_fn)(const struct link *link, void *arg);
int link_each(link_fn fn, void *arg, struct err *err);

/*
 * The port of a container: looks `ifname` up in the network namespace at `netns` (a path), asked in that namespace (the caller's is
 * restored), then its veth peer here by index, and checks that the peer names it back, in that very namespace. -ENOENT: no such
 * path; -EINVAL: no network namespace; -ENODEV: no such interface in it; -EPERM; -EMEDIUMTYPE: the interface is not a veth
 * (macvlan, ipvlan, host-device …: kind in err); -ELNRNG: its peer is not in this namespace.
 */
int link_port_of(const char *netns, const char *ifname, struct link *ret_port, struct err *err);

/* Calls fn for every route of the caller's namespace to one single address, with the index of the interface it leads to. */
typedef void (*link_route_fn)(const struct addr *addr, uint32_t index, void *arg);
int link_each_host_route(link_route_fn fn, void *arg, struct err *err);

/* By which interface the node would send to this address; 0: by none, or the kernel cannot be asked. */
uint32_t link_towards(const struct addr *addr);

/* Is this one of the node's own addresses (a route of type local)? false if the kernel cannot be asked. */
bool link_addr_is_local(const struct addr *addr);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has an address, asked of the kernel: for pods whose ADD moat did not see. core/netlink/holders.c says what is believed, and why.
 */
#ifndef MOAT_HOLDERS_H
#define MOAT_HOLDERS_H

#include "moat/addr.h"
#include "moat/link.h"

/* All ends of veth pairs of this namespace whose other end is in another, with the addresses there, as of one moment. */
struct holders;

int holders_new(struct holders **ret, struct err *err);
void holders_free(struct holders *h); /* accepts NULL */

/*
 * The one port behind which all n addresses are: peer_mac is the container's. -ENOENT: none is found, -EMLINK: they are at several, or
 * several claim one; err says what was found, for a person.
 */
int holders_find(const struct holders *h, const struct addr *addrs, size_t n, struct link *ret_port, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP ports of tunnels: no pod reaches them on a node (ruleset.c, chain tunnels). A conflist may list others than the default;
 * the kernel's set is the node's, one for all networks.
 */
#ifndef MOAT_TUNNEL_H
#define MOAT_TUNNEL_H

#include "moat/err.h"

#define TUNNEL_PORTS_MAX 32 /* a node has one or two overlays; the answer of a dump is one datagram still */

struct cJSON;

struct tunnel_ports {
	uint16_t port[TUNNEL_PORTS_MAX]; /* host order, ascending, each once */
	size_t n;                        /* 0: not configured */
};

/* VXLAN as Linux (flannel) and IANA number it, Geneve, WireGuard. */
extern const struct tunnel_ports tunnel_ports_default;

/* A list of 1 to TUNNEL_PORTS_MAX numbers of 1 to 65535; NULL (absent) gives n 0. -EINVAL says which element is wrong. */
int tunnel_ports_parse(const struct cJSON *value, struct tunnel_ports *ret, struct err *err);
struct cJSON *tunnel_ports_json(const struct tunnel_ports *ports); /* caller deletes */
bool tunnel_ports_have(const struct tunnel_ports *ports, uint16_t port);

#endif

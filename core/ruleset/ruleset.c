/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of the ruleset
 *
 * Each packet of a pod passes one of three hooks, after destination NAT (a Service is its pod by then) and before source NAT (the
 * source is true): forward, output (the node's own), input (to the node). There, two questions are asked: may the source send this
 * (`from`), may the destination have it (`to`)? A question is one lookup by address that goes to the pod's chain, from there
 * to its profile (port . protocol → group) and the group's set. `return` means allowed: goto pushes nothing, so a return
 * comes back behind the jump and the next question is asked. A miss falls through to `lost`, which drops: fails closed.
 *
 * `guard` comes before all that, before defragmentation and conntrack (-450): a pod speaks only with its own addresses through its own
 * port, and nobody else speaks with a pod's address. Only therefore may established flows pass unseen. A pod that is a port of a
 * bridge is heard through the bridge: its elements name the bridge, and table bridge moat (ruleset_bridge.c) has proved the port.
 * Nor does a pod name another way: a source route moves the destination behind these hooks (IPv4 after forward; IPv6 segment
 * routing after input, with the connection of the first destination), and a router alert hands the packet to a socket of the node
 * before them.
 *
 * A net is below: what misses both questions, and has an address of this node's pod ranges that is not the node's own, is of a pod that
 * was started without moat. The daemon knows the ranges, and whether it is lost or only counted (policyd/kernel/net.c).
 *
 * Input runs at 110, after IPVS (98), which turns Service packets round there; IPVS sends them through output, where there is no input
 * interface: hence map from_addr.
 *
 * No anonymous sets anywhere: a rewrite of these rules on a live table must touch rules only, since a set made in a
 * transaction can be met before its elements are (the swap discipline; 4 of 870,000 packets were lost with a hash map).
 *
 * Every rule is tagged with a hash of itself. ADD proves by the tags that all rules stand in their order, and rewrites
 * the static part when they do not: a stranger may have flushed a chain while no daemon ran.
 */
#include "core/ruleset/ruleset_internal.h"

#include <netinet/in.h> /* before linux/netfilter.h, which has its own copy of it */

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <string.h>

#include "moat/layout.h"

#define FAMILIES(name4, name6, flags_, timeout_, ...)                                                                  \
	{                                                                                                              \
		{.name = (name4), .fields = {__VA_ARGS__ FIELD_IPV4}, .flags = (flags_), .timeout_ms = (timeout_)},   \
		{.name = (name6), .fields = {__VA_ARGS__ FIELD_IPV6}, .flags = (flags_), .timeout_ms = (timeout_)},   \
	}

const struct set_spec set_links = {.name = "links", .fields = {FIELD_IFINDEX}};
const struct set_spec set_ports = {.name = "ports", .fields = {FIELD_IFNAME}};
const struct set_spec set_bridge_ports = {.name = "bridge_ports", .fields = {FIELD_IFNAME}};
const struct set_spec set_open_node[2] = FAMILIES("open_node", "open_node6", SET_PLAIN, 0, FIELD_IFNAME, );
const struct set_spec set_pods[2] = FAMILIES("pods", "pods6", SET_PLAIN, 0, );
const struct set_spec set_self[2] = {
	{.name = "self", .fields = {FIELD_IPV4, FIELD_IPV4}},
	{.name = "self6", .fields = {FIELD_IPV6, FIELD_IPV6}},
};
const struct set_spec set_nodes[2] = FAMILIES("nodes", "nodes6", SET_PLAIN, 0, );
const struct set_spec set_known[2] = FAMILIES("known", "known6", SET_PLAIN, 0, );
const struct set_spec set_unsettled[2] = FAMILIES("unsettled", "unsettled6", SET_INTERVAL, 0, );
const struct set_spec set_revoked[2] = {
	/* 10 minutes: longer than any peer keeps resending into a dead connection (tcp_retries2: 924 s at most, by then with RTOs of 120 s) */
	{.name = "revoked_flows",
	 .fields = {FIELD_PROTOCOL, FIELD_IPV4, FIELD_PORT, FIELD_IPV4, FIELD_PORT},
	 .flags = SET_TIMEOUT,
	 .timeout_ms = 600000},
	{.name = "revoked_flows6",
	 .fields = {FIELD_PROTOCOL, FIELD_IPV6, FIELD_PORT, FIELD_IPV6, FIELD_PORT},
	 .flags = SET_TIMEOUT,
	 .timeout_ms = 600000},
};
const struct set_spec set_tunnel_ports = {.name = "tunnel_ports", .fields = {FIELD_PORT}};
const struct set_spec set_tunnel_protocols = {.name = "tunnel_protocols", .fields = {FIELD_PROTOCOL}};
/* The keys of from_pod again: before 6.18 (6.1, 6.12: EINVAL) a kernel does not look up in a verdict map as in a plain set. */
const struct set_spec set_own[2] = FAMILIES("own", "own6", SET_PLAIN, 0, FIELD_IFNAME, );
const struct set_spec set_extensions = {.name = "extensions", .fields = {FIELD_PROTOCOL}};
const struct set_spec map_from_pod[2] = FAMILIES("from_pod", "from_pod6", SET_VERDICT, 0, FIELD_IFNAME, );
const struct set_spec map_from_addr[2] = FAMILIES("from_addr", "from_addr6", SET_VERDICT, 0, );
const struct set_spec map_to_pod[2] = FAMILIES("to_pod", "to_pod6", SET_VERDICT, 0, );

static void put_sets(struct txn *t)
{
	static const struct set_spec *const by_family[] = {set_pods,      set_own,     set_open_node, set_self,      set_nodes, set_known,
							   set_unsettled, set_revoked, map_from_pod,  map_from_addr, map_to_pod};
	/* what Linux can be told to unpack */
	static const uint8_t protocols[] = {IPPROTO_IPIP, IPPROTO_IPV6, IPPROTO_GRE,      IPPROTO_ESP, IPPROTO_AH,
					    IPPROTO_PIM,  IPPROTO_COMP, 115 /* L2TP */, IPPROTO_MPLS};
	/* mobility, HIP and shim6 too (IANA's list): what names another address, whatever the kernel makes of it */
	static const uint8_t extensions[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT, IPPROTO_DSTOPTS, 135, 139, 140};

	txn_add_set(t, &set_ports);
	txn_add_set(t, &set_links);
	txn_add_set(t, &set_bridge_ports);
	for (size_t i = 0; i < ARRAY_SIZE(by_family); i++) {
		txn_add_set(t, &by_family[i][0]);
		txn_add_set(t, &by_family[i][1]);
	}
	txn_add_set(t, &set_tunnel_ports);
	txn_add_set(t, &set_tunnel_protocols);
	for (size_t i = 0; i < tunnel_ports_default.n; i++)
		txn_add_element(t, &set_tunnel_ports, key_with_port((struct key){.len = 0}, tunnel_ports_default.port[i]), NULL);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		txn_add_element(t, &set_tunnel_protocols, key_with_protocol((struct key){.len = 0}, protocols[i]), NULL);
	txn_add_set(t, &set_extensions);
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		txn_add_element(t, &set_extensions, key_with_protocol((struct key){.len = 0}, extensions[i]), NULL);
}

/* In the order in which ruleset_put writes chains: a chain is there before a rule names it. */
const struct static_chain static_chains[] = {
	{CHAIN_LAYOUT, {0}, false},
	{"lost", {0}, false},
	{"answer", {0}, false},
	{CHAIN_DENY_INGRESS, {0}, false},
	{CHAIN_DENY_EGRESS, {0}, false},
	{CHAIN_REJECT_INGRESS, {0}, false},
	{CHAIN_REJECT_EGRESS, {0}, false},
	{CHAIN_OBSERVE_INGRESS, {0}, false},
	{CHAIN_OBSERVE_EGRESS, {0}, false},
	{CHAIN_OPEN, {0}, false},
	{CHAIN_UNGUARDED, {0}, false},
	{CHAIN_UNGUARDED_OBSERVED, {0}, false},
	{"revoked", {0}, false},
	{"tunnels", {0}, false},
	{"to_node", {0}, false},
	{"unasked", {0}, false},
	{"own_reset", {0}, false},
	{"error", {0}, false},
	{"errors", {0}, false},
	{"link_out", {0}, false},
	{"link", {0}, false},
	{"from", {0}, false},
	{"from_out", {0}, false},
	{"to", {0}, false},
	{"extended", {0}, false},
	{"guard_port", {0}, false},
	{"guard", {NF_INET_PRE_ROUTING, -450}, true}, /* before defragmentation (-400) */
	{"forward", {NF_INET_FORWARD, NF_IP_PRI_FILTER + 10}, true},
	{"output", {NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER + 10}, true},
	{"input", {NF_INET_LOCAL_IN, NF_IP_PRI_NAT_SRC + 10}, true},
	{CHAIN_RANGE_FROM, {0}, false}, /* the daemon fills these two: behind the others, where a proof does not come */
	{CHAIN_RANGE_TO, {0}, false},
};
const size_t n_static_chains = ARRAY_SIZE(static_chains);

const struct static_part static_parts[] = {
	[TABLE_INET] = {static_chains, &n_static_chains, put_sets, ruleset_put_rules},
	[TABLE_BRIDGE] = {bridge_chains, &n_bridge_chains, ruleset_put_bridge_sets, ruleset_put_bridge_rules},
};

bool ruleset_is_filled(const char *chain)
{
	return !strcmp(chain, CHAIN_RANGE_FROM) || !strcmp(chain, CHAIN_RANGE_TO);
}

void ruleset_put(struct txn *t, enum table table)
{
	const struct static_part *part = &static_parts[table];
	size_t first_tag = layout_begin(t);

	txn_on(t, table);
	txn_add_table(t);
	part->put_sets(t);
	for (size_t i = 0; i < *part->n_chains; i++) {
		txn_add_chain(t, part->chains[i].name, part->chains[i].base ? &part->chains[i].hook : NULL);
		if (!ruleset_is_filled(part->chains[i].name))
			txn_flush_chain(t, part->chains[i].name);
	}
	part->put_rules(t);
	layout_put_mark(t, table, first_tag);
	txn_on(t, TABLE_INET);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of table bridge moat
 *
 * Two pods of one bridge talk by switching: their packets pass no hook of IP, unless br_netfilter shows them there, and who sets
 * that and when is not ours to know. So every unicast frame of a guarded port is made to be routed, and then passes inet forward
 * like any other. It holds with br_netfilter on, off, and turned while connections run.
 *
 *	neighbours  The bridge answers for its pods, ARP and ND (settings: bridge.h), so a pod sends to the bridge's MAC anyway.
 *	turning     What was sent to any other MAC (a stale entry, a guess) gets the bridge's MAC as destination: in prerouting at -310,
 *	            before ebtables' NAT (-300) and br_netfilter (0). Dropping it instead breaks IPv6 with unguarded neighbours. So does what unguarded ports send to
 *	            a pod address. Two things stay switched: solicitations of a pod for unguarded neighbours, whom nobody proxies, and
 *	            the advertisements that answer them.
 *	sources     A guarded port speaks with its own MAC and its pod's addresses, in Ethernet, IP, ARP and ND; without an address yet
 *	            only what IPv6 needs (neighbour and router discovery, listener reports). No other port uses a pod's MAC or addresses.
 *	            IPv4, IPv6 and ARP without VLAN tag, nothing else. Every solicitation from :: is dropped: it asks whether somebody
 *	            has the pod's own address, and the proxy would say yes (dadfailed).
 *	egress      To a guarded port go packets for its pod's addresses, and ARP, ND and MLD queries of the node. A pod's packet leaves
 *	            by no other port, wherever a poisoned forwarding table points.
 *
 * The first rules of prerouting and output are the way of nearly every packet: one lookup that is port, MACs and address at once.
 * What is rare comes behind. There is no conntrack here (the bridge family has none on many kernels): these rules are
 * stateless.
 *
 * Frames to 01:80:c2:00:00:0X pass no hook of prerouting and reach IP with the port as input, where inet guard loses them; that they
 * teach the forwarding table MACs is switched off (no_linklocal_learn), and would be a nuisance only, since output asks for the port.
 * A hook in input would cost every routed packet some 50 ns for these.
 *
 * Tried on 6.18 with the bridge plugin; each sentence above failed once without its rule.
 */
#include <net/if.h> /* before linux/netfilter_bridge.h, which has its own copy of it */
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter_bridge.h>

#include "core/ruleset/ruleset_internal.h"
#include "moat/layout.h"
#include "moat/rule.h"

#define MLD2_REPORT 143 /* RFC 3810 section 5.2 */
#define ND_MESSAGE 32   /* bytes of a solicitation or advertisement with a link-layer address (RFC 4861 section 4) */

#define FAMILIES(name4, name6, value_, ...)                                                                            \
	{                                                                                                              \
		{.name = (name4), .fields = {__VA_ARGS__ FIELD_IPV4}, .value = (value_), .table = TABLE_BRIDGE},       \
		{.name = (name6), .fields = {__VA_ARGS__ FIELD_IPV6}, .value = (value_), .table = TABLE_BRIDGE},       \
	}

const struct set_spec link_ports = {.name = "ports", .fields = {FIELD_IFNAME}, .table = TABLE_BRIDGE};
const struct set_spec link_links = {.name = "links", .fields = {FIELD_IFINDEX}, .table = TABLE_BRIDGE};
const struct set_spec link_bridge_of_port = {
	.name = "bridge_of_port", .fields = {FIELD_IFNAME}, .value = FIELD_ETHER, .table = TABLE_BRIDGE};
const struct set_spec link_macs = {.name = "macs", .fields = {FIELD_IFNAME, FIELD_ETHER}, .table = TABLE_BRIDGE};
const struct set_spec link_pod_macs = {.name = "pod_macs", .fields = {FIELD_ETHER}, .table = TABLE_BRIDGE};
const struct set_spec link_bridges = {.name = "bridges", .fields = {FIELD_ETHER}, .table = TABLE_BRIDGE};
const struct set_spec link_plain[2] = FAMILIES("plain", "plain6", FIELD_END, FIELD_IFNAME, FIELD_ETHER, FIELD_ETHER, );
const struct set_spec link_addrs[2] = FAMILIES("addrs", "addrs6", FIELD_END, FIELD_IFNAME, );
const struct set_spec link_pods[2] = FAMILIES("pods", "pods6", FIELD_END, );
const struct set_spec link_bridge_of[2] = FAMILIES("bridge_of", "bridge_of6", FIELD_ETHER, );
const struct set_spec link_node[2] = FAMILIES("node", "node6", FIELD_END, );

static const int families[2] = {AF_INET, AF_INET6};

void ruleset_put_bridge_sets(struct txn *t)
{
	static const struct set_spec *const single[] = {&link_ports, &link_links, &link_bridge_of_port, &link_macs, &link_pod_macs, &link_bridges};
	static const struct set_spec *const by_family[] = {link_plain, link_addrs, link_pods, link_bridge_of, link_node};

	for (size_t i = 0; i < ARRAY_SIZE(single); i++)
		txn_add_set(t, single[i]);
	for (size_t i = 0; i < ARRAY_SIZE(by_family); i++) {
		txn_add_set(t, &by_family[i][0]);
		txn_add_set(t, &by_family[i][1]);
	}
}

/* A rule that ends in a chain. */
static void end_goto(struct txn *t, const char *chain, const char *to)
{
	rule_goto(t, to);
	rule_end_tagged(t, chain);
}

static void end_accept(struct txn *t, const char *chain)
{
	rule_accept(t);
	rule_end_tagged(t, chain);
}

static void end_drop(struct txn *t, const char *chain)
{
	rule_drop(t);
	rule_end_tagged(t, chain);
}

static void if_multicast(struct txn *t, const char *chain, void (*end)(struct txn *, const char *))
{
	rule_begin(t, chain); /* ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 */
	rule_ether_multicast(t);
	end(t, chain);
}

static void if_port(struct txn *t, const char *chain, bool output, const char *to)
{
	rule_begin(t, chain);
	if (output)
		rule_load_oifname(t);
	else
		rule_load_iifname(t);
	rule_in(t, link_ports.name);
	end_goto(t, chain, to);
}

/* iif|oif @links goto lost: a guarded port that somebody has renamed */
static void lost_if_renamed(struct txn *t, const char *chain, bool output)
{
	rule_begin(t, chain);
	if (output)
		rule_load_oif(t);
	else
		rule_load_iif(t);
	rule_in(t, link_links.name);
	end_goto(t, chain, "lost");
}

/*
 * oifname . ip daddr @addrs accept, both families: a packet for the pod behind this port. Not by a detour: inet forward saw where it
 * was sent to, not where a source route led it.
 */
static void accept_for_pod(struct txn *t, const char *chain)
{
	for (int f = 0; f < 2; f++) {
		rule_begin(t, chain);
		if (f)
			rule_no_routing_header(t);
		else
			rule_ipv4_without_options(t);
		rule_load_oifname(t);
		rule_load_daddr(t, families[f]);
		rule_in(t, link_addrs[f].name);
		end_accept(t, chain);
	}
}

/* Neighbour discovery behind no extension header: hop limit 255 says that nobody has routed it. */
static void nd(struct txn *t, const char *chain, uint8_t type)
{
	rule_begin(t, chain);
	rule_nexthdr(t, IPPROTO_ICMPV6);
	rule_icmp_type(t, AF_INET6, type);
	rule_hop_limit(t, 255);
}

/* ip6 daddr ff00::/8, hop limit 1, the router alert in a hop-by-hop header and nothing else before it */
static void mld(struct txn *t, const char *chain, uint8_t type)
{
	rule_begin(t, chain);
	rule_nexthdr(t, IPPROTO_HOPOPTS);
	rule_extension_nexthdr(t, IPPROTO_ICMPV6);
	rule_daddr_multicast6(t);
	rule_icmp_type(t, AF_INET6, type);
	rule_hop_limit(t, 1);
}

/* Unicast goes to IP, whatever MAC it was sent to. */
static void put_turn(struct txn *t)
{
	if_multicast(t, "turn", end_accept);
	nd(t, "turn", ND_NEIGHBOR_SOLICIT); /* ip6 daddr != @pods6 accept: whether an unguarded neighbour is still there, and no word more */
	rule_length6_at_most(t, ND_MESSAGE);
	rule_load_daddr(t, AF_INET6);
	rule_not_in(t, link_pods[1].name);
	end_accept(t, "turn");
	/*
	 * From a link-local address to one: the node routes such packets back to the link they came from, and would be the way from pod to
	 * pod. It takes what was a multicast frame, but never routes it.
	 */
	rule_begin(t, "turn"); /* ip6 saddr fe80::/10 ether daddr set iifname map @bridge_of_port meta pkttype set multicast accept */
	rule_saddr_link_local(t);
	rule_load_iifname(t);
	rule_set_ether_daddr(t, link_bridge_of_port.name);
	rule_set_pkttype(t, PACKET_MULTICAST);
	end_accept(t, "turn");
	rule_begin(t, "turn"); /* ether daddr set iifname map @bridge_of_port meta pkttype set host accept */
	rule_load_iifname(t);
	rule_set_ether_daddr(t, link_bridge_of_port.name);
	rule_set_pkttype(t, PACKET_HOST);
	end_accept(t, "turn");
	ruleset_always(t, "turn", rule_goto, "lost");
}

static void put_guarded(struct txn *t)
{
	rule_begin(t, "guarded"); /* iifname . ether saddr != @macs goto lost: else it moves others' entries of the forwarding table */
	rule_load_iifname(t);
	rule_load_ether_saddr(t);
	rule_not_in(t, link_macs.name);
	end_goto(t, "guarded", "lost");
	rule_begin(t, "guarded");
	rule_ether_type(t, ETH_P_ARP);
	end_goto(t, "guarded", "guarded_arp");
	rule_begin(t, "guarded"); /* ether type ip iifname . ip saddr @addrs goto turn */
	rule_family(t, AF_INET);
	rule_load_iifname(t);
	rule_load_saddr(t, AF_INET);
	rule_in(t, link_addrs[0].name);
	end_goto(t, "guarded", "turn");
	rule_begin(t, "guarded");
	rule_ether_type(t, ETH_P_IPV6);
	end_goto(t, "guarded", "guarded6");
	ruleset_always(t, "guarded", rule_goto, "lost");

	rule_begin(t, "guarded_arp"); /* sender: own MAC and own address; no probes, so no address detection either */
	rule_arp_of_ethernet(t);
	rule_load_iifname(t);
	rule_load_arp_saddr_ether(t);
	rule_in(t, link_macs.name);
	rule_load_iifname(t);
	rule_load_arp_saddr_ip(t);
	rule_in(t, link_addrs[0].name);
	end_goto(t, "guarded_arp", "turn");
	ruleset_always(t, "guarded_arp", rule_goto, "lost");
}

static void put_guarded6(struct txn *t)
{
	static const uint8_t routers[] = {ND_ROUTER_ADVERT, ND_REDIRECT};
	static const uint8_t neighbour[] = {ND_ROUTER_SOLICIT, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT};
	static const uint8_t listener[] = {MLD_LISTENER_REPORT, MLD_LISTENER_REDUCTION, MLD2_REPORT};

	for (size_t i = 0; i < ARRAY_SIZE(routers); i++) { /* a pod is no router */
		rule_begin(t, "guarded6");
		rule_icmp_type(t, AF_INET6, routers[i]);
		end_goto(t, "guarded6", "lost");
	}
	rule_begin(t, "guarded6"); /* icmpv6 type nd-neighbor-solicit ip6 saddr :: drop */
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_SOLICIT);
	rule_saddr_unspecified(t);
	end_drop(t, "guarded6");
	rule_begin(t, "guarded6");
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_ADVERT);
	end_goto(t, "guarded6", "advert");
	ruleset_always(t, "guarded6", rule_goto, "guarded6_source");

	rule_begin(t, "advert"); /* only for its own addresses, … */
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_ADVERT);
	rule_load_iifname(t);
	rule_load_nd_target(t);
	rule_in(t, link_addrs[1].name);
	end_goto(t, "advert", "guarded6_source");
	rule_begin(t, "advert"); /* … or a link-local one */
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_ADVERT);
	rule_nd_target_link_local(t);
	end_goto(t, "advert", "guarded6_source");
	ruleset_always(t, "advert", rule_goto, "lost");

	rule_begin(t, "guarded6_source"); /* iifname . ip6 saddr @addrs6 goto turn */
	rule_family(t, AF_INET6);
	rule_load_iifname(t);
	rule_load_saddr(t, AF_INET6);
	rule_in(t, link_addrs[1].name);
	end_goto(t, "guarded6_source", "turn");
	rule_begin(t, "guarded6_source");
	rule_saddr_link_local(t);
	end_goto(t, "guarded6_source", "link");
	rule_begin(t, "guarded6_source");
	rule_saddr_unspecified(t);
	end_goto(t, "guarded6_source", "link");
	ruleset_always(t, "guarded6_source", rule_goto, "lost");

	for (size_t i = 0; i < ARRAY_SIZE(neighbour); i++) {
		nd(t, "link", neighbour[i]);
		end_goto(t, "link", "turn");
	}
	for (size_t i = 0; i < ARRAY_SIZE(listener); i++) {
		mld(t, "link", listener[i]);
		end_goto(t, "link", "turn");
	}
	ruleset_always(t, "link", rule_goto, "lost");
}

/* iifname . ether daddr . ether saddr . ip saddr @plain accept: own port, MAC and address, sent to the bridge: nothing to turn */
static void put_plain(struct txn *t)
{
	for (int f = 0; f < 2; f++) {
		rule_begin(t, "prerouting");
		rule_family(t, families[f]);
		if (f)
			rule_not_l4proto(t, IPPROTO_ICMPV6); /* discovery is looked at */
		rule_load_iifname(t);
		rule_load_ether_daddr(t);
		rule_load_ether_saddr(t);
		rule_load_saddr(t, families[f]);
		rule_in(t, link_plain[f].name);
		end_accept(t, "prerouting");
	}
}

static void put_prerouting(struct txn *t)
{
	put_plain(t);
	if_port(t, "prerouting", false, "guarded");
	lost_if_renamed(t, "prerouting", false);
	/* unguarded ports: never a pod's MAC, nor address, nor ARP sender, nor ND target */
	rule_begin(t, "prerouting");
	rule_load_ether_saddr(t);
	rule_in(t, link_pod_macs.name);
	end_goto(t, "prerouting", "lost");
	ruleset_lost_if_in(t, "prerouting", link_pods, false);
	rule_begin(t, "prerouting");
	rule_load_arp_saddr_ip(t);
	rule_in(t, link_pods[0].name);
	end_goto(t, "prerouting", "lost");
	rule_begin(t, "prerouting");
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_ADVERT);
	rule_load_nd_target(t);
	rule_in(t, link_pods[1].name);
	end_goto(t, "prerouting", "lost");
	if_multicast(t, "prerouting", end_accept);
	nd(t, "prerouting", ND_NEIGHBOR_ADVERT); /* ip6 daddr @pods6 accept: the answer to what turn let pass; to_guarded decides */
	rule_length6_at_most(t, ND_MESSAGE);
	rule_load_daddr(t, AF_INET6);
	rule_in(t, link_pods[1].name);
	end_accept(t, "prerouting");
	rule_begin(t, "prerouting"); /* ether daddr @bridges accept: it goes to IP anyway, and perhaps to a pod of another bridge */
	rule_load_ether_daddr(t);
	rule_in(t, link_bridges.name);
	end_accept(t, "prerouting");
	for (int f = 0; f < 2; f++) { /* ether daddr set ip daddr map @bridge_of meta pkttype set host accept */
		rule_begin(t, "prerouting");
		rule_load_daddr(t, families[f]);
		rule_set_ether_daddr(t, link_bridge_of[f].name);
		rule_set_pkttype(t, PACKET_HOST);
		end_accept(t, "prerouting");
	}
}

/* What is switched to or from a guarded port. */
static void put_forward(struct txn *t)
{
	if_port(t, "forward", true, "to_guarded");
	lost_if_renamed(t, "forward", true);
	ruleset_lost_if_in(t, "forward", link_pods, true);
	if_port(t, "forward", false, "from_guarded");

	if_multicast(t, "to_guarded", end_drop);
	rule_begin(t, "to_guarded"); /* a neighbour that is not there says that it has the node's address: nobody speaks for the node */
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_ADVERT);
	rule_load_nd_target(t);
	rule_in(t, link_node[1].name);
	end_goto(t, "to_guarded", "lost");
	rule_begin(t, "to_guarded"); /* nor for a link-local one, which may be the node's */
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_ADVERT);
	rule_nd_target_link_local(t);
	end_goto(t, "to_guarded", "lost");
	accept_for_pod(t, "to_guarded"); /* the answer of a neighbour, or what br_netfilter has translated; inet forward judges that */
	ruleset_drop(t, "to_guarded"); /* floods: silent */

	/* What is still unicast here is such a translation, or a solicitation of an unguarded neighbour. */
	rule_begin(t, "from_guarded"); /* multicast only to find one */
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_SOLICIT);
	rule_load_nd_target(t);
	rule_not_in(t, link_pods[1].name);
	rule_load_nd_target(t);
	rule_not_in(t, link_node[1].name);
	end_accept(t, "from_guarded");
	if_multicast(t, "from_guarded", end_drop);
}

static void put_output(struct txn *t)
{
	static const uint8_t of_node[] = {ND_ROUTER_ADVERT, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT};

	accept_for_pod(t, "output");
	if_port(t, "output", true, "output_guarded");
	lost_if_renamed(t, "output", true);
	ruleset_lost_if_in(t, "output", link_pods, true); /* by another port than its own: the forwarding table is poisoned, or old */
	rule_begin(t, "output"); /* arp operation reply arp saddr ip != @pods != @node drop: proxy_arp_pvlan answers for everyone */
	rule_arp_operation(t, ARPOP_REPLY);
	rule_load_arp_saddr_ip(t);
	rule_not_in(t, link_pods[0].name);
	rule_load_arp_saddr_ip(t);
	rule_not_in(t, link_node[0].name);
	end_drop(t, "output");

	rule_begin(t, "output_guarded");
	rule_ether_type(t, ETH_P_ARP);
	end_accept(t, "output_guarded");
	rule_begin(t, "output_guarded"); /* what the proxy tells everyone about a pod's address, when a thief asks for it */
	rule_ether_multicast(t);
	rule_icmp_type(t, AF_INET6, ND_NEIGHBOR_ADVERT);
	rule_load_nd_target(t);
	rule_in(t, link_pods[1].name);
	end_drop(t, "output_guarded");
	for (size_t i = 0; i < ARRAY_SIZE(of_node); i++) {
		nd(t, "output_guarded", of_node[i]);
		end_accept(t, "output_guarded");
	}
	mld(t, "output_guarded", MLD_LISTENER_QUERY);
	end_accept(t, "output_guarded");
	if_multicast(t, "output_guarded", end_drop);
	ruleset_always(t, "output_guarded", rule_goto, "lost");
}

/* In the order in which they are written: a chain is there before a rule names it. */
const struct static_chain bridge_chains[] = {
	{CHAIN_LAYOUT, {0}, false},
	{"lost", {0}, false},
	{"turn", {0}, false},
	{"link", {0}, false},
	{"guarded6_source", {0}, false},
	{"advert", {0}, false},
	{"guarded6", {0}, false},
	{"guarded_arp", {0}, false},
	{"guarded", {0}, false},
	{"to_guarded", {0}, false},
	{"from_guarded", {0}, false},
	{"output_guarded", {0}, false},
	{"prerouting", {NF_BR_PRE_ROUTING, NF_BR_PRI_NAT_DST_BRIDGED - 10}, true},
	{"forward", {NF_BR_FORWARD, NF_BR_PRI_FILTER_BRIDGED}, true},
	{"output", {NF_BR_LOCAL_OUT, NF_BR_PRI_FILTER_BRIDGED}, true},
};
const size_t n_bridge_chains = ARRAY_SIZE(bridge_chains);

void ruleset_put_bridge_rules(struct txn *t)
{
	ruleset_count_and_log(t, "lost", LOG_GROUP_LOST);
	ruleset_drop(t, "lost");
	put_turn(t);
	put_guarded(t);
	put_guarded6(t);
	put_prerouting(t);
	put_forward(t);
	put_output(t);
}

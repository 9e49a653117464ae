/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of table inet moat, chain by chain. Theory: ruleset.c. */
#include <netinet/icmp6.h> /* before linux/netfilter.h, which has its own copy of netinet/in.h */
#include <netinet/ip_icmp.h>

#include "core/ruleset/ruleset_internal.h"
#include "moat/rule.h"

static const int families[2] = {AF_INET, AF_INET6};

/* iifname|oifname @ports goto lost */
static void lost_if_port(struct txn *t, const char *chain, bool output)
{
	rule_begin(t, chain);
	if (output)
		rule_load_oifname(t);
	else
		rule_load_iifname(t);
	rule_in(t, set_ports.name);
	rule_goto(t, "lost");
	rule_end_tagged(t, chain);
}

/* iifname @<set> jump|goto|accept */
static void if_port(struct txn *t, const char *chain, const char *set, void (*verdict)(struct txn *, const char *), const char *to)
{
	rule_begin(t, chain);
	rule_load_iifname(t);
	rule_in(t, set);
	verdict(t, to);
	rule_end_tagged(t, chain);
}

/* … iifname . ip saddr @own accept. Ends the rule. */
static void accept_own(struct txn *t, const char *chain, int family)
{
	rule_load_iifname(t);
	rule_load_saddr(t, family);
	rule_in(t, set_own[family == AF_INET6].name);
	rule_accept(t);
	rule_end_tagged(t, chain);
}

/*
 * Anti-spoofing: established flows pass the other hooks unseen, so this is the only place that sees every packet. What a pod says
 * in its own name passes at the first lookup, if it says it plainly: IPv4 options and most extension headers are lost. A pod of a
 * bridge is heard through the bridge, whose own table has proved the port.
 */
static void put_guard(struct txn *t)
{
	rule_begin(t, "guard"); /* ip hdrlength 5 iifname . ip saddr @own accept */
	rule_ipv4_without_options(t);
	accept_own(t, "guard", AF_INET);
	rule_begin(t, "guard"); /* ip6 nexthdr != @extensions iifname . ip6 saddr @own6 accept */
	rule_load_nexthdr(t);
	rule_not_in(t, set_extensions.name);
	accept_own(t, "guard", AF_INET6);
	rule_begin(t, "guard"); /* ip6 nexthdr @extensions jump extended */
	rule_load_nexthdr(t);
	rule_in(t, set_extensions.name);
	rule_jump(t, "extended");
	rule_end_tagged(t, "guard");
	/* iifname @ports goto guard_port; a pod's address from anywhere else is lost */
	if_port(t, "guard", set_ports.name, rule_goto, "guard_port");
	rule_begin(t, "guard"); /* iif @links goto guard_port: a port that somebody has renamed */
	rule_load_iif(t);
	rule_in(t, set_links.name);
	rule_goto(t, "guard_port");
	rule_end_tagged(t, "guard");
	ruleset_lost_if_in(t, "guard", set_pods, false);

	/* Only what a bridge hands up unseen comes from a port of its: frames to 01:80:c2:00:00:0X. */
	if_port(t, "guard_port", set_bridge_ports.name, rule_goto, "lost");
	/*
	 * What a link needs comes from the link's own addresses, or from none yet; what has the pod's own address has passed. With
	 * any other source it would be accepted in forward as the victim's own (@self), or the node would answer it with an error
	 * to the victim that quotes it.
	 */
	rule_begin(t, "guard_port");
	rule_saddr_link_local(t);
	rule_jump(t, "link");
	rule_end_tagged(t, "guard_port");
	rule_begin(t, "guard_port");
	rule_saddr_unspecified(t);
	rule_jump(t, "link");
	rule_end_tagged(t, "guard_port");
	ruleset_always(t, "guard_port", rule_goto, "lost");
}

/* A pod's fragments and destination options. One header only: a second may hide in another fragment what follows. */
static void put_extended(struct txn *t)
{
	static const uint8_t allowed[] = {IPPROTO_FRAGMENT, IPPROTO_DSTOPTS};

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		rule_begin(t, "extended"); /* ip6 nexthdr <allowed>, its nexthdr != @extensions iifname . ip6 saddr @own6 accept */
		rule_nexthdr(t, allowed[i]);
		rule_load_extension_nexthdr(t);
		rule_not_in(t, set_extensions.name);
		accept_own(t, "extended", AF_INET6);
	}
}

/* ct state established accept; ct state related jump <chain> */
static void put_tracked(struct txn *t, const char *chain, const char *related)
{
	rule_begin(t, chain);
	rule_ct_state(t, CT_ESTABLISHED);
	rule_accept(t);
	rule_end_tagged(t, chain);
	rule_begin(t, chain);
	rule_ct_state(t, CT_RELATED);
	rule_jump(t, related);
	rule_end_tagged(t, chain);
}

/* tcp flags & (fin | syn | rst | ack) != syn jump revoked; meta l4proto != tcp jump revoked */
static void jump_revoked(struct txn *t, const char *chain)
{
	rule_begin(t, chain);
	rule_tcp_flags_not(t, 0x17, 0x02);
	rule_jump(t, "revoked");
	rule_end_tagged(t, chain);
	rule_begin(t, chain);
	rule_not_l4proto(t, IPPROTO_TCP);
	rule_jump(t, "revoked");
	rule_end_tagged(t, chain);
}

/* ip saddr . ip daddr @self accept: a pod reaches itself, through a Service too */
static void put_self(struct txn *t, const char *chain)
{
	for (int f = 0; f < 2; f++) {
		rule_begin(t, chain);
		rule_load_saddr(t, families[f]);
		rule_load_daddr(t, families[f]);
		rule_in(t, set_self[f].name);
		rule_accept(t);
		rule_end_tagged(t, chain);
	}
}

/* meta l4proto icmp ip saddr @pods jump unasked, both families */
static void jump_unasked(struct txn *t, const char *chain)
{
	for (int f = 0; f < 2; f++) {
		rule_begin(t, chain);
		rule_l4proto(t, f ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
		rule_load_saddr(t, families[f]);
		rule_in(t, set_pods[f].name);
		rule_jump(t, "unasked");
		rule_end_tagged(t, chain);
	}
}

/* ip6 nexthdr ipv6-icmp icmpv6 type <type> ip6 hoplimit 255 accept: behind no extension header (RFC 6980 asks it for fragments) */
static void accept_nd(struct txn *t, const char *chain, uint8_t type)
{
	rule_begin(t, chain);
	rule_nexthdr(t, IPPROTO_ICMPV6);
	rule_icmp_type(t, AF_INET6, type);
	rule_hop_limit(t, 255);
	rule_accept(t);
	rule_end_tagged(t, chain);
}

/*
 * A source route of the wire: the connection is tracked by where the packet was sent to, and this is not where it goes. What
 * names another way does not come to a pod.
 */
static void put_detours(struct txn *t)
{
	rule_begin(t, "forward"); /* ip hdrlength != 5 oifname @ports goto lost */
	rule_ipv4_options(t);
	rule_load_oifname(t);
	rule_in(t, set_ports.name);
	rule_goto(t, "lost");
	rule_end_tagged(t, "forward");
	rule_begin(t, "forward"); /* ip6 nexthdr @extensions oifname @ports exthdr rt exists goto lost */
	rule_load_nexthdr(t);
	rule_in(t, set_extensions.name);
	rule_load_oifname(t);
	rule_in(t, set_ports.name);
	rule_routing_header(t);
	rule_goto(t, "lost");
	rule_end_tagged(t, "forward");
}

static void put_forward(struct txn *t)
{
	put_detours(t);
	put_tracked(t, "forward", "errors");
	jump_unasked(t, "forward");
	/*
	 * Only a frame that br_netfilter shows in passing still has hop limit 255, a routed packet has 254 at most. The bridge's own table
	 * has let it pass: an unguarded neighbour, and what IPv6 needs to find one.
	 */
	accept_nd(t, "forward", ND_NEIGHBOR_SOLICIT);
	accept_nd(t, "forward", ND_NEIGHBOR_ADVERT);
	for (int f = 0; f < 2; f++) { /* ip daddr @nodes ip saddr @pods jump tunnels */
		rule_begin(t, "forward");
		rule_load_daddr(t, families[f]);
		rule_in(t, set_nodes[f].name);
		rule_load_saddr(t, families[f]);
		rule_in(t, set_pods[f].name);
		rule_jump(t, "tunnels");
		rule_end_tagged(t, "forward");
	}
	jump_revoked(t, "forward");
	put_self(t, "forward");
	ruleset_always(t, "forward", rule_jump, "from");
	ruleset_always(t, "forward", rule_jump, "to");
}

/*
 * Packets between pods of one bridge leave where they came in, and the node would tell the sender of a better way: one that
 * does not exist, and in IPv6 with the peer's MAC. IPv6 has no switch for it.
 */
static void put_no_redirects(struct txn *t)
{
	for (int f = 0; f < 2; f++) { /* icmp type redirect ip daddr @pods drop */
		rule_begin(t, "output");
		rule_icmp_type(t, families[f], f ? ND_REDIRECT : ICMP_REDIRECT);
		rule_load_daddr(t, families[f]);
		rule_in(t, set_pods[f].name);
		rule_drop(t);
		rule_end_tagged(t, "output");
	}
}

static void put_output(struct txn *t)
{
	put_tracked(t, "output", "own_reset");
	put_no_redirects(t);
	rule_begin(t, "output"); /* node → its own pods: kubelet probes */
	rule_saddr_local(t);
	rule_accept(t);
	rule_end_tagged(t, "output");
	rule_begin(t, "output"); /* the node's own address detection and MLD, before it has an address */
	rule_saddr_unspecified(t);
	rule_jump(t, "link_out");
	rule_end_tagged(t, "output");
	jump_revoked(t, "output");
	put_self(t, "output");
	ruleset_always(t, "output", rule_jump, "from_out");
	ruleset_always(t, "output", rule_jump, "to");
}

static void put_input(struct txn *t)
{
	put_tracked(t, "input", "errors");
	rule_begin(t, "input"); /* meta l4proto ipv6-icmp jump link: guard has seen who says it */
	rule_l4proto(t, IPPROTO_ICMPV6);
	rule_jump(t, "link");
	rule_end_tagged(t, "input");
	for (int f = 0; f < 2; f++) { /* ip saddr @pods jump to_node */
		rule_begin(t, "input");
		rule_load_saddr(t, families[f]);
		rule_in(t, set_pods[f].name);
		rule_jump(t, "to_node");
		rule_end_tagged(t, "input");
	}
	jump_revoked(t, "input");
	for (int f = 0; f < 2; f++) { /* iifname . ip saddr @open_node accept */
		rule_begin(t, "input");
		rule_load_iifname(t);
		rule_load_saddr(t, families[f]);
		rule_in(t, set_open_node[f].name);
		rule_accept(t);
		rule_end_tagged(t, "input");
	}
	ruleset_always(t, "input", rule_jump, "from");

	jump_unasked(t, "to_node");
	ruleset_always(t, "to_node", rule_jump, "tunnels");
	/*
	 * ct original ip daddr 127.0.0.0/8 goto lost: with route_localnet, which kube-proxy sets, a pod could name the node's
	 * loopback, and "egress to anywhere" is not meant so. What the node itself translates there is the node's wish.
	 */
	rule_begin(t, "to_node");
	rule_ct_to_loopback(t);
	rule_goto(t, "lost");
	rule_end_tagged(t, "to_node");
}

static void put_questions(struct txn *t)
{
	for (int f = 0; f < 2; f++) {
		rule_begin(t, "from"); /* iifname . ip saddr vmap @from_pod */
		rule_load_iifname(t);
		rule_load_saddr(t, families[f]);
		rule_vmap(t, map_from_pod[f].name);
		rule_end_tagged(t, "from");
		rule_begin(t, "from_out"); /* ip saddr vmap @from_addr */
		rule_load_saddr(t, families[f]);
		rule_vmap(t, map_from_addr[f].name);
		rule_end_tagged(t, "from_out");
		rule_begin(t, "to"); /* ip daddr vmap @to_pod */
		rule_load_daddr(t, families[f]);
		rule_vmap(t, map_to_pod[f].name);
		rule_end_tagged(t, "to");
	}
	/* only a miss gets here; in `to` also multicast, broadcast and strangers behind a guarded port */
	lost_if_port(t, "from", false);
	ruleset_lost_if_in(t, "from", set_pods, false);
	ruleset_always(t, "from", rule_goto, CHAIN_RANGE_FROM);
	ruleset_lost_if_in(t, "from_out", set_pods, false);
	ruleset_always(t, "from_out", rule_goto, CHAIN_RANGE_FROM);
	lost_if_port(t, "to", true);
	rule_begin(t, "to"); /* oif @links goto lost */
	rule_load_oif(t);
	rule_in(t, set_links.name);
	rule_goto(t, "lost");
	rule_end_tagged(t, "to");
	ruleset_lost_if_in(t, "to", set_pods, true);
	ruleset_always(t, "to", rule_goto, CHAIN_RANGE_TO);
}

/*
 * ip6 daddr ff00::/8 icmpv6 type <type> ip6 hoplimit 1 accept: it bears a router alert, with which any other destination would be a
 * way to the node's sockets.
 */
static void accept_mld(struct txn *t, const char *chain, uint8_t type)
{
	rule_begin(t, chain);
	rule_daddr_multicast6(t);
	rule_icmp_type(t, AF_INET6, type);
	rule_hop_limit(t, 1);
	rule_accept(t);
	rule_end_tagged(t, chain);
}

#define MLD2_REPORT 143 /* RFC 3810 section 5.2 */

/* What IPv6 needs between a pod and its node. Never a router advertisement or a redirect from a pod: they put routes on a node. */
static void put_link(struct txn *t)
{
	static const uint8_t neighbour[] = {ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT, ND_ROUTER_SOLICIT};
	static const uint8_t listener[] = {MLD_LISTENER_REPORT, MLD_LISTENER_REDUCTION, MLD2_REPORT};

	for (size_t i = 0; i < ARRAY_SIZE(neighbour); i++)
		accept_nd(t, "link", neighbour[i]);
	for (size_t i = 0; i < ARRAY_SIZE(listener); i++)
		accept_mld(t, "link", listener[i]);
	accept_nd(t, "link_out", ND_NEIGHBOR_SOLICIT);
	accept_mld(t, "link_out", MLD_LISTENER_REPORT);
	accept_mld(t, "link_out", MLD2_REPORT);
}

/*
 * A pod's error about no flow that is tracked here. It can only be meant for a flow of others, elsewhere: there it would be
 * related, and this pod pass for a router on the way.
 */
static void put_unasked(struct txn *t)
{
	static const uint8_t v4[] = {ICMP_DEST_UNREACH, ICMP_SOURCE_QUENCH, ICMP_REDIRECT, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB};

	for (size_t i = 0; i < ARRAY_SIZE(v4); i++) {
		rule_begin(t, "unasked");
		rule_icmp_type(t, AF_INET, v4[i]);
		rule_goto(t, "lost");
		rule_end_tagged(t, "unasked");
	}
	rule_begin(t, "unasked");
	rule_icmp6_error(t);
	rule_goto(t, "lost");
	rule_end_tagged(t, "unasked");
}

/* Of `related` only ICMP errors; the rest (what helpers expect) is evaluated as new. */
static void put_errors(struct txn *t)
{
	static const uint8_t v4[] = {ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB};
	static const uint8_t v6[] = {ICMP6_DST_UNREACH, ICMP6_PACKET_TOO_BIG, ICMP6_TIME_EXCEEDED, ICMP6_PARAM_PROB};

	rule_begin(t, "errors"); /* conntrack calls a redirect related; between pods it is only an attack */
	rule_icmp_type(t, AF_INET, ICMP_REDIRECT);
	rule_goto(t, "lost");
	rule_end_tagged(t, "errors");
	for (size_t i = 0; i < ARRAY_SIZE(v4); i++) {
		rule_begin(t, "errors");
		rule_icmp_type(t, AF_INET, v4[i]);
		rule_goto(t, "error");
		rule_end_tagged(t, "errors");
	}
	for (size_t i = 0; i < ARRAY_SIZE(v6); i++) {
		rule_begin(t, "errors");
		rule_icmp_type(t, AF_INET6, v6[i]);
		rule_goto(t, "error");
		rule_end_tagged(t, "errors");
	}
	for (int f = 0; f < 2; f++) {
		for (int reply = 0; reply < 2; reply++) { /* ip saddr . ct original|reply ip saddr @self accept: an end of the flow */
			rule_begin(t, "error");
			rule_load_saddr(t, families[f]);
			rule_load_ct_saddr(t, families[f], reply);
			rule_in(t, set_self[f].name);
			rule_accept(t);
			rule_end_tagged(t, "error");
		}
	}
	ruleset_lost_if_in(t, "error", set_pods, false); /* a pod about a flow of others */
	ruleset_always(t, "error", ruleset_accept, NULL); /* a router on the path, the node */

	rule_begin(t, "own_reset"); /* in output: the reset of our own reject */
	rule_tcp_flags(t, 0x04, 0x04);
	rule_accept(t);
	rule_end_tagged(t, "own_reset");
}

static void put_tunnels_and_revoked(struct txn *t)
{
	rule_begin(t, "tunnels"); /* udp dport @tunnel_ports goto lost */
	rule_l4proto(t, IPPROTO_UDP);
	rule_load_dport(t);
	rule_in(t, set_tunnel_ports.name);
	rule_goto(t, "lost");
	rule_end_tagged(t, "tunnels");
	rule_begin(t, "tunnels"); /* meta l4proto @tunnel_protocols goto lost */
	rule_load_l4proto(t);
	rule_in(t, set_tunnel_protocols.name);
	rule_goto(t, "lost");
	rule_end_tagged(t, "tunnels");
	for (int f = 0; f < 2; f++) { /* meta l4proto . ip saddr . th sport . ip daddr . th dport @revoked_flows goto lost */
		rule_begin(t, "revoked");
		rule_load_l4proto(t);
		rule_load_saddr(t, families[f]);
		rule_load_sport(t);
		rule_load_daddr(t, families[f]);
		rule_load_dport(t);
		rule_in(t, set_revoked[f].name);
		rule_goto(t, "lost");
		rule_end_tagged(t, "revoked");
	}
}

void ruleset_put_rules(struct txn *t)
{
	ruleset_put_ends(t);
	put_tunnels_and_revoked(t);
	put_unasked(t);
	put_errors(t);
	put_link(t);
	put_questions(t);
	put_guard(t);
	put_extended(t);
	put_forward(t);
	put_output(t);
	put_input(t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The static part of both tables: names, sets, base chains. core/ruleset/ruleset.c has the theory of table inet moat, core/ruleset/ruleset_bridge.c that
 * of table bridge moat.
 */
#ifndef MOAT_RULESET_H
#define MOAT_RULESET_H

#include "moat/attachment.h"
#include "moat/txn.h"

#define LOG_GROUP_DENIED 7 /* NFLOG: what a policy, or its absence, denied (prefix: the end's chain) */
#define LOG_GROUP_LOST 8   /* NFLOG: what found no verdict, or spoke with an address not its own */

/* Sets by family: [0] IPv4, [1] IPv6. */
extern const struct set_spec set_links;           /* the same by number: a port that somebody renames stays closed */
extern const struct set_spec set_ports;           /* host-side interfaces of guarded pods */
extern const struct set_spec set_bridge_ports;    /* those that are ports of a bridge: IP hears their pods through the bridge */
extern const struct set_spec set_open_node[2];    /* input . address that always reaches its own node (mode standard) */
extern const struct set_spec set_pods[2];         /* guarded addresses */
extern const struct set_spec set_own[2];          /* input . address that may speak there; input: port or bridge */
extern const struct set_spec set_self[2];         /* each pod address with the addresses of its pod */
extern const struct set_spec set_nodes[2];        /* addresses of other nodes */
extern const struct set_spec set_known[2];        /* addresses of every pod the daemon knows: a peer that reject may answer */
extern const struct set_spec set_unsettled[2];    /* ranges in which an unknown address may be a pod's yet to come */
extern const struct set_spec set_revoked[2];      /* protocol . source . port . destination . port that policy no longer allows */
extern const struct set_spec set_tunnel_ports;
extern const struct set_spec set_tunnel_protocols;
extern const struct set_spec set_extensions;      /* IPv6 extension headers */
extern const struct set_spec map_from_pod[2];     /* input . source → goto e-<address> */
extern const struct set_spec map_from_addr[2];    /* source → goto e-<address> */
extern const struct set_spec map_to_pod[2];       /* destination → goto i-<address> */

/* Of table bridge moat, there for pods that are ports of a bridge. */
extern const struct set_spec link_links;
extern const struct set_spec link_ports;          /* guarded ports, … */
extern const struct set_spec link_bridge_of_port; /* … with the MAC of their bridge */
extern const struct set_spec link_macs;           /* port . MAC of the pod behind it */
extern const struct set_spec link_pod_macs;       /* those MACs: no other port uses them */
extern const struct set_spec link_plain[2];       /* port . MAC of its bridge . own MAC . own address: what nearly every frame has */
extern const struct set_spec link_addrs[2];       /* port . address */
extern const struct set_spec link_pods[2];        /* guarded addresses, … */
extern const struct set_spec link_bridge_of[2];   /* … with the MAC of their bridge */
extern const struct set_spec link_bridges;        /* MACs of bridges that have guarded ports, … */
extern const struct set_spec link_node[2];        /* … and the node's addresses on them */

#define FAMILY_INDEX(addr) ((addr)->family == AF_INET6)

/* Ends of profiles, by direction and enum profile end of the daemon: what happens to a packet that nothing allowed. */
#define CHAIN_DENY_INGRESS "deny_ingress"
#define CHAIN_DENY_EGRESS "deny_egress"
#define CHAIN_REJECT_INGRESS "reject_ingress"
#define CHAIN_REJECT_EGRESS "reject_egress"
#define CHAIN_OBSERVE_INGRESS "observe_ingress"
#define CHAIN_OBSERVE_EGRESS "observe_egress"
#define CHAIN_OPEN "open" /* everything allowed */

/* What is neither a guarded address nor the node's, but in the node's pod ranges, goes here by rules that the daemon puts into the first two. */
#define CHAIN_RANGE_FROM "range_from"
#define CHAIN_RANGE_TO "range_to"
#define CHAIN_UNGUARDED "unguarded"
#define CHAIN_UNGUARDED_OBSERVED "unguarded_observed"
bool ruleset_is_filled(const char *chain); /* by the daemon: ruleset_put makes it, and neither empties nor proves it */

struct static_chain {
	const char *name;
	struct chain_hook hook;
	bool base; /* hook counts */
};
extern const struct static_chain static_chains[], bridge_chains[];
extern const size_t n_static_chains, n_bridge_chains;

/* The static part of one table. */
struct static_part {
	const struct static_chain *chains;
	const size_t *n_chains;
	void (*put_sets)(struct txn *t);
	void (*put_rules)(struct txn *t); /* into chains that are there and empty */
};
extern const struct static_part static_parts[]; /* by enum table */

/*
 * Queues the whole static part of a table: table, chains (flushed), sets, rules. Sets that are there keep their elements. Safe on a live
 * table: only rules are swapped, and no rule uses a set that this transaction makes, save the first time, when nothing is guarded yet.
 */
void ruleset_put(struct txn *t, enum table table);
/*
 * Queues what brings the kernel's set of tunnel ports to this list: nothing, if it is that. rewritten: ruleset_put, which puts the
 * default's, comes before in the same batch.
 */
void ruleset_put_tunnel_ports(struct txn *t, struct nl *nl, const struct tunnel_ports *wanted, bool rewritten);

/* Whose elements a static set has, and so who edits it. */
enum set_owner {
	SETS_OF_PODS,  /* put and taken with a pod: the plugin, and the daemon */
	SETS_OF_BRIDGES, /* with the first and the last pod of a bridge: the same; what is there too much does no harm */
	SETS_OF_NODE,  /* nodes, ranges, tunnels: the daemon; tunnel_ports an ADD too */
	SETS_OF_PEERS, /* known: the daemon */
	SETS_FIXED,    /* nobody */
};
/* The static set of this name; NULL if there is none, or if its elements come and go by themselves (revoked). */
const struct set_spec *ruleset_find_set(enum table table, const char *name, enum set_owner *ret_owner);
bool ruleset_has_chain(enum table table, const char *name); /* is it one of the static part? */

/*
 * Does the static part of the table stand as ruleset_put writes it: base chains hooked, every rule in its place? 0: yes. -ENOENT: no
 * table. -EBADMSG: something differs; err names the chain. Cost: one dump's beginning, and one small dump per static chain only when
 * that differs, whatever the number of pods. Any other error: it could not be read, which says nothing about it: nobody is closed for that.
 */
int ruleset_prove(struct nl *nl, enum table table, struct err *err);
bool ruleset_is_damaged(int proof); /* -ENOENT or -EBADMSG */

#endif

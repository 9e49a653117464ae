/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phrases that build one rule inside a transaction. All of them are void: they cannot half-fail (out of memory aborts), so a
 * rule is never written without one of its matches. Registers are allocated as keys are loaded, and what a phrase depends
 * on (the address family, the transport protocol) is checked by the phrase itself, once per rule.
 *
 *	rule_begin(t, "from");                    // iifname . ip saddr vmap @from_pod
 *	rule_load_iifname(t);
 *	rule_load_saddr(t, AF_INET);
 *	rule_vmap(t, "from_pod");
 *	rule_end(t);
 */
#ifndef MOAT_RULE_H
#define MOAT_RULE_H

#include "moat/txn.h"

void rule_begin(struct txn *t, const char *chain); /* appends to chain */
/* Ends the rule with a tag as user data: a hash of its own expressions, by which a dump tells that the rule still stands. */
void rule_end(struct txn *t);
/* The same for the static part, whose tags are remembered for ruleset_prove. chain: static text. */
void rule_end_tagged(struct txn *t, const char *chain);
/* Reads the tag of a dumped rule's user data; false if it has none. */
bool rule_tag_of(const void *userdata, size_t len, uint64_t *ret);
/* Bytes that the rule carries beside its tag, and of a dumped rule (NULL: none). */
#define RULE_NOTE_MAX 160
void rule_note(struct txn *t, const void *note, size_t len);
const void *rule_note_of(const void *userdata, size_t len, size_t *ret_len);

/* Keys: each load appends to the key that the next rule_in or rule_vmap looks up. */
void rule_load_iifname(struct txn *t);
void rule_load_oifname(struct txn *t);
void rule_load_iif(struct txn *t);
void rule_load_oif(struct txn *t);
void rule_load_saddr(struct txn *t, int family);
void rule_load_daddr(struct txn *t, int family);
void rule_load_l4proto(struct txn *t);
void rule_load_nexthdr(struct txn *t);           /* of the IPv6 header */
void rule_load_extension_nexthdr(struct txn *t); /* of the first extension header */
void rule_load_sport(struct txn *t);
void rule_load_dport(struct txn *t);
void rule_load_ct_saddr(struct txn *t, int family, bool reply); /* source of the tracked flow's original or reply tuple */
void rule_in(struct txn *t, const char *set);     /* … @set */
void rule_not_in(struct txn *t, const char *set); /* … != @set */
void rule_vmap(struct txn *t, const char *map); /* … vmap @map */

/* Matches. */
void rule_family(struct txn *t, int family);         /* meta nfproto; in table bridge moat: ether type */
void rule_l4proto(struct txn *t, uint8_t protocol);  /* meta l4proto */
void rule_not_l4proto(struct txn *t, uint8_t protocol);
void rule_ct_state(struct txn *t, uint32_t mask);     /* ct state & mask != 0; CT_* bits below */
void rule_ct_state_not(struct txn *t, uint32_t mask); /* ct state & mask == 0 */
void rule_icmp_type(struct txn *t, int family, uint8_t type);
void rule_icmp6_error(struct txn *t);              /* icmpv6 type < 128 */
void rule_length6_at_most(struct txn *t, uint16_t bytes); /* ip6 length <= bytes: without the IPv6 header */
void rule_hop_limit(struct txn *t, uint8_t value); /* IPv6 */
void rule_nexthdr(struct txn *t, uint8_t value);   /* of the IPv6 header */
void rule_extension_nexthdr(struct txn *t, uint8_t value); /* of the first extension header */
void rule_ipv4_without_options(struct txn *t);     /* ip hdrlength 5 */
void rule_ipv4_options(struct txn *t);             /* ip hdrlength != 5 */
void rule_no_routing_header(struct txn *t);        /* exthdr rt missing */
void rule_routing_header(struct txn *t);           /* exthdr rt exists: wherever it stands */
void rule_daddr_multicast6(struct txn *t);         /* ip6 daddr ff00::/8 */
void rule_saddr_unspecified(struct txn *t);        /* ip6 saddr :: */
void rule_saddr_link_local(struct txn *t);         /* ip6 saddr fe80::/10 */
void rule_saddr_local(struct txn *t);              /* fib saddr type local */
void rule_ct_to_loopback(struct txn *t);           /* ct original ip daddr 127.0.0.0/8 */
void rule_tcp_flags(struct txn *t, uint8_t mask, uint8_t value);     /* tcp flags & mask == value */
void rule_tcp_flags_not(struct txn *t, uint8_t mask, uint8_t value); /* != */

/* Frames, in table bridge moat (rule_link.c). Bytes of the headers as they are: a frame with a VLAN tag has none of these types. */
void rule_ether_type(struct txn *t, uint16_t type); /* host order */
void rule_load_ether_saddr(struct txn *t);
void rule_load_ether_daddr(struct txn *t);
void rule_ether_multicast(struct txn *t);        /* group bit of the destination: multicast or broadcast */
void rule_arp_of_ethernet(struct txn *t);        /* arp htype 1 ptype ip hlen 6 plen 4: only then the two below are what they say */
void rule_load_arp_saddr_ether(struct txn *t);
void rule_load_arp_saddr_ip(struct txn *t);
void rule_arp_operation(struct txn *t, uint16_t operation);
void rule_load_nd_target(struct txn *t);         /* neighbour solicitation, advertisement, redirect: after rule_icmp_type */
void rule_nd_target_link_local(struct txn *t);
/* ether daddr set <what was loaded> map @map; a miss ends the rule */
void rule_set_ether_daddr(struct txn *t, const char *map);
void rule_set_pkttype(struct txn *t, uint8_t type); /* PACKET_* of linux/if_packet.h */

/* NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h */
#define CT_INVALID 1u
#define CT_ESTABLISHED 2u
#define CT_RELATED 4u
#define CT_NEW 8u

/* Statements. */
void rule_counter(struct txn *t);
void rule_limit(struct txn *t, uint64_t per_second, uint32_t burst);
void rule_log(struct txn *t, uint16_t group, const char *prefix); /* NFLOG */
void rule_reject_tcp_reset(struct txn *t);
void rule_reject_admin_prohibited(struct txn *t);
void rule_accept(struct txn *t);
void rule_masquerade(struct txn *t); /* table inet moat-nat */
void rule_drop(struct txn *t);
void rule_return(struct txn *t);
void rule_jump(struct txn *t, const char *chain);
void rule_goto(struct txn *t, const char *chain);

#endif

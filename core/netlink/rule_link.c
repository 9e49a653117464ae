/* SPDX-License-Identifier: Apache-2.0 */
/* Phrases about frames, for table bridge moat. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h> /* libnftnl/expr.h uses FILE and does not include it */

#include <libnftnl/expr.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nf_tables.h>

#include "core/netlink/rule_expr.h"
#include "moat/rule.h"

/*
 * By the bytes of the frame, not by `meta protocol`: the kernel has taken the outer VLAN tag off a frame before a bridge sees
 * it, and calls it then by its inner protocol. A payload load puts the tag back (nft_payload_copy_vlan), so a tagged frame is 8021q.
 */
void rule_ether_type(struct txn *t, uint16_t type)
{
	uint16_t network = htons(type);
	uint32_t saved = t->reg;

	if (t->table != TABLE_BRIDGE || (t->ether_type && t->ether_type != type))
		abort();
	if (t->ether_type)
		return;
	t->ether_type = type;
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_LL_HEADER, 12, 2), NFT_CMP_EQ, &network, 2);
	t->reg = saved; /* it may be asked for between two loads of one key */
}

void rule_load_ether_daddr(struct txn *t)
{
	expr_payload(t, NFT_PAYLOAD_LL_HEADER, 0, ETH_ALEN);
}

void rule_load_ether_saddr(struct txn *t)
{
	expr_payload(t, NFT_PAYLOAD_LL_HEADER, ETH_ALEN, ETH_ALEN);
}

void rule_ether_multicast(struct txn *t)
{
	static const uint8_t group[ETH_ALEN] = {0x01}; /* IEEE 802, the I/G bit */
	uint32_t reg = expr_payload(t, NFT_PAYLOAD_LL_HEADER, 0, ETH_ALEN);

	expr_bitwise_and(t, reg, group, sizeof(group));
	expr_cmp(t, reg, NFT_CMP_EQ, group, sizeof(group));
	expr_reg_reset(t);
}

/* RFC 826: hardware type, protocol type, their lengths; then the operation, at 8 the sender's MAC, at 14 its address. */
void rule_arp_of_ethernet(struct txn *t)
{
	static const uint8_t head[] = {0, 1, ETH_P_IP >> 8, ETH_P_IP & 0xff, ETH_ALEN, 4};

	rule_ether_type(t, ETH_P_ARP);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 0, sizeof(head)), NFT_CMP_EQ, head, sizeof(head));
	expr_reg_reset(t);
}

void rule_arp_operation(struct txn *t, uint16_t operation)
{
	uint16_t network = htons(operation);

	rule_ether_type(t, ETH_P_ARP);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 6, 2), NFT_CMP_EQ, &network, 2);
	expr_reg_reset(t);
}

void rule_load_arp_saddr_ether(struct txn *t)
{
	rule_ether_type(t, ETH_P_ARP);
	expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 8, ETH_ALEN);
}

void rule_load_arp_saddr_ip(struct txn *t)
{
	rule_ether_type(t, ETH_P_ARP);
	expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 14, 4);
}

/* RFC 4861 sections 4.3 to 4.5: the target stands in the ninth byte of all three. */
void rule_load_nd_target(struct txn *t)
{
	if (t->l4proto != IPPROTO_ICMPV6)
		abort(); /* in any other packet these bytes are something else */
	expr_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16);
}

void rule_nd_target_link_local(struct txn *t)
{
	static const uint8_t mask[] = {0xff, 0xc0}, prefix[] = {0xfe, 0x80};
	uint32_t reg;

	if (t->l4proto != IPPROTO_ICMPV6)
		abort();
	reg = expr_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 8, sizeof(mask));
	expr_bitwise_and(t, reg, mask, sizeof(mask));
	expr_cmp(t, reg, NFT_CMP_EQ, prefix, sizeof(prefix));
	expr_reg_reset(t);
}

void rule_set_ether_daddr(struct txn *t, const char *map)
{
	struct nftnl_expr *e = expr_lookup(t, map);
	uint32_t reg = expr_reg_take(t, ETH_ALEN);

	expr_put_number(t, e, 4, NFTNL_EXPR_LOOKUP_DREG, reg);
	expr_push(t, e);
	e = expr_new(t, "payload"); /* no checksum covers it */
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_SREG, reg);
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_LL_HEADER);
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_OFFSET, 0);
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_LEN, ETH_ALEN);
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_NONE);
	expr_put_number(t, e, 4, NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, 0);
	expr_push(t, e);
	expr_reg_reset(t);
}

void rule_set_pkttype(struct txn *t, uint8_t type)
{
	struct nftnl_expr *e = expr_new(t, "immediate");
	uint32_t reg = expr_reg_take(t, 1);

	expr_put_number(t, e, 4, NFTNL_EXPR_IMM_DREG, reg);
	expr_put_bytes(t, e, NFTNL_EXPR_IMM_DATA, &type, 1);
	expr_push(t, e);
	e = expr_new(t, "meta");
	expr_put_number(t, e, 4, NFTNL_EXPR_META_KEY, NFT_META_PKTTYPE);
	expr_put_number(t, e, 4, NFTNL_EXPR_META_SREG, reg);
	expr_push(t, e);
	expr_reg_reset(t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Phrases: nf_tables expressions in the shape that nft itself gives them, so that `nft list` reads them back. */
#include <net/if.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has its own copy of it */

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "core/netlink/rule_expr.h"
#include "moat/rule.h"

#define RULE_BYTES_MAX 4096 /* the largest of ours has some 900: fifteen expressions, each below 64 */
#define NOTE_UDATA_TYPE 201
#define TAG_UDATA_TYPE 200 /* nft ignores types it does not know; it uses 0 (comment) and 1 */

void rule_begin(struct txn *t, const char *chain)
{
	txn_elements_flush(t);
	if (t->in_rule)
		abort();
	t->in_rule = true;
	t->note_len = 0;
	t->tag = 0xcbf29ce484222325u;
	t->family = t->l4proto = 0;
	t->ether_type = 0;
	expr_reg_reset(t);
	if (t->tags_only)
		return;
	t->rule = MUST(nftnl_rule_alloc());
	nftnl_rule_set_u32(t->rule, NFTNL_RULE_FAMILY, table_family(t->table));
	MUST_COPY(nftnl_rule_set_str(t->rule, NFTNL_RULE_TABLE, table_name(t->table)));
	MUST_COPY(nftnl_rule_set_str(t->rule, NFTNL_RULE_CHAIN, chain));
}

/* The tag is a hash of the expressions: by it a dump tells whether the rule still stands. */
static void put_tag(struct txn *t)
{
	struct nftnl_udata_buf *udata = MUST(nftnl_udata_buf_alloc(32 + RULE_NOTE_MAX));

	nftnl_udata_put(udata, TAG_UDATA_TYPE, sizeof(t->tag), &t->tag);
	if (t->note_len)
		nftnl_udata_put(udata, NOTE_UDATA_TYPE, t->note_len, t->note);
	MUST_COPY(nftnl_rule_set_data(t->rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(udata), nftnl_udata_buf_len(udata)));
	nftnl_udata_buf_free(udata);
}

void rule_end(struct txn *t)
{
	char scratch[RULE_BYTES_MAX] = {0};
	struct nftnl_rule *rule;
	struct nlmsghdr *nlh;

	t->in_rule = false;
	if (t->tags_only)
		return;
	put_tag(t);
	rule = TAKE_PTR(t->rule);
	nlh = txn_message_begin(t, t->table, scratch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	nftnl_rule_nlmsg_build_payload(nlh, rule);
	txn_message_end(t, nlh, mem_printf("add rule to %s", nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN)));
	nftnl_rule_free(rule);
}

void rule_end_tagged(struct txn *t, const char *chain)
{
	struct rule_tag tag = {.chain = chain, .tag = t->tag};

	VEC_PUSH(&t->tags, tag);
	rule_end(t);
}

/* Types, lengths and values, as nftnl_udata_put writes them. */
static const uint8_t *find_udata(const void *userdata, size_t len, uint8_t type, size_t *ret_len)
{
	for (const uint8_t *p = userdata; len >= 2 && len >= 2u + p[1]; len -= 2u + p[1], p += 2u + p[1]) {
		*ret_len = p[1];
		if (p[0] == type)
			return p + 2;
	}
	return NULL;
}

bool rule_tag_of(const void *userdata, size_t len, uint64_t *ret)
{
	size_t size = 0;
	const uint8_t *tag = find_udata(userdata, len, TAG_UDATA_TYPE, &size);

	if (!tag || size != sizeof(*ret))
		return false;
	memcpy(ret, tag, sizeof(*ret));
	return true;
}

void rule_note(struct txn *t, const void *note, size_t len)
{
	if (len > RULE_NOTE_MAX)
		abort();
	memcpy(t->note, note, len);
	t->note_len = (uint8_t)len;
}

const void *rule_note_of(const void *userdata, size_t len, size_t *ret_len)
{
	return find_udata(userdata, len, NOTE_UDATA_TYPE, ret_len);
}

/*
 * A dependency may be asked for between two loads of one key, so it uses a register behind the key and gives it back.
 */
static void depend(struct txn *t, uint32_t meta_key, uint8_t value)
{
	uint32_t saved = t->reg;

	expr_cmp(t, expr_meta(t, meta_key, 1), NFT_CMP_EQ, &value, 1);
	t->reg = saved;
}

void rule_family(struct txn *t, int family)
{
	if (t->table == TABLE_BRIDGE) {
		rule_ether_type(t, family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
		return;
	}
	if (t->family == family)
		return;
	if (t->family)
		abort(); /* a rule about both families matches nothing */
	t->family = (uint8_t)family;
	depend(t, NFT_META_NFPROTO, family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

void rule_l4proto(struct txn *t, uint8_t protocol)
{
	if (t->l4proto == protocol)
		return;
	t->l4proto = protocol;
	depend(t, NFT_META_L4PROTO, protocol);
}

void rule_not_l4proto(struct txn *t, uint8_t protocol)
{
	expr_cmp(t, expr_meta(t, NFT_META_L4PROTO, 1), NFT_CMP_NEQ, &protocol, 1);
	expr_reg_reset(t);
}

void rule_load_iifname(struct txn *t)
{
	expr_meta(t, NFT_META_IIFNAME, IFNAMSIZ);
}

void rule_load_iif(struct txn *t)
{
	expr_meta(t, NFT_META_IIF, 4);
}

void rule_load_oif(struct txn *t)
{
	expr_meta(t, NFT_META_OIF, 4);
}

void rule_load_oifname(struct txn *t)
{
	expr_meta(t, NFT_META_OIFNAME, IFNAMSIZ);
}

/* Offsets of the addresses: RFC 791 section 3.1, RFC 8200 section 3. */
void rule_load_saddr(struct txn *t, int family)
{
	rule_family(t, family);
	expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, family == AF_INET ? 12 : 8, family == AF_INET ? 4 : 16);
}

void rule_load_daddr(struct txn *t, int family)
{
	rule_family(t, family);
	expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, family == AF_INET ? 16 : 24, family == AF_INET ? 4 : 16);
}

void rule_load_l4proto(struct txn *t)
{
	expr_meta(t, NFT_META_L4PROTO, 1);
}

/* RFC 8200 section 3; an extension header begins with the number of the next one (section 4). */
void rule_load_nexthdr(struct txn *t)
{
	rule_family(t, AF_INET6);
	expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 6, 1);
}

void rule_load_extension_nexthdr(struct txn *t)
{
	rule_family(t, AF_INET6);
	expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 40, 1);
}

/* TCP, UDP and SCTP all begin with the two ports. */
void rule_load_sport(struct txn *t)
{
	expr_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2);
}

void rule_load_dport(struct txn *t)
{
	expr_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
}

static uint32_t ct_address(struct txn *t, uint32_t key, bool reply, size_t len)
{
	struct nftnl_expr *e = expr_new(t, "ct");
	uint32_t reg = expr_reg_take(t, len);

	expr_put_number(t, e, 4, NFTNL_EXPR_CT_KEY, key);
	expr_put_number(t, e, 1, NFTNL_EXPR_CT_DIR, reply);
	expr_put_number(t, e, 4, NFTNL_EXPR_CT_DREG, reg);
	expr_push(t, e);
	return reg;
}

void rule_load_ct_saddr(struct txn *t, int family, bool reply)
{
	rule_family(t, family);
	ct_address(t, family == AF_INET ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6, reply, family == AF_INET ? 4 : 16);
}

void rule_in(struct txn *t, const char *set)
{
	expr_push(t, expr_lookup(t, set));
}

void rule_not_in(struct txn *t, const char *set)
{
	struct nftnl_expr *e = expr_lookup(t, set);

	expr_put_number(t, e, 4, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	expr_push(t, e);
}

void rule_vmap(struct txn *t, const char *map)
{
	struct nftnl_expr *e = expr_lookup(t, map);

	expr_put_number(t, e, 4, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
	expr_push(t, e);
}

static void ct_state(struct txn *t, uint32_t mask, uint32_t op)
{
	static const uint32_t zero;
	struct nftnl_expr *e = expr_new(t, "ct");
	uint32_t reg = expr_reg_take(t, 4);

	expr_put_number(t, e, 4, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
	expr_put_number(t, e, 4, NFTNL_EXPR_CT_DREG, reg);
	expr_push(t, e);
	expr_bitwise_and(t, reg, &mask, 4);
	expr_cmp(t, reg, op, &zero, 4);
	expr_reg_reset(t);
}

void rule_ct_state(struct txn *t, uint32_t mask)
{
	ct_state(t, mask, NFT_CMP_NEQ);
}

void rule_ct_state_not(struct txn *t, uint32_t mask)
{
	ct_state(t, mask, NFT_CMP_EQ);
}

void rule_icmp_type(struct txn *t, int family, uint8_t type)
{
	rule_family(t, family);
	rule_l4proto(t, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1), NFT_CMP_EQ, &type, 1);
	expr_reg_reset(t);
}

/* RFC 4443 section 2.1: errors are below 128 */
void rule_icmp6_error(struct txn *t)
{
	static const uint8_t first_information = 128;

	rule_family(t, AF_INET6);
	rule_l4proto(t, IPPROTO_ICMPV6);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1), NFT_CMP_LT, &first_information, 1);
	expr_reg_reset(t);
}

void rule_length6_at_most(struct txn *t, uint16_t bytes)
{
	const uint16_t limit = htons(bytes);

	rule_family(t, AF_INET6);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 4, 2), NFT_CMP_LTE, &limit, 2);
	expr_reg_reset(t);
}

void rule_hop_limit(struct txn *t, uint8_t value)
{
	rule_family(t, AF_INET6);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 7, 1), NFT_CMP_EQ, &value, 1);
	expr_reg_reset(t);
}

void rule_extension_nexthdr(struct txn *t, uint8_t value)
{
	rule_family(t, AF_INET6);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 40, 1), NFT_CMP_EQ, &value, 1);
	expr_reg_reset(t);
}

void rule_nexthdr(struct txn *t, uint8_t value)
{
	rule_family(t, AF_INET6);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 6, 1), NFT_CMP_EQ, &value, 1);
	expr_reg_reset(t);
}

/* The first byte is version and length: 0x45 and nothing else has no options. */
static void ipv4_plain(struct txn *t, uint32_t op)
{
	static const uint8_t plain = 0x45;

	rule_family(t, AF_INET);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 0, 1), op, &plain, 1);
	expr_reg_reset(t);
}

void rule_ipv4_without_options(struct txn *t)
{
	ipv4_plain(t, NFT_CMP_EQ);
}

void rule_ipv4_options(struct txn *t)
{
	ipv4_plain(t, NFT_CMP_NEQ);
}

static void routing_header(struct txn *t, uint8_t exists)
{
	struct nftnl_expr *e;
	uint32_t reg;

	rule_family(t, AF_INET6);
	e = expr_new(t, "exthdr");
	reg = expr_reg_take(t, 1);
	expr_put_number(t, e, 1, NFTNL_EXPR_EXTHDR_TYPE, IPPROTO_ROUTING);
	expr_put_number(t, e, 4, NFTNL_EXPR_EXTHDR_OFFSET, 0);
	expr_put_number(t, e, 4, NFTNL_EXPR_EXTHDR_LEN, 1);
	expr_put_number(t, e, 4, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_IPV6);
	expr_put_number(t, e, 4, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
	expr_put_number(t, e, 4, NFTNL_EXPR_EXTHDR_DREG, reg);
	expr_push(t, e);
	expr_cmp(t, reg, NFT_CMP_EQ, &exists, 1);
	expr_reg_reset(t);
}

void rule_routing_header(struct txn *t)
{
	routing_header(t, 1);
}

void rule_no_routing_header(struct txn *t)
{
	routing_header(t, 0);
}

void rule_daddr_multicast6(struct txn *t)
{
	static const uint8_t prefix = 0xff;

	rule_family(t, AF_INET6);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 24, 1), NFT_CMP_EQ, &prefix, 1);
	expr_reg_reset(t);
}

void rule_saddr_unspecified(struct txn *t)
{
	static const uint8_t unspecified[16];

	rule_family(t, AF_INET6);
	expr_cmp(t, expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 8, 16), NFT_CMP_EQ, unspecified, 16);
	expr_reg_reset(t);
}

void rule_saddr_link_local(struct txn *t)
{
	static const uint8_t mask[] = {0xff, 0xc0}, prefix[] = {0xfe, 0x80};
	uint32_t reg;

	rule_family(t, AF_INET6);
	reg = expr_payload(t, NFT_PAYLOAD_NETWORK_HEADER, 8, sizeof(mask));
	expr_bitwise_and(t, reg, mask, sizeof(mask));
	expr_cmp(t, reg, NFT_CMP_EQ, prefix, sizeof(prefix));
	expr_reg_reset(t);
}

void rule_saddr_local(struct txn *t)
{
	static const uint32_t local = RTN_LOCAL;
	struct nftnl_expr *e = expr_new(t, "fib");
	uint32_t reg = expr_reg_take(t, 4);

	expr_put_number(t, e, 4, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR);
	expr_put_number(t, e, 4, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	expr_put_number(t, e, 4, NFTNL_EXPR_FIB_DREG, reg);
	expr_push(t, e);
	expr_cmp(t, reg, NFT_CMP_EQ, &local, 4);
	expr_reg_reset(t);
}

void rule_ct_to_loopback(struct txn *t)
{
	static const uint8_t mask[] = {255, 0, 0, 0}, prefix[] = {127, 0, 0, 0};
	uint32_t reg;

	rule_family(t, AF_INET);
	reg = ct_address(t, NFT_CT_DST_IP, false, sizeof(mask));
	expr_bitwise_and(t, reg, mask, sizeof(mask));
	expr_cmp(t, reg, NFT_CMP_EQ, prefix, sizeof(prefix));
	expr_reg_reset(t);
}

static void tcp_flags(struct txn *t, uint8_t mask, uint8_t value, uint32_t op)
{
	uint32_t reg;

	rule_l4proto(t, IPPROTO_TCP);
	reg = expr_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1); /* RFC 9293 section 3.1 */
	expr_bitwise_and(t, reg, &mask, 1);
	expr_cmp(t, reg, op, &value, 1);
	expr_reg_reset(t);
}

void rule_tcp_flags(struct txn *t, uint8_t mask, uint8_t value)
{
	tcp_flags(t, mask, value, NFT_CMP_EQ);
}

void rule_tcp_flags_not(struct txn *t, uint8_t mask, uint8_t value)
{
	tcp_flags(t, mask, value, NFT_CMP_NEQ);
}

void rule_counter(struct txn *t)
{
	expr_push(t, expr_new(t, "counter"));
}

void rule_limit(struct txn *t, uint64_t per_second, uint32_t burst)
{
	struct nftnl_expr *e = expr_new(t, "limit");

	expr_put_number(t, e, 8, NFTNL_EXPR_LIMIT_RATE, per_second);
	expr_put_number(t, e, 8, NFTNL_EXPR_LIMIT_UNIT, 1); /* seconds */
	expr_put_number(t, e, 4, NFTNL_EXPR_LIMIT_BURST, burst);
	expr_put_number(t, e, 4, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	expr_push(t, e);
}

void rule_log(struct txn *t, uint16_t group, const char *prefix)
{
	struct nftnl_expr *e = expr_new(t, "log");

	expr_put_number(t, e, 2, NFTNL_EXPR_LOG_GROUP, group);
	expr_put_text(t, e, NFTNL_EXPR_LOG_PREFIX, prefix);
	expr_push(t, e);
}

void rule_reject_tcp_reset(struct txn *t)
{
	struct nftnl_expr *e;

	rule_l4proto(t, IPPROTO_TCP);
	e = expr_new(t, "reject");
	expr_put_number(t, e, 4, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
	expr_push(t, e);
}

void rule_reject_admin_prohibited(struct txn *t)
{
	struct nftnl_expr *e = expr_new(t, "reject");

	expr_put_number(t, e, 4, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	expr_put_number(t, e, 1, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
	expr_push(t, e);
}

static void verdict(struct txn *t, int code, const char *chain)
{
	struct nftnl_expr *e = expr_new(t, "immediate");

	expr_put_number(t, e, 4, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	expr_put_number(t, e, 4, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
	if (chain)
		expr_put_text(t, e, NFTNL_EXPR_IMM_CHAIN, chain);
	expr_push(t, e);
}

void rule_accept(struct txn *t)
{
	verdict(t, NF_ACCEPT, NULL);
}

void rule_masquerade(struct txn *t)
{
	expr_push(t, expr_new(t, "masq"));
}

void rule_drop(struct txn *t)
{
	verdict(t, NF_DROP, NULL);
}

void rule_return(struct txn *t)
{
	verdict(t, NFT_RETURN, NULL);
}

void rule_jump(struct txn *t, const char *chain)
{
	verdict(t, NFT_JUMP, chain);
}

void rule_goto(struct txn *t, const char *chain)
{
	verdict(t, NFT_GOTO, chain);
}

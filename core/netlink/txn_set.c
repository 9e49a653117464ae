/* SPDX-License-Identifier: Apache-2.0 */
/* Sets, maps and their elements in a transaction. */
#include "attr_internal.h"
#include "txn_internal.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#define ELEMENTS_PER_MESSAGE 300 /* at most some 150 bytes each: below the 64 KiB of one attribute */
#define VERDICT_TYPE 0xffffff00u /* NFT_DATA_VERDICT as set data type */

/* nft's numbers of data types (include/datatype.h there): they only tell `nft list` how to print. */
static const struct {
	uint32_t type, len, byteorder; /* byteorder: 1 host, 2 network */
} fields[] = {
	[FIELD_IFNAME] = {41, 16, 1},
	[FIELD_IPV4] = {7, 4, 2},
	[FIELD_IPV6] = {8, 16, 2},
	[FIELD_PROTOCOL] = {12, 1, 2},
	[FIELD_PORT] = {13, 2, 2},
	[FIELD_ETHER] = {9, 6, 2},
	[FIELD_IFINDEX] = {20, 4, 1},
};

static void key_append(struct key *k, const void *data, size_t len, size_t padded)
{
	if (k->len + padded > sizeof(k->bytes))
		abort();
	memset(k->bytes + k->len, 0, padded);
	memcpy(k->bytes + k->len, data, len);
	k->len = (uint8_t)(k->len + padded);
}

struct key key_with_ifname(struct key k, const char *ifname)
{
	key_append(&k, ifname, strnlen(ifname, 15), 16);
	return k;
}

struct key key_with_addr(struct key k, const struct addr *a)
{
	key_append(&k, a->bytes, addr_len(a), addr_len(a));
	return k;
}

struct key key_with_protocol(struct key k, uint8_t protocol)
{
	key_append(&k, &protocol, 1, 4);
	return k;
}

struct key key_with_port(struct key k, uint16_t port)
{
	uint16_t network = htons(port);

	key_append(&k, &network, 2, 4);
	return k;
}

struct key key_with_ether(struct key k, const uint8_t mac[6])
{
	key_append(&k, mac, 6, 8);
	return k;
}

struct key key_of_ether(const uint8_t mac[6])
{
	return key_with_ether((struct key){.len = 0}, mac);
}

struct key key_of_port(const char *ifname)
{
	return key_with_ifname((struct key){.len = 0}, ifname);
}

struct key key_of_index(uint32_t ifindex)
{
	struct key k = {.len = 0};

	key_append(&k, &ifindex, 4, 4);
	return k;
}

struct key key_of_addr(const struct addr *a)
{
	return key_with_addr((struct key){.len = 0}, a);
}

/* The lengths of the fields, as the kernel wants them for sets of concatenated ranges; and the text type for nft. */
static void describe_key(struct nftnl_set *s, const struct set_spec *set)
{
	uint8_t lens[ARRAY_SIZE(set->fields)] = {0};
	uint32_t type = 0, len = 0, n = 0;

	for (; n < ARRAY_SIZE(set->fields) && set->fields[n]; n++) {
		type = type << 6 | fields[set->fields[n]].type;
		lens[n] = (uint8_t)fields[set->fields[n]].len;
		len += (fields[set->fields[n]].len + 3) & ~3u;
	}
	if (n == 1)
		len = lens[0];
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, type);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, len);
	if (n > 1 && (set->flags & SET_INTERVAL))
		MUST_COPY(nftnl_set_set_data(s, NFTNL_SET_DESC_CONCAT, lens, n));
}

static void describe_byteorder(struct nftnl_set *s, const struct set_spec *set)
{
	struct nftnl_udata_buf *udata = MUST(nftnl_udata_buf_alloc(64));

	nftnl_udata_put_u32(udata, NFTNL_UDATA_SET_KEYBYTEORDER, fields[set->fields[0]].byteorder);
	if (set->value)
		nftnl_udata_put_u32(udata, NFTNL_UDATA_SET_DATABYTEORDER, fields[set->value].byteorder);
	MUST_COPY(nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(udata), nftnl_udata_buf_len(udata)));
	nftnl_udata_buf_free(udata);
}

void txn_add_set(struct txn *t, const struct set_spec *set)
{
	char scratch[2048] = {0};
	struct nftnl_set *s = MUST(nftnl_set_alloc());
	bool concat = set->fields[1] != FIELD_END;
	uint32_t flags = 0;
	struct nlmsghdr *nlh;

	txn_elements_flush(t);
	MUST_COPY(nftnl_set_set_str(s, NFTNL_SET_TABLE, table_name(set->table)));
	MUST_COPY(nftnl_set_set_str(s, NFTNL_SET_NAME, set->name));
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, table_family(set->table));
	nftnl_set_set_u32(s, NFTNL_SET_ID, ++t->set_id);
	describe_key(s, set);
	if (set->flags & SET_VERDICT) {
		flags |= NFT_SET_MAP;
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, VERDICT_TYPE);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, 0);
	}
	if (set->value) {
		flags |= NFT_SET_MAP;
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, fields[set->value].type);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, fields[set->value].len);
	}
	if (set->flags & SET_INTERVAL)
		flags |= NFT_SET_INTERVAL | (concat ? NFT_SET_CONCAT : 0);
	if (set->flags & SET_TIMEOUT) {
		flags |= NFT_SET_TIMEOUT;
		nftnl_set_set_u64(s, NFTNL_SET_TIMEOUT, set->timeout_ms);
	}
	if (flags)
		nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags);
	describe_byteorder(s, set);
	nlh = txn_message_begin(t, set->table, scratch, NFT_MSG_NEWSET, NLM_F_CREATE);
	nftnl_set_nlmsg_build_payload(nlh, s);
	nftnl_set_free(s);
	txn_message_end(t, nlh, mem_printf("add set %s", set->name));
}

void txn_delete_set(struct txn *t, const char *set)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh;

	txn_elements_flush(t);
	nlh = txn_message_begin(t, t->table, scratch, NFT_MSG_DELSET, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, table_name(t->table));
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, set);
	txn_message_end(t, nlh, mem_printf("delete set %s", set));
}

void txn_flush_set(struct txn *t, const struct set_spec *set)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh;

	txn_elements_flush(t);
	nlh = txn_message_begin(t, set->table, scratch, NFT_MSG_DELSETELEM, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, table_name(set->table));
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set->name);
	txn_message_end(t, nlh, mem_printf("flush set %s", set->name));
}

void txn_elements_flush(struct txn *t)
{
	struct nftnl_set *s = TAKE_PTR(t->elements);
	CLEAN_FREE char *scratch = NULL;
	struct nlmsghdr *nlh;

	if (!s)
		return;
	scratch = mem_zalloc(MESSAGE_BYTES_MAX);
	nlh = txn_message_begin(t, t->elements_table, scratch, t->elements_type, t->elements_type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	txn_message_end(t, nlh,
			mem_printf("%s %u element%s of %s", t->elements_type == NFT_MSG_NEWSETELEM ? "add" : "delete",
				   t->n_elements, t->n_elements == 1 ? "" : "s", nftnl_set_get_str(s, NFTNL_SET_NAME)));
	nftnl_set_free(s);
	t->n_elements = 0;
}

/* The list that elements of this set go to; another set, another verb or a full list starts a new message. */
static void open_elements(struct txn *t, const struct set_spec *set, uint16_t type)
{
	if (t->elements && (t->elements_type != type || t->n_elements >= ELEMENTS_PER_MESSAGE || t->elements_table != set->table ||
			    strcmp(nftnl_set_get_str(t->elements, NFTNL_SET_NAME), set->name) != 0))
		txn_elements_flush(t);
	if (t->elements)
		return;
	t->elements = MUST(nftnl_set_alloc());
	t->elements_type = type;
	t->elements_table = set->table;
	MUST_COPY(nftnl_set_set_str(t->elements, NFTNL_SET_TABLE, table_name(set->table)));
	MUST_COPY(nftnl_set_set_str(t->elements, NFTNL_SET_NAME, set->name));
	nftnl_set_set_u32(t->elements, NFTNL_SET_FAMILY, table_family(set->table));
}

/* A key of one field has the field's own length; only concatenations are padded. */
static struct nftnl_set_elem *element_new(const struct set_spec *set, struct key key)
{
	struct nftnl_set_elem *e = MUST(nftnl_set_elem_alloc());

	if (set->fields[1] == FIELD_END)
		key.len = (uint8_t)fields[set->fields[0]].len;

	MUST_COPY(nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, key.bytes, key.len));
	return e;
}

static void element_push(struct txn *t, struct nftnl_set_elem *e, const struct set_spec *set, const char *goto_chain)
{
	if (set->flags & SET_VERDICT) {
		nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_VERDICT, (uint32_t)(goto_chain ? NFT_GOTO : NFT_RETURN));
		if (goto_chain)
			MUST_COPY(nftnl_set_elem_set_str(e, NFTNL_SET_ELEM_CHAIN, goto_chain));
	}
	nftnl_set_elem_add(t->elements, e);
	t->n_elements++;
}

void txn_without_bridge(struct txn *t)
{
	t->without_bridge = true;
}

static bool is_ignored(const struct txn *t, const struct set_spec *set)
{
	return t->without_bridge && set->table == TABLE_BRIDGE;
}

void txn_add_element(struct txn *t, const struct set_spec *set, struct key key, const char *goto_chain)
{
	if (set->value)
		abort(); /* the kernel would refuse an element without its value */
	if (is_ignored(t, set))
		return;
	open_elements(t, set, NFT_MSG_NEWSETELEM);
	element_push(t, element_new(set, key), set, goto_chain);
}

void txn_add_mapping(struct txn *t, const struct set_spec *map, struct key key, struct key value)
{
	struct nftnl_set_elem *e;

	if (!map->value)
		abort();
	if (is_ignored(t, map))
		return;
	open_elements(t, map, NFT_MSG_NEWSETELEM);
	e = element_new(map, key);
	MUST_COPY(nftnl_set_elem_set(e, NFTNL_SET_ELEM_DATA, value.bytes, fields[map->value].len));
	element_push(t, e, map, NULL);
}

/* key + 1 as one big-endian number; false past the highest */
static bool key_next(struct key *k)
{
	for (size_t i = k->len; i-- > 0;)
		if (++k->bytes[i])
			return true;
	return false;
}

void txn_add_range(struct txn *t, const struct set_spec *set, struct key first, struct key last, const char *goto_chain)
{
	struct nftnl_set_elem *e;

	open_elements(t, set, NFT_MSG_NEWSETELEM);
	e = element_new(set, first);
	if (set->fields[1] != FIELD_END) { /* concatenated ranges: one element with both ends */
		MUST_COPY(nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY_END, last.bytes, last.len));
		element_push(t, e, set, goto_chain);
		return;
	}
	element_push(t, e, set, goto_chain); /* simple ranges: a start, and an end that is the first beyond */
	if (key_next(&last)) {
		e = element_new(set, last);
		nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
		nftnl_set_elem_add(t->elements, e);
		t->n_elements++;
	}
}

void txn_delete_element(struct txn *t, const struct set_spec *set, struct key key)
{
	if (is_ignored(t, set))
		return;
	open_elements(t, set, NFT_MSG_DELSETELEM);
	nftnl_set_elem_add(t->elements, element_new(set, key));
	t->n_elements++;
}

void txn_discard_element(struct txn *t, const struct set_spec *set, struct key key, const char *goto_chain)
{
	txn_add_element(t, set, key, goto_chain);
	txn_delete_element(t, set, key);
}

void txn_discard_mapping(struct txn *t, const struct set_spec *map, struct key key, struct key value)
{
	txn_add_mapping(t, map, key, value);
	txn_delete_element(t, map, key);
}

/* What an element holds besides its key. */
struct held {
	char chain[CHAIN_NAME_MAX];
	struct key value;
};

static int on_element(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *list = attr_of(nlh, sizeof(struct nfgenmsg), NFTA_SET_ELEM_LIST_ELEMENTS);
	const struct nlattr *data = attr_in(attr_in(list, NFTA_LIST_ELEM), NFTA_SET_ELEM_DATA);
	const char *chain = attr_text(attr_in(attr_in(data, NFTA_DATA_VERDICT), NFTA_VERDICT_CHAIN));
	const struct nlattr *value = attr_in(data, NFTA_DATA_VALUE);
	struct held *held = arg;

	snprintf(held->chain, sizeof(held->chain), "%s", chain ? chain : "");
	if (value && mnl_attr_get_payload_len(value) <= sizeof(held->value.bytes)) {
		held->value.len = (uint8_t)mnl_attr_get_payload_len(value);
		memcpy(held->value.bytes, mnl_attr_get_payload(value), held->value.len);
	}
	return 0;
}

static int read_element(struct nl *nl, const struct set_spec *set, struct key key, struct held *ret)
{
	char scratch[1024] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETSETELEM, table_family(set->table), 0, 0);
	struct nftnl_set *s = MUST(nftnl_set_alloc());

	*ret = (struct held){.chain = ""};
	MUST_COPY(nftnl_set_set_str(s, NFTNL_SET_TABLE, table_name(set->table)));
	MUST_COPY(nftnl_set_set_str(s, NFTNL_SET_NAME, set->name));
	nftnl_set_elem_add(s, element_new(set, key));
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	nftnl_set_free(s);
	return nl_request(nl, nlh, on_element, ret);
}

int txn_read_verdict(struct nl *nl, const struct set_spec *set, struct key key, char ret_chain[CHAIN_NAME_MAX])
{
	struct held held;
	int code = read_element(nl, set, key, &held);

	memcpy(ret_chain, held.chain, CHAIN_NAME_MAX);
	return code;
}

int txn_read_mapping(struct nl *nl, const struct set_spec *map, struct key key, struct key *ret_value)
{
	struct held held;
	int code = read_element(nl, map, key, &held);

	*ret_value = held.value;
	return code;
}

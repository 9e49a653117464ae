/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/inventory.h"

#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#include "core/netlink/attr_internal.h"
#include "moat/rule.h"
#include "moat/table.h"
#include "core/netlink/txn_internal.h"

struct name {
	char text[CHAIN_NAME_MAX];
	unsigned rules[2]; /* of the chain, by table, while they are counted */
	UT_hash_handle hh;
};

struct item {
	uint64_t id; /* hash of all that it is: nobody's input decides what is compared with what */
	struct name *name;
	void *owner;
	uint8_t table, kind;
	bool stands;
};

struct inventory {
	VEC(struct item) items; /* sorted once a table is compared */
	struct name *names, *last;
};

/* An object of either side, while it is read. */
struct reading {
	struct inventory *inv;
	enum table table;
	void *owner;                /* of what is wanted */
	inventory_fn extra;         /* NULL: it is wanted */
	void *arg;
	const char *set;            /* whose elements are read */
	const char *except;         /* whose are not */
	struct name *chain;         /* whose rules are dumped, */
	unsigned rules;             /* and how many were */
	VEC(char *) sets;           /* whose elements are to be dumped */
};

struct inventory *inventory_new(void)
{
	return mem_zalloc(sizeof(struct inventory));
}

void inventory_free(struct inventory *inv)
{
	struct name *name, *next;

	if (!inv)
		return;
	HASH_ITER(hh, inv->names, name, next) {
		HASH_DEL(inv->names, name);
		free(name);
	}
	VEC_DONE(&inv->items);
	free(inv);
}

static struct name *name_get(struct inventory *inv, const char *text)
{
	struct name *name = inv->last;

	if (name && !strcmp(name->text, text)) /* elements come by the set */
		return name;
	HASH_FIND_STR(inv->names, text, name);
	if (!name) {
		name = mem_zalloc(sizeof(*name));
		snprintf(name->text, sizeof(name->text), "%s", text);
		HASH_ADD_STR(inv->names, text, name);
	}
	inv->last = name;
	return name;
}

static uint64_t mix(uint64_t id, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	/* FNV-1a, 64 bits; the length keeps neighbours apart */
	for (size_t i = 0; i < len; i++)
		id = (id ^ bytes[i]) * 0x100000001b3u; /* NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): integers have all their bytes */
	return (id ^ len) * 0x100000001b3u;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct item *)a)->id, y = ((const struct item *)b)->id;

	return x < y ? -1 : x > y;
}

static void found(struct reading *r, struct inventory_object *o, uint64_t id)
{
	uint8_t head[2] = {(uint8_t)r->table, (uint8_t)o->kind};
	struct item item = {.owner = r->owner, .table = head[0], .kind = head[1]};
	struct item *wanted;

	item.id = mix(mix(id, head, sizeof(head)), o->name, strlen(o->name));
	if (!r->extra) {
		item.name = name_get(r->inv, o->name);
		VEC_PUSH(&r->inv->items, item);
		return;
	}
	wanted = r->inv->items.n ? bsearch(&item, r->inv->items.v, r->inv->items.n, sizeof(item), by_id) : NULL;
	if (wanted) {
		wanted->stands = true;
		return;
	}
	o->table = r->table;
	o->id = item.id;
	r->extra(o, r->arg);
}

static int read_chain(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *hook = attr_of(nlh, sizeof(struct nfgenmsg), NFTA_CHAIN_HOOK);
	const char *table = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_CHAIN_TABLE));
	struct inventory_object o = {.kind = INVENTORY_CHAIN};
	uint32_t place[2] = {attr_be32(attr_in(hook, NFTA_HOOK_HOOKNUM), ~0u), attr_be32(attr_in(hook, NFTA_HOOK_PRIORITY), 0)};

	o.name = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_CHAIN_NAME));
	if (o.name && table && !strcmp(table, TABLE_NAME))
		found(arg, &o, mix(0, place, sizeof(place)));
	return 0;
}

/* The kernel dumps a chain's rules one after the other; a transaction may go from chain to chain. */
static unsigned place_of(struct reading *r, const char *chain)
{
	if (!r->extra)
		return name_get(r->inv, chain)->rules[r->table]++;
	if (!r->chain || strcmp(r->chain->text, chain) != 0) {
		r->chain = name_get(r->inv, chain);
		r->rules = 0;
	}
	return r->rules++;
}

static int read_rule(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *userdata = attr_of(nlh, sizeof(struct nfgenmsg), NFTA_RULE_USERDATA);
	struct inventory_object o = {.kind = INVENTORY_RULE};
	uint64_t tag = 0;
	unsigned place;

	o.name = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_RULE_CHAIN));
	if (!o.name)
		return 0;
	if (userdata)
		rule_tag_of(mnl_attr_get_payload(userdata), mnl_attr_get_payload_len(userdata), &tag);
	place = place_of(arg, o.name);
	found(arg, &o, mix(mix(0, &tag, sizeof(tag)), &place, sizeof(place)));
	return 0;
}

static int read_set(const struct nlmsghdr *nlh, void *arg)
{
	struct inventory_object o = {.kind = INVENTORY_SET};
	struct reading *r = arg;

	o.name = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_SET_NAME));
	if (!o.name)
		return 0;
	found(r, &o, 0);
	if (r->extra && !(attr_be32(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_SET_FLAGS), 0) & NFT_SET_TIMEOUT))
		VEC_PUSH(&r->sets, mem_strdup(o.name));
	return 0;
}

static void read_element(const struct element *e, void *arg)
{
	struct reading *r = arg;
	struct inventory_object o = {.kind = INVENTORY_ELEMENT, .name = r->set, .element = *e};
	uint8_t ends = (e->flags & NFT_SET_ELEM_INTERVAL_END) != 0;
	uint64_t id = mix(mix(mix(0, e->key, e->key_len), e->key_end, e->key_end_len), &ends, sizeof(ends));

	id = mix(mix(mix(id, e->data, e->data_len), &e->verdict, sizeof(e->verdict)), e->chain, strlen(e->chain));
	found(r, &o, id);
}

static int read_elements(const struct nlmsghdr *nlh, void *arg)
{
	struct reading *r = arg;

	r->set = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_SET_ELEM_LIST_SET));
	if (r->set && (!r->except || strcmp(r->set, r->except) != 0))
		elements_each(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_SET_ELEM_LIST_ELEMENTS), read_element, r);
	return 0;
}

void inventory_want(struct inventory *inv, struct txn *t, const char *except, void *owner)
{
	struct reading r = {.inv = inv, .owner = owner, .except = except};

	txn_elements_flush(t);
	for (size_t at = 0; at < t->len;) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)(t->bytes + at);
		const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);

		at += MNL_ALIGN(nlh->nlmsg_len);
		r.table = nfg->nfgen_family == NFPROTO_BRIDGE ? TABLE_BRIDGE : TABLE_INET;
		switch (nlh->nlmsg_type & 0xff) {
		case NFT_MSG_NEWCHAIN:
			read_chain(nlh, &r);
			break;
		case NFT_MSG_NEWRULE:
			read_rule(nlh, &r);
			break;
		case NFT_MSG_NEWSET:
			read_set(nlh, &r);
			break;
		case NFT_MSG_NEWSETELEM:
			read_elements(nlh, &r);
			break;
		}
	}
}

/* attr: the attribute that names the table, and so limits the dump where the kernel lets it; 0: it does not. */
static int dump(struct reading *r, struct nl *nl, uint16_t type, uint16_t attr, nl_message_fn fn)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, type, table_family(r->table), NLM_F_DUMP, 0);
	int code;

	if (attr)
		mnl_attr_put_strz(nlh, attr, TABLE_NAME);
	if (type == NFT_MSG_GETSETELEM)
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, r->set);
	code = nl_dump(nl, nlh, fn, r);
	return code == -ENOENT ? 0 : code;
}

static int dump_table(struct reading *r, struct nl *nl)
{
	int code = dump(r, nl, NFT_MSG_GETCHAIN, 0, read_chain);

	if (code == 0)
		code = dump(r, nl, NFT_MSG_GETRULE, NFTA_RULE_TABLE, read_rule);
	if (code == 0)
		code = dump(r, nl, NFT_MSG_GETSET, NFTA_SET_TABLE, read_set);
	for (size_t i = 0; i < r->sets.n; i++) {
		r->set = r->sets.v[i];
		if (code == 0)
			code = dump(r, nl, NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE, read_elements);
		free(r->sets.v[i]);
	}
	VEC_DONE(&r->sets);
	return code;
}

/* Sorted, and each once: what is wanted twice stands once. Nothing is known to stand yet. */
static void settle(struct inventory *inv, enum table table)
{
	size_t kept = 0;

	if (inv->items.n)
		qsort(inv->items.v, inv->items.n, sizeof(inv->items.v[0]), by_id);
	for (size_t i = 0; i < inv->items.n; i++)
		if (!kept || inv->items.v[kept - 1].id != inv->items.v[i].id)
			inv->items.v[kept++] = inv->items.v[i];
	inv->items.n = kept;
	for (size_t i = 0; i < kept; i++)
		if (inv->items.v[i].table == table)
			inv->items.v[i].stands = false;
}

int inventory_compare(struct inventory *inv, struct nl *nl, enum table table, inventory_fn extra, inventory_fn missing, void *arg)
{
	struct reading r = {.inv = inv, .table = table, .extra = extra, .arg = arg};
	int code;

	settle(inv, table);
	code = dump_table(&r, nl);
	for (size_t i = 0; code == 0 && i < inv->items.n; i++) {
		const struct item *item = &inv->items.v[i];
		struct inventory_object o = {
			.table = table, .kind = item->kind, .name = item->name->text, .owner = item->owner, .id = item->id};

		if (item->table == table && !item->stands)
			missing(&o, arg);
	}
	return code;
}

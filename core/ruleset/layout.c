/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another version's layout
 *
 * A static part that is not ours may be damaged, and then every pod is closed before anything else. Or it is whole, but of another
 * version of moat, and then an upgrade must lose nothing that is allowed. What tells them apart is the mark: a rule in a chain of its
 * own, which nothing jumps to. It names the static chains, in two bytes each, and is tagged with a hash of their names and hooks and of the
 * tags of their rules. Whoever flushes a chain or adds a rule does not write the mark anew. Chains that it does not name are what is
 * left of a third layout, when two versions write in turn.
 *
 * What both layouts share is LAYOUT_CONTRACT: that a pod's chains are reached by from_pod, from_addr and to_pod, that what they
 * return from is allowed, and the ends that they go to. So pods' chains and profiles stay as they are, and the rest goes as every change
 * does (the swap discipline):
 *
 *	prepare   the sets that the new rules use, with the elements of every pod
 *	swap      the static chains and their rules, in one batch
 *	          then the packets that have passed a new base chain's place before, and an old one's not yet, go their way
 *	clean     chains and sets that only the other layout has
 *
 * A base chain cannot move to another priority; and if one batch deleted it here and made it there, a packet between the two could pass
 * both unseen. So in a new layout a base chain that moves has a new name: from swap to clean both ask. Static names have no dash,
 * all others have one.
 */
#include "moat/layout.h"

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "core/netlink/attr_internal.h"
#include "moat/bridge.h"
#include "moat/dump.h"
#include "moat/grace.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "ruleset_internal.h"
#include "core/netlink/txn_internal.h"

#define TABLES (TABLE_BRIDGE + 1)
#define LAYOUT_CONTRACT 1 /* of another one nothing is carried over: it counts as damage */

#define HASH_START 0xcbf29ce484222325u /* FNV-1a, 64 bits */
#define HASH_PRIME 0x100000001b3u

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * HASH_PRIME;
	return h;
}

static uint64_t hash_chain(const struct static_chain *c)
{
	uint64_t h = hash(HASH_START, c->name, strlen(c->name) + 1);

	return c->base ? hash(hash(h, &c->hook.hook, sizeof(c->hook.hook)), &c->hook.priority, sizeof(c->hook.priority)) : h;
}

/* A chain in the mark's list. */
static uint16_t short_name(const char *chain)
{
	uint64_t h = hash(HASH_START, chain, strlen(chain));

	return (uint16_t)(h ^ h >> 16 ^ h >> 32 ^ h >> 48);
}

static bool is_hashed(const char *chain)
{
	return !ruleset_is_filled(chain) && strcmp(chain, CHAIN_LAYOUT) != 0;
}

size_t layout_begin(const struct txn *t)
{
	return t->tags.n;
}

void layout_put_mark(struct txn *t, enum table table, size_t first_tag)
{
	const struct static_part *part = &static_parts[table];
	uint16_t names[RULE_NOTE_MAX / sizeof(uint16_t)];
	uint64_t sum = LAYOUT_CONTRACT;
	size_t n = 0;

	for (size_t i = 0; i < *part->n_chains; i++) {
		uint64_t h = hash_chain(&part->chains[i]);

		if (!is_hashed(part->chains[i].name))
			continue;

		for (size_t j = first_tag; j < t->tags.n; j++)
			if (!strcmp(t->tags.v[j].chain, part->chains[i].name))
				h = hash(h, &t->tags.v[j].tag, sizeof(t->tags.v[j].tag));
		sum += h; /* whatever the order in which chains were made */
		if (n == ARRAY_SIZE(names))
			abort();
		names[n++] = short_name(part->chains[i].name);
	}
	rule_begin(t, CHAIN_LAYOUT);
	rule_return(t);
	rule_note(t, names, n * sizeof(names[0]));
	t->tag = sum;
	rule_end_tagged(t, CHAIN_LAYOUT);
}

/* ---- what stands ------------------------------------------------------------------------------------------------------ */

struct standing_chain {
	char name[CHAIN_NAME_MAX];
	struct static_chain is; /* its name is the one above */
	bool ours;              /* our layout has a chain of this name, */
	bool moved;             /* hooked elsewhere */
};

struct standing {
	VEC(struct standing_chain) chains; /* static ones, of whatever layout */
	VEC(char *) sets;                  /* likewise; only those that are not ours */
	enum table table;
};

static const struct static_chain *find_ours(enum table table, const char *name)
{
	const struct static_part *part = &static_parts[table];

	for (size_t i = 0; i < *part->n_chains; i++)
		if (!strcmp(part->chains[i].name, name))
			return &part->chains[i];
	return NULL;
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	const size_t header = sizeof(struct nfgenmsg);
	const char *table = attr_text(attr_of(nlh, header, NFTA_CHAIN_TABLE)), *name = attr_text(attr_of(nlh, header, NFTA_CHAIN_NAME));
	const struct nlattr *hook = attr_of(nlh, header, NFTA_CHAIN_HOOK);
	struct standing *s = arg;
	struct standing_chain c = {.is = {.base = hook != NULL}};
	const struct static_chain *ours;

	if (!table || !name || strcmp(table, TABLE_NAME) != 0 || strchr(name, '-') || strlen(name) >= sizeof(c.name))
		return 0;
	memcpy(c.name, name, strlen(name) + 1);
	c.is.hook.hook = hook ? attr_be32(attr_in(hook, NFTA_HOOK_HOOKNUM), ~0u) : 0;
	c.is.hook.priority = hook ? (int32_t)attr_be32(attr_in(hook, NFTA_HOOK_PRIORITY), 0) : 0;
	ours = find_ours(s->table, name);
	c.ours = ours != NULL;
	c.moved = ours && (ours->base != c.is.base || ours->hook.hook != c.is.hook.hook || ours->hook.priority != c.is.hook.priority);
	VEC_PUSH(&s->chains, c);
	return 0;
}

static void on_set(const char *name, void *arg)
{
	struct standing *s = arg;
	enum set_owner unused;

	if (!strchr(name, '-') && !ruleset_find_set(s->table, name, &unused) && strncmp(name, "revoked", strlen("revoked")) != 0)
		VEC_PUSH(&s->sets, mem_strdup(name));
}

static int standing_read(struct standing *s, struct nl *nl, enum table table)
{
	char scratch[256] = {0};
	int code;

	s->table = table;
	code = nl_dump(nl, nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETCHAIN, table_family(table), NLM_F_DUMP, 0), on_chain, s);
	for (size_t i = 0; i < s->chains.n; i++)
		s->chains.v[i].is.name = s->chains.v[i].name;
	return code;
}

static void standing_done(struct standing *s)
{
	for (size_t i = 0; i < s->sets.n; i++)
		free(s->sets.v[i]);
	VEC_DONE(&s->sets);
	VEC_DONE(&s->chains);
}

struct tags {
	uint64_t hash, last;
	size_t n;
	bool stranger; /* a rule without a tag */
	uint16_t names[RULE_NOTE_MAX / sizeof(uint16_t)]; /* of the mark */
	size_t n_names;
};

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr = attr_of(nlh, sizeof(struct nfgenmsg), NFTA_RULE_USERDATA);
	size_t len = attr ? mnl_attr_get_payload_len(attr) : 0, note_len = 0;
	const void *userdata = attr ? mnl_attr_get_payload(attr) : NULL, *note;
	struct tags *tags = arg;

	tags->n++;
	if (!rule_tag_of(userdata, len, &tags->last))
		tags->stranger = true;
	tags->hash = hash(tags->hash, &tags->last, sizeof(tags->last));
	note = rule_note_of(userdata, len, &note_len);
	if (note && note_len <= sizeof(tags->names)) {
		memcpy(tags->names, note, note_len);
		tags->n_names = note_len / sizeof(tags->names[0]);
	}
	return 0;
}

static int read_tags(struct nl *nl, const struct standing *s, const char *chain, struct tags *tags)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETRULE, table_family(s->table), NLM_F_DUMP, 0);

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	return nl_dump(nl, nlh, on_rule, tags);
}

static bool is_named(const struct tags *mark, const char *chain)
{
	for (size_t i = 0; i < mark->n_names; i++)
		if (mark->names[i] == short_name(chain))
			return true;
	return false;
}

/* Whole, but not ours. What cannot be read is not. */
static bool is_other_layout(struct nl *nl, const struct standing *s)
{
	struct err err;
	uint64_t sum = LAYOUT_CONTRACT;
	struct tags mark = {.n = 0};
	size_t named = 0;

	if (ruleset_prove(nl, s->table, &err) != -EBADMSG || read_tags(nl, s, CHAIN_LAYOUT, &mark) < 0)
		return false;
	for (size_t i = 0; i < s->chains.n; i++) {
		struct tags tags = {.hash = hash_chain(&s->chains.v[i].is)};

		if (!is_named(&mark, s->chains.v[i].name))
			continue;
		if (read_tags(nl, s, s->chains.v[i].name, &tags) < 0 || tags.stranger)
			return false;
		sum += tags.hash;
		named++;
	}
	return mark.n == 1 && named == mark.n_names && mark.last == sum;
}

/* ---- the change ------------------------------------------------------------------------------------------------------- */

struct preparation {
	struct txn *missing; /* chains; committed before t, whose elements lead there */
	struct txn *t;
	VEC(char *) chains; /* that stand, of pods */
	struct tunnel_ports tunnel_ports; /* of the newest attachment whose conflist had some, */
	uint64_t since;                   /* made then */
};

static void on_pod_chain(const char *name, void *arg)
{
	struct preparation *p = arg;

	if ((name[0] == 'i' || name[0] == 'e') && name[1] == '-')
		VEC_PUSH(&p->chains, mem_strdup(name));
}

static bool has_chain(const struct preparation *p, const char *name)
{
	for (size_t i = 0; i < p->chains.n; i++)
		if (!strcmp(p->chains.v[i], name))
			return true;
	return false;
}

/* An element without its chain would go nowhere, and nowhere is open: a pod that has lost its chains is put closed. */
static void prepare_pod(const struct attachment *a, void *arg)
{
	struct preparation *p = arg;
	struct attachment own = *a;
	char chain[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *target[DIRECTION_COUNT];

	if (a->tunnel_ports.n && a->created >= p->since) {
		p->tunnel_ports = a->tunnel_ports;
		p->since = a->created;
	}
	if (a->closing) {
		pod_bar_closing(p->t, a);
		return;
	}
	pod_keep_owned(&own);
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		pod_chain_name((enum direction)d, a, chain[d]);
		target[d] = pod_closed_target(a->mode, (enum direction)d);
	}
	if (!has_chain(p, chain[INGRESS]) || !has_chain(p, chain[EGRESS]))
		pod_put_chains(p->missing, &own, target);
	pod_put_elements(p->t, &own);
}

static void prepare_bridge(const struct bridge_record *r, void *t)
{
	bridge_put(t, &r->bridge);
}

static void put_sets(struct txn *t, enum table table)
{
	txn_on(t, table);
	txn_add_table(t);
	static_parts[table].put_sets(t);
	txn_on(t, TABLE_INET);
}

static int commit(struct txn *t, struct nl *nl, struct err *err)
{
	int code = txn_commit(t, nl, err);

	txn_free(t);
	return code;
}

static int prepare(struct nl *nl, struct err *err)
{
	struct preparation p = {.missing = txn_new(), .t = txn_new()};
	int code = dump_chains(nl, on_pod_chain, &p);

	put_sets(p.t, TABLE_INET);
	if (podstore_bridge_in_use(NULL)) {
		put_sets(p.t, TABLE_BRIDGE);
		bridge_record_each(prepare_bridge, p.t);
	}
	podstore_each(NULL, prepare_pod, NULL, &p, NULL);
	if (p.tunnel_ports.n)
		ruleset_put_tunnel_ports(p.t, nl, &p.tunnel_ports, true);
	for (size_t i = 0; i < p.chains.n; i++)
		free(p.chains.v[i]);
	VEC_DONE(&p.chains);
	if (code < 0)
		code = err_errno(err, -code, "list the chains of table inet moat");
	else
		code = txn_commit(p.missing, nl, err);
	if (code == 0)
		code = txn_commit(p.t, nl, err);
	txn_free(p.missing);
	txn_free(p.t);
	return code;
}

void layout_queue_unhook(struct txn *t, struct nl *nl, enum table table)
{
	struct standing s = {.table = table};

	standing_read(&s, nl, table);
	txn_on(t, table);
	for (size_t i = 0; i < s.chains.n; i++) {
		if (!s.chains.v[i].moved)
			continue;
		txn_flush_chain(t, s.chains.v[i].name);
		txn_delete_chain(t, s.chains.v[i].name);
	}
	txn_on(t, TABLE_INET);
	standing_done(&s);
}

static int swap(const struct standing *s, struct nl *nl, struct err *err)
{
	struct txn *t = txn_new();

	layout_queue_unhook(t, nl, s->table);
	ruleset_put(t, s->table);
	return commit(t, nl, err);
}

/* What is still used by something of the daemon's stays, for its next start to find. */
static void clean(struct standing *s, struct nl *nl)
{
	struct txn *t = txn_new();

	if (s->table == TABLE_INET)
		dump_sets(nl, on_set, s);
	txn_on(t, s->table);
	for (int deleted = 0; deleted < 2; deleted++)
		for (size_t i = 0; i < s->chains.n; i++)
			if (!s->chains.v[i].ours)
				(deleted ? txn_delete_chain : txn_flush_chain)(t, s->chains.v[i].name);
	for (size_t i = 0; i < s->sets.n; i++)
		txn_delete_set(t, s->sets.v[i]);
	commit(t, nl, NULL);
}

int layout_follow(struct nl *nl, struct err *err)
{
	struct standing s[TABLES] = {0};
	bool other[TABLES] = {false}, any = false;
	int code = 0;

	for (int i = 0; i < TABLES; i++) {
		other[i] = standing_read(&s[i], nl, (enum table)i) == 0 && is_other_layout(nl, &s[i]);
		any |= other[i];
	}
	if (any)
		code = prepare(nl, err);
	for (int i = 0; code == 0 && i < TABLES; i++)
		if (other[i])
			code = swap(&s[i], nl, err);
	if (any && code == 0)
		grace_wait();
	for (int i = 0; i < TABLES; i++) {
		if (code == 0 && other[i])
			clean(&s[i], nl);
		standing_done(&s[i]);
	}
	return code < 0 ? code : any;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Proof that the static part of the ruleset stands: by hooks, and by the tags of its rules in their order. */
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "core/netlink/attr_internal.h"
#include "moat/layout.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "core/netlink/txn_internal.h"

struct dumped {
	VEC(uint64_t) tags;
	bool stranger; /* a rule without a tag */
};

static int on_table(const struct nlmsghdr *nlh, void *arg)
{
	*(uint32_t *)arg = attr_be32(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_TABLE_FLAGS), 0);
	return 0;
}

static int prove_table(struct nl *nl, enum table table, struct err *err)
{
	char scratch[256] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETTABLE, table_family(table), 0, 0);
	uint32_t flags = 0;
	int code;

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, TABLE_NAME);
	code = nl_request(nl, nlh, on_table, &flags);
	if (code < 0)
		return err_errno(err, -code, "table %s", table_text(table));
	if (flags & NFT_TABLE_F_DORMANT)
		return err_set(err, EBADMSG, "table %s is dormant", table_text(table));
	return 0;
}

static bool read_tag(const struct nlmsghdr *nlh, uint64_t *ret)
{
	const struct nlattr *attr = attr_of(nlh, sizeof(struct nfgenmsg), NFTA_RULE_USERDATA);

	return attr && rule_tag_of(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), ret);
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct dumped *d = arg;
	uint64_t tag;

	if (read_tag(nlh, &tag))
		VEC_PUSH(&d->tags, tag);
	else
		d->stranger = true;
	return 0;
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	struct chain_hook *hook = arg;
	const struct nlattr *nest = attr_of(nlh, sizeof(struct nfgenmsg), NFTA_CHAIN_HOOK);

	hook->hook = attr_be32(attr_in(nest, NFTA_HOOK_HOOKNUM), ~0u);
	hook->priority = (int32_t)attr_be32(attr_in(nest, NFTA_HOOK_PRIORITY), 0);
	return 0;
}

static int prove_hook(struct nl *nl, enum table table, const struct static_chain *c, struct err *err)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETCHAIN, table_family(table), 0, 0);
	struct chain_hook hook = {.hook = ~0u};
	int code;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, c->name);
	code = nl_request(nl, nlh, on_chain, &hook);
	if (code < 0 && code != -ENOENT)
		return err_errno(err, -code, "chain %s of table %s cannot be read", c->name, table_text(table));
	if (code < 0 || hook.hook != c->hook.hook || hook.priority != c->hook.priority)
		return err_set(err, EBADMSG, "chain %s of table %s is not hooked as it should be", c->name, table_text(table));
	return 0;
}

static int prove_rules(struct nl *nl, enum table table, const char *chain, const struct txn *wanted, struct err *err)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETRULE, table_family(table), NLM_F_DUMP, 0);
	struct dumped have = {0};
	size_t matched = 0, expected = 0;
	int code;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	code = nl_dump(nl, nlh, on_rule, &have);
	for (size_t i = 0; i < wanted->tags.n; i++) {
		if (strcmp(wanted->tags.v[i].chain, chain) != 0)
			continue;
		matched += expected < have.tags.n && have.tags.v[expected] == wanted->tags.v[i].tag;
		expected++;
	}
	bool intact = code == 0 && !have.stranger && matched == expected && have.tags.n == expected;
	VEC_DONE(&have.tags);
	if (code < 0 && code != -ENOENT)
		return err_errno(err, -code, "chain %s of table %s cannot be read", chain, table_text(table));
	if (!intact)
		return err_set(err, EBADMSG, "chain %s of table %s does not hold its %zu rules as moat wrote them", chain,
			       table_text(table), expected);
	return 0;
}

/* The static rules in the order of a dump, as long as nobody has made a static chain anew: chain by chain as they were made. */
struct sequence {
	VEC(struct rule_tag) tags;
	size_t matched;
};

static void make_sequence(struct sequence *s, const struct static_part *part, const struct txn *wanted)
{
	for (size_t i = 0; i < *part->n_chains; i++)
		for (size_t j = 0; j < wanted->tags.n; j++)
			if (!strcmp(wanted->tags.v[j].chain, part->chains[i].name))
				VEC_PUSH(&s->tags, wanted->tags.v[j]);
}

#define DIFFERS (-ESTALE)
#define WHOLE 1

static int on_next_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct sequence *s = arg;
	const struct rule_tag *expected = &s->tags.v[s->matched];
	const char *chain = attr_text(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_RULE_CHAIN));
	uint64_t tag = 0;

	if (s->matched == s->tags.n) /* one rule more: it is another chain's, or the last chain has too many */
		expected = &s->tags.v[s->matched - 1];
	if (!chain)
		return DIFFERS;
	read_tag(nlh, &tag);
	if (s->matched == s->tags.n)
		return strcmp(chain, expected->chain) != 0 ? WHOLE : DIFFERS;
	if (strcmp(chain, expected->chain) != 0 || tag != expected->tag)
		return DIFFERS;
	s->matched++;
	return 0;
}

/*
 * Static chains are the table's oldest, so the beginning of one dump of all rules holds theirs: one question instead of one per
 * chain, whatever the number of pods. Anything unexpected is no verdict: then chain by chain tells.
 */
static bool prove_at_once(enum table table, const struct txn *wanted)
{
	char scratch[256] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETRULE, table_family(table), NLM_F_DUMP, 0);
	struct sequence s = {.matched = 0};
	size_t expected;
	int code;

	make_sequence(&s, &static_parts[table], wanted);
	expected = s.tags.n;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	code = nl_dump_beginning(NETLINK_NETFILTER, nlh, on_next_rule, &s);
	VEC_DONE(&s.tags);
	return (code == 0 || code == WHOLE) && s.matched == expected;
}

static int prove_each(struct nl *nl, enum table table, const struct txn *wanted, struct err *err)
{
	const struct static_part *part = &static_parts[table];
	int code = 0;

	for (size_t i = 0; code == 0 && i < *part->n_chains; i++)
		if (!ruleset_is_filled(part->chains[i].name))
			code = prove_rules(nl, table, part->chains[i].name, wanted, err);
	return code;
}

struct txn *ruleset_wanted(enum table table)
{
	struct txn *t = txn_new();

	t->tags_only = true;
	txn_on(t, table);
	static_parts[table].put_rules(t);
	layout_put_mark(t, table, 0);
	return t;
}

bool ruleset_is_damaged(int proof)
{
	return proof == -ENOENT || proof == -EBADMSG;
}

int ruleset_prove(struct nl *nl, enum table table, struct err *err)
{
	const struct static_part *part = &static_parts[table];
	struct txn *wanted;
	int code = prove_table(nl, table, err);

	for (size_t i = 0; code == 0 && i < *part->n_chains; i++)
		if (part->chains[i].base)
			code = prove_hook(nl, table, &part->chains[i], err);
	if (code < 0)
		return code;
	wanted = ruleset_wanted(table);
	if (!prove_at_once(table, wanted))
		code = prove_each(nl, table, wanted, err);
	txn_free(wanted);
	return code;
}

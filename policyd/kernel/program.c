/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/kernel/program.h"

#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>

#include "moat/rule.h"
#include "moat/ruleset.h"

static const int families[2] = {AF_INET, AF_INET6};
static const char *const ends[DIRECTION_COUNT][END_COUNT] = {
	[INGRESS] = {CHAIN_DENY_INGRESS, CHAIN_REJECT_INGRESS, CHAIN_OBSERVE_INGRESS},
	[EGRESS] = {CHAIN_DENY_EGRESS, CHAIN_REJECT_EGRESS, CHAIN_OBSERVE_EGRESS},
};
static const char *const variants[PROGRAM_VARIANTS] = {"gid", "gir", "gio", "ged", "ger", "geo"};

struct name {
	char text[CHAIN_NAME_MAX];
};

static struct name name_of(const char *kind, uint32_t number, const struct epoch *epoch)
{
	struct name n;

	snprintf(n.text, sizeof(n.text), "%s-%x-%s", kind, number, epoch->name);
	return n;
}

bool program_needs_chain(const struct profile *p)
{
	return !p->open && !profile_is_empty(p);
}

const char *program_target(const struct profile *p, const struct epoch *epoch, char buf[CHAIN_NAME_MAX])
{
	if (p->open)
		snprintf(buf, CHAIN_NAME_MAX, "%s", CHAIN_OPEN);
	else if (profile_is_empty(p))
		snprintf(buf, CHAIN_NAME_MAX, "%s", ends[p->direction][p->end]);
	else
		snprintf(buf, CHAIN_NAME_MAX, "%s", name_of("p", p->number, epoch).text);
	return buf;
}

static struct set_spec member_set(const struct group *g, int f, const struct name *name)
{
	struct set_spec set = {.name = name->text, .fields = {f ? FIELD_IPV6 : FIELD_IPV4}};

	if (g->kind == GROUP_ENDPOINTS) {
		set.fields[1] = FIELD_PROTOCOL;
		set.fields[2] = FIELD_PORT;
	}
	return set;
}

static struct name member_set_name(const struct group *g, int f, const struct epoch *epoch)
{
	static const char *const kinds[2][2] = {{"a4", "a6"}, {"t4", "t6"}};

	return name_of(kinds[g->kind == GROUP_ENDPOINTS][f], g->number, epoch);
}

static struct name block_set_name(const struct group *g, int f, const struct epoch *epoch)
{
	return name_of(f ? "b6" : "b4", g->number, epoch);
}

static struct key member_key(const struct group *g, const struct member *m)
{
	struct key key = key_of_addr(&m->addr);

	if (g->kind == GROUP_ENDPOINTS)
		key = key_with_port(key_with_protocol(key, m->protocol), m->port);
	return key;
}

static bool has_ranges(const struct group *g, int f)
{
	for (size_t i = 0; i < g->ranges.n; i++)
		if (FAMILY_INDEX(&g->ranges.v[i].first) == f)
			return true;
	return false;
}

struct filling {
	struct txn *t;
	const struct group *g;
	int f;
	const struct set_spec *set;
};

static void add_member(const struct member *m, void *arg)
{
	struct filling *fill = arg;

	if (FAMILY_INDEX(&m->addr) == fill->f)
		txn_add_element(fill->t, fill->set, member_key(fill->g, m), NULL);
}

static void add_blocks(struct txn *t, const struct group *g, int f, const struct epoch *epoch)
{
	struct name name = block_set_name(g, f, epoch);
	struct set_spec set = {.name = name.text, .fields = {f ? FIELD_IPV6 : FIELD_IPV4}, .flags = SET_INTERVAL};

	txn_add_set(t, &set);
	for (size_t i = 0; i < g->ranges.n; i++)
		if (FAMILY_INDEX(&g->ranges.v[i].first) == f)
			txn_add_range(t, &set, key_of_addr(&g->ranges.v[i].first), key_of_addr(&g->ranges.v[i].last), NULL);
}

void program_add_group(struct txn *t, const struct group *g, const struct epoch *epoch)
{
	for (int f = 0; f < 2; f++) {
		struct name name = member_set_name(g, f, epoch);
		struct set_spec set = member_set(g, f, &name);
		struct filling fill = {.t = t, .g = g, .f = f, .set = &set};

		if (epoch->family[f]) {
			txn_add_set(t, &set);
			group_members(g, add_member, &fill);
		}
		if (has_ranges(g, f))
			add_blocks(t, g, f, epoch);
	}
}

void program_delete_group_sets(struct txn *t, const struct group *g, const struct epoch *epoch)
{
	for (int f = 0; f < 2; f++) {
		if (epoch->family[f])
			txn_delete_set(t, member_set_name(g, f, epoch).text);
		if (has_ranges(g, f))
			txn_delete_set(t, block_set_name(g, f, epoch).text);
	}
}

void program_change_member(struct txn *t, const struct group *g, const struct epoch *epoch, const struct member_change *change)
{
	int f = FAMILY_INDEX(&change->member.addr);
	struct name name = member_set_name(g, f, epoch);
	struct set_spec set = member_set(g, f, &name);

	if (!epoch->family[f]) /* a node's: no pod could hear it */
		return;
	if (change->added)
		txn_add_element(t, &set, member_key(g, &change->member), NULL);
	else
		txn_discard_element(t, &set, member_key(g, &change->member), NULL);
}

unsigned program_variant(const struct profile *p)
{
	return (unsigned)p->direction * END_COUNT + (unsigned)p->end;
}

static void load_peer(struct txn *t, enum direction d, int family)
{
	if (d == INGRESS)
		rule_load_saddr(t, family);
	else
		rule_load_daddr(t, family);
}

/* ip saddr|daddr @<set> return */
static void return_if_in(struct txn *t, const char *chain, enum direction d, int f, const char *set)
{
	rule_begin(t, chain);
	load_peer(t, d, families[f]);
	rule_in(t, set);
	rule_return(t);
	rule_end(t);
}

void program_add_group_chain(struct txn *t, const struct group *g, unsigned variant, const struct epoch *epoch)
{
	txn_add_chain(t, name_of(variants[variant], g->number, epoch).text, NULL);
}

void program_fill_group_chain(struct txn *t, const struct group *g, unsigned variant, const struct epoch *epoch)
{
	struct name chain = name_of(variants[variant], g->number, epoch);
	enum direction d = (enum direction)(variant / END_COUNT);

	txn_flush_chain(t, chain.text); /* of an attempt that came half-way */
	for (int f = 0; f < 2; f++) {
		if (g->any[f]) { /* meta nfproto ipv4|ipv6 return */
			rule_begin(t, chain.text);
			rule_family(t, families[f]);
			rule_return(t);
			rule_end(t);
			continue;
		}
		if (epoch->family[f])
			return_if_in(t, chain.text, d, f, member_set_name(g, f, epoch).text);
		if (has_ranges(g, f))
			return_if_in(t, chain.text, d, f, block_set_name(g, f, epoch).text);
	}
	rule_begin(t, chain.text);
	rule_goto(t, ends[d][variant % END_COUNT]);
	rule_end(t);
}

void program_delete_group_chain(struct txn *t, const struct group *g, unsigned variant, const struct epoch *epoch)
{
	struct name chain = name_of(variants[variant], g->number, epoch);

	txn_flush_chain(t, chain.text);
	txn_delete_chain(t, chain.text);
}

static bool has_port_ranges(const struct profile *p)
{
	for (size_t i = 0; i < p->entries.n; i++)
		if (p->entries.v[i].first != p->entries.v[i].last)
			return true;
	return false;
}

/*
 * Single ports are a hash: each range more costs the kernel a copy of all before it (1,000: 10 ms, 30,000: 7 s; as a hash 2.5 and
 * 80 ms). Of ranges the port comes first: the kernel narrows the entries field by field, and walks those that are left one by
 * one (nft_set_pipapo.c, pipapo_refill). By protocol first that is nearly all of them: a new flow to a pod with 1,000 ports cost
 * twice as much.
 */
static void add_port_map(struct txn *t, const struct profile *p, const char *map, const struct epoch *epoch)
{
	bool ranges = has_port_ranges(p);
	struct set_spec set = {.name = map, .fields = {FIELD_PORT, FIELD_PROTOCOL}, .flags = SET_VERDICT | (ranges ? SET_INTERVAL : 0)};

	txn_add_set(t, &set);
	for (size_t i = 0; i < p->entries.n; i++) {
		const struct profile_entry *e = &p->entries.v[i];
		struct key first = key_with_port((struct key){.len = 0}, e->first), last = key_with_port((struct key){.len = 0}, e->last);
		struct name group = {""};

		if (e->group)
			group = name_of(variants[program_variant(p)], e->group->number, epoch);
		if (ranges)
			txn_add_range(t, &set, key_with_protocol(first, e->protocol), key_with_protocol(last, e->protocol),
				      e->group ? group.text : NULL);
		else
			txn_add_element(t, &set, key_with_protocol(first, e->protocol), e->group ? group.text : NULL);
	}
}

/* ip daddr . meta l4proto . th dport @<endpoints> return */
static void return_if_endpoint(struct txn *t, const char *chain, const struct group *g, int f, const struct epoch *epoch)
{
	rule_begin(t, chain);
	rule_load_daddr(t, families[f]);
	rule_load_l4proto(t);
	rule_load_dport(t);
	rule_in(t, member_set_name(g, f, epoch).text);
	rule_return(t);
	rule_end(t);
}

void program_add_profile(struct txn *t, const struct profile *p, const struct epoch *epoch)
{
	txn_add_chain(t, name_of("p", p->number, epoch).text, NULL);
	if (p->entries.n)
		add_port_map(t, p, name_of("m", p->number, epoch).text, epoch);
}

void program_fill_profile(struct txn *t, const struct profile *p, const struct epoch *epoch)
{
	struct name chain = name_of("p", p->number, epoch), map = name_of("m", p->number, epoch);

	txn_flush_chain(t, chain.text);
	for (int f = 0; p->endpoints && f < 2; f++)
		if (epoch->family[f])
			return_if_endpoint(t, chain.text, p->endpoints, f, epoch);
	if (p->entries.n) { /* th dport . meta l4proto vmap @<map> */
		rule_begin(t, chain.text);
		rule_load_dport(t);
		rule_load_l4proto(t);
		rule_vmap(t, map.text);
		rule_end(t);
	}
	rule_begin(t, chain.text); /* what has no entry, or no port: the group of rules without ports, or the end */
	if (p->portless)
		rule_goto(t, name_of(variants[program_variant(p)], p->portless->number, epoch).text);
	else
		rule_goto(t, ends[p->direction][p->end]);
	rule_end(t);
}

void program_delete_profile(struct txn *t, const struct profile *p, const struct epoch *epoch)
{
	struct name chain = name_of("p", p->number, epoch);

	txn_flush_chain(t, chain.text);
	txn_delete_chain(t, chain.text);
	if (p->entries.n)
		txn_delete_set(t, name_of("m", p->number, epoch).text);
}

const char *program_ranges_name(int f, uint32_t number, const struct epoch *epoch, char buf[CHAIN_NAME_MAX])
{
	memcpy(buf, name_of(f ? "r6" : "r4", number, epoch).text, CHAIN_NAME_MAX);
	return buf;
}

bool program_owns_name(const char *name, const struct epoch *epoch, bool *ret_current)
{
	static const char *const kinds[] = {"p",   "m",  "gid", "gir", "gio", "ged", "ger", "geo",
					    "a4", "a6", "b4",  "b6",  "t4",  "t6",  "r4",  "r6"};
	const char *number = strchr(name, '-'), *end;

	if (!number)
		return false;
	end = number + 1 + strspn(number + 1, "0123456789abcdef");
	if (*end != '-' || end == number + 1 || strlen(end + 1) != EPOCH_DIGITS || strspn(end + 1, "0123456789abcdef") != EPOCH_DIGITS)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strlen(kinds[i]) == (size_t)(number - name) && !strncmp(kinds[i], name, strlen(kinds[i]))) {
			*ret_current = !strcmp(end + 1, epoch->name);
			return true;
		}
	}
	return false;
}

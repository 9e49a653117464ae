/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an ADD is safe: it writes its state file before it touches the kernel, and the kernel was read before the pod store. So what
 * stands and has no state file is nobody's. What an ADD puts between that look and the commit here is told apart by verdicts:
 * chains are named by attachment, and whatever goes is taken in one transaction with the stray's own entries of the
 * dispatch maps, which the kernel refuses when somebody else has put his there. A port goes only when no interface has its name.
 */
#include "moat/stray.h"

#include <stdio.h>
#include <string.h>

#include "moat/link.h"
#include "moat/pod.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "moat/text.h"

/* By what its chains are called behind the direction: "<port>-<created>". */
struct stray {
	char suffix[CHAIN_NAME_MAX];
	char port[IF_NAMESIZE]; /* as the kernel has it in `ports`; else as the chains say it */
	VEC(struct addr) addrs;
	VEC(const struct stray_element *) elements;
};

struct settling {
	const struct stray_judge *judge;
	VEC(struct stray) strays;
	VEC(const struct stray_element *) lone; /* that belong to none of them */
	VEC(struct link) links; /* that are there */
	bool blind;             /* nobody could say which */
};

static struct stray *stray_get(struct settling *n, const char *chain)
{
	struct stray s = {.port = ""};
	const char *dash = strrchr(chain, '-');

	for (size_t i = 0; i < n->strays.n; i++)
		if (!strcmp(n->strays.v[i].suffix, chain + 2))
			return &n->strays.v[i];
	snprintf(s.suffix, sizeof(s.suffix), "%s", chain + 2);
	if (dash > chain + 2)
		snprintf(s.port, sizeof(s.port), "%.*s", (int)(dash - chain - 2), chain + 2);
	VEC_PUSH(&n->strays, s);
	return &n->strays.v[n->strays.n - 1];
}

static bool is_pod_chain(const char *chain)
{
	return (chain[0] == 'i' || chain[0] == 'e') && chain[1] == '-';
}

static bool is_of_port(const struct stray_element *e)
{
	return e->set->fields[0] == FIELD_IFNAME && e->set->fields[1] == FIELD_END;
}

/* The last field of most keys, the only one of some: an address. */
static bool addr_of(const struct stray_element *e, struct addr *ret)
{
	enum field field = FIELD_END;

	for (size_t i = 0; i < ARRAY_SIZE(e->set->fields) && e->set->fields[i]; i++)
		field = e->set->fields[i];
	ret->family = field == FIELD_IPV6 ? AF_INET6 : AF_INET;
	if ((field != FIELD_IPV4 && field != FIELD_IPV6) || e->key.len < addr_len(ret))
		return false;
	memset(ret->bytes, 0, sizeof(ret->bytes));
	memcpy(ret->bytes, e->key.bytes + e->key.len - addr_len(ret), addr_len(ret));
	return true;
}

static bool has_addr(const struct stray *s, const struct addr *addr)
{
	for (size_t i = 0; i < s->addrs.n; i++)
		if (addr_equal(&s->addrs.v[i], addr))
			return true;
	return false;
}

/* Would this port's pod have such chains? */
static bool has_port(const struct stray *s, const struct stray_element *e)
{
	struct attachment a = {.created = strtoull(strrchr(s->suffix, '-') ? strrchr(s->suffix, '-') + 1 : "", NULL, 16)};
	char chain[CHAIN_NAME_MAX];

	snprintf(a.port, sizeof(a.port), "%.*s", IF_NAMESIZE - 1, (const char *)e->key.bytes);
	return !strcmp(pod_chain_name(INGRESS, &a, chain) + 2, s->suffix);
}

/* Names first, since elements that have no verdict are told by the addresses of those that have one. */
static void name_strays(struct settling *n, const struct leftovers *found)
{
	for (size_t i = 0; i < found->chains.n; i++)
		stray_get(n, found->chains.v[i]);
	for (size_t i = 0; i < found->elements.n; i++) {
		const struct stray_element *e = &found->elements.v[i];
		struct stray *s = is_pod_chain(e->chain) ? stray_get(n, e->chain) : NULL;
		struct addr addr;

		if (s && addr_of(e, &addr) && !has_addr(s, &addr))
			VEC_PUSH(&s->addrs, addr);
	}
}

static struct stray *owner_of(struct settling *n, const struct stray_element *e)
{
	struct addr addr;
	bool addressed = addr_of(e, &addr);

	if (is_pod_chain(e->chain))
		return stray_get(n, e->chain);
	for (size_t i = 0; i < n->strays.n; i++) { /* sets of a bridge begin with the port too, that of inet with its bridge */
		struct stray *s = &n->strays.v[i];

		if ((e->set->fields[0] == FIELD_IFNAME && has_port(s, e)) || (addressed && has_addr(s, &addr)))
			return s;
	}
	return NULL;
}

static void sort_elements(struct settling *n, const struct leftovers *found)
{
	for (size_t i = 0; i < found->elements.n; i++) {
		const struct stray_element *e = &found->elements.v[i];
		struct stray *s = owner_of(n, e);

		if (s && is_of_port(e))
			snprintf(s->port, sizeof(s->port), "%.*s", IF_NAMESIZE - 1, (const char *)e->key.bytes);
		if (s)
			VEC_PUSH(&s->elements, e);
		else
			VEC_PUSH(&n->lone, e);
	}
}

static void settling_done(struct settling *n)
{
	for (size_t i = 0; i < n->strays.n; i++) {
		VEC_DONE(&n->strays.v[i].addrs);
		VEC_DONE(&n->strays.v[i].elements);
	}
	VEC_DONE(&n->strays);
	VEC_DONE(&n->lone);
	VEC_DONE(&n->links);
}

static void add_link(const struct link *link, void *arg)
{
	struct settling *n = arg;

	VEC_PUSH(&n->links, *link);
}

/* Anything but a sure no counts as yes. */
static bool link_is_there(const struct settling *n, const char *port)
{
	for (size_t i = 0; i < n->links.n; i++)
		if (!strcmp(n->links.v[i].name, port))
			return true;
	return n->blind;
}

static void chain_of(const struct stray *s, enum direction d, char buf[CHAIN_NAME_MAX])
{
	snprintf(buf, CHAIN_NAME_MAX, "%c-%.*s", d == INGRESS ? 'i' : 'e', CHAIN_NAME_MAX - 3, s->suffix);
}

static void queue_discard(struct txn *t, const struct stray_element *e)
{
	if (e->set->value)
		txn_discard_mapping(t, e->set, e->key, e->value);
	else
		txn_discard_element(t, e->set, e->key, e->chain[0] ? e->chain : NULL);
}

static int commit(const struct settling *n, struct txn *t, struct err *err)
{
	int code = txn_commit(t, n->judge->nl, err);

	txn_free(t);
	return code;
}

static int take_away(const struct settling *n, const struct stray *s, struct err *err)
{
	char chain[DIRECTION_COUNT][CHAIN_NAME_MAX];
	struct txn *t = txn_new();

	for (int d = 0; d < DIRECTION_COUNT; d++) {
		chain_of(s, (enum direction)d, chain[d]);
		txn_add_chain(t, chain[d], NULL);
	}
	/* has nobody put his verdict there meanwhile? Of a known pod's address only what is not that pod's was left over. */
	for (size_t i = 0; i < s->addrs.n; i++)
		if (!n->judge->has_addr(&s->addrs.v[i], n->judge->arg))
			txn_discard_element(t, &map_to_pod[FAMILY_INDEX(&s->addrs.v[i])], key_of_addr(&s->addrs.v[i]), chain[INGRESS]);
	for (size_t i = 0; i < s->elements.n; i++)
		queue_discard(t, s->elements.v[i]);
	for (int d = 0; d < DIRECTION_COUNT; d++)
		txn_discard_chain(t, chain[d]);
	return commit(n, t, err);
}

static int close_it(const struct settling *n, const struct stray *s, struct err *err)
{
	char chain[CHAIN_NAME_MAX];
	struct txn *t = txn_new();

	for (int d = 0; d < DIRECTION_COUNT; d++) {
		chain_of(s, (enum direction)d, chain);
		txn_add_chain(t, chain, NULL);
		txn_flush_chain(t, chain);
		rule_begin(t, chain);
		rule_counter(t);
		rule_goto(t, pod_closed_target(MODE_STRICT, (enum direction)d));
		rule_end(t);
	}
	return commit(n, t, err);
}

static char *describe(const struct stray *s)
{
	char *text = mem_printf("port %s", TEXT(s->port)), buf[ADDR_TEXT_MAX];

	for (size_t i = 0; i < s->addrs.n; i++) {
		char *longer = mem_printf("%s%s%s", text, i ? ", " : " with ", addr_text(&s->addrs.v[i], buf));

		free(text);
		text = longer;
	}
	return text;
}

static bool settle_stray(const struct settling *n, const struct stray *s)
{
	CLEAN_FREE char *text = describe(s);
	bool stays = link_is_there(n, s->port);
	struct err err;

	if ((stays ? close_it(n, s, &err) : take_away(n, s, &err)) < 0) {
		n->judge->told(STRAY_REFUSED, text, &err, n->judge->arg);
		return false;
	}
	n->judge->told(stays ? STRAY_STAYS : STRAY_TAKEN_AWAY, text, NULL, n->judge->arg);
	return true;
}

/* An element for itself: an address goes if nobody has it by now; a port stays closed while something has its name. */
static bool settle_lone(const struct settling *n, const struct stray_element *e)
{
	struct txn *t;
	struct addr addr;
	struct err err;
	int code;

	if (is_of_port(e)) {
		char port[IF_NAMESIZE];

		snprintf(port, sizeof(port), "%.*s", IF_NAMESIZE - 1, (const char *)e->key.bytes);
		if (link_is_there(n, port)) {
			CLEAN_FREE char *text = mem_printf("port %s", TEXT(port));

			if (e->set == &set_ports)
				n->judge->told(STRAY_PORT_STAYS, text, NULL, n->judge->arg);
			return true;
		}
	}
	t = txn_new();
	if (addr_of(e, &addr) && !n->judge->has_addr(&addr, n->judge->arg))
		txn_discard_element(t, &map_to_pod[FAMILY_INDEX(&addr)], key_of_addr(&addr), "lost");
	txn_delete_element(t, e->set, e->key);
	code = commit(n, t, &err);
	if (code < 0 && code != -ENOENT) {
		CLEAN_FREE char *text = mem_printf("element of set %s", e->set->name);

		n->judge->told(STRAY_REFUSED, text, &err, n->judge->arg);
	} else if (e->set->table == TABLE_INET) {
		n->judge->told(STRAY_ELEMENT_TAKEN_AWAY, e->set->name, NULL, n->judge->arg);
	}
	return code == 0 || code == -ENOENT;
}

bool stray_settle(const struct leftovers *found, const struct stray_judge *judge)
{
	struct settling n = {.judge = judge};
	bool all = true, stays = false;

	n.blind = (found->chains.n || found->elements.n) && link_each(add_link, &n, NULL) < 0;
	name_strays(&n, found);
	sort_elements(&n, found);
	for (size_t i = 0; i < n.strays.n; i++) {
		stays |= link_is_there(&n, n.strays.v[i].port);
		all &= settle_stray(&n, &n.strays.v[i]);
	}
	for (size_t i = 0; i < n.lone.n; i++) {
		const struct stray_element *e = n.lone.v[i];

		/* nobody else speaks with the MAC of a pod that may still run, and no key says whose MAC it is */
		if (e->set != &link_pod_macs || !stays)
			all &= settle_lone(&n, e);
		stays |= is_of_port(e) && link_is_there(&n, (const char *)e->key.bytes);
	}
	settling_done(&n);
	return all;
}

void leftovers_done(struct leftovers *l)
{
	for (size_t i = 0; i < l->chains.n; i++)
		free(l->chains.v[i]);
	VEC_DONE(&l->chains);
	VEC_DONE(&l->elements);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of a bridge that has guarded ports
 *
 * Pods of one bridge believe that they share a segment. They do not: the bridge answers for all of them, so that what they send each
 * other goes to the bridge's MAC, up to IP and through inet forward (ruleset_bridge.c makes sure). For that:
 *
 *	proxy_arp_pvlan     the node answers ARP for an address that it would route back out of the same interface
 *	proxy_ndp           with a proxy neighbour per pod address, the same for IPv6
 *	proxy_delay         at once; the kernel waits up to 0.8 s by default
 *	send_redirects      it makes no redirects to a way that does not exist. They would be lost in the ruleset, but the kernel counts them
 *	                    against the sender's share of ICMP errors, so that a rejected pod hears nothing. An interface sends
 *	                    redirects if it or conf.all says so: without that of `all`, each interface's own setting counts, and they
 *	                    all have one (IN_DEV_TX_REDIRECTS)
 *	no_linklocal_learn  frames to 01:80:c2:00:00:0X, which no rule of prerouting sees, teach the bridge no MACs
 *	its MAC             stays as it is: rules hold it, and a bridge without one of its own takes its ports'
 *
 * What was otherwise before is written to the pod store before it is changed, and given back when the last attachment has left: only
 * what still is as moat set it, since somebody may have wanted otherwise meanwhile. The MAC stays pinned, the kernel has no way to
 * undo that.
 */
#include "moat/bridge.h"

#include <linux/netlink.h>
#include <string.h>

#include "moat/nl.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "moat/table_event.h"
#include "moat/text.h"

static const struct {
	const char *name;
	uint32_t wanted;
} settings[BRIDGE_SETTING_COUNT] = {
	[BRIDGE_PROXY_ARP_PVLAN] = {"proxy_arp_pvlan", 1},
	[BRIDGE_SEND_REDIRECTS] = {"send_redirects", 0},
	[BRIDGE_ARP_PROXY_DELAY] = {"arp_proxy_delay", 0},
	[BRIDGE_PROXY_NDP] = {"proxy_ndp", 1},
	[BRIDGE_ND_PROXY_DELAY] = {"nd_proxy_delay", 0},
	[BRIDGE_NO_LINKLOCAL_LEARN] = {"no_linklocal_learn", 1},
	[BRIDGE_ALL_SEND_REDIRECTS] = {"all_send_redirects", 0},
};

const char *bridge_setting_name(enum bridge_setting s)
{
	return settings[s].name;
}

uint32_t bridge_setting_wanted(enum bridge_setting s)
{
	return settings[s].wanted;
}

static bool has_family(const struct addr *addrs, size_t n, uint8_t family)
{
	for (size_t i = 0; i < n; i++)
		if (addrs[i].family == family)
			return true;
	return false;
}

int bridge_check(const struct bridge *b, const struct attachment *a, struct err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	char port[IF_NAMESIZE], kind[16];
	int code;

	if (b->vlan_filtering)
		return err_set(err, EOPNOTSUPP,
			       "bridge %s filters VLANs: moat cannot guard its ports; use a bridge without vlan_filtering (plugin bridge: no \"vlan\")",
			       TEXT(b->name));
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (has_family(a->addrs, a->n_addrs, families[i]) && !has_family(b->addrs, b->n_addrs, families[i]))
			return err_set(err, EOPNOTSUPP,
				       "bridge %s has no IPv%d address of the node, so it cannot route between its pods: give it one "
				       "(plugin bridge: \"isGateway\": true)",
				       TEXT(b->name), families[i] == AF_INET ? 4 : 6);
	code = bridge_find_foreign_port(b, port, kind, err);
	if (code == 0 && port[0])
		return err_set(err, EOPNOTSUPP,
			       "port %s (%s) of bridge %s is no veth: moat guards bridges whose ports are all veths; take it out of the "
			       "bridge, and route or masquerade to the wire",
			       TEXT(port), kind[0] ? TEXT(kind) : "a device of its own", TEXT(b->name));
	return code;
}

static bool same_addrs(const struct bridge *a, const struct bridge *b)
{
	if (a->n_addrs != b->n_addrs)
		return false;
	for (size_t i = 0; i < a->n_addrs; i++)
		if (!addr_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	return true;
}

/* Remembers what differs from what moat wants; what is remembered already was from before moat. */
static bool remember(struct bridge_record *r, const struct bridge_values *now)
{
	bool news = false;

	for (int s = 0; s < BRIDGE_SETTING_COUNT; s++) {
		if (!now->has[s] || now->v[s] == settings[s].wanted || r->before.has[s])
			continue;
		r->before.has[s] = news = true;
		r->before.v[s] = now->v[s];
	}
	return news;
}

/* The record of this very bridge, made or brought up to date; *ret_fresh: it is the first of it. */
static int keep_record(struct bridge *b, struct bridge_record *r, bool *ret_fresh, struct err *err)
{
	bool stale;
	int code;

	*ret_fresh = bridge_record_get(b->name, r, err) < 0 || r->bridge.index != b->index;
	if (*ret_fresh) {
		code = bridge_read_delays(b, err);
		if (code < 0)
			return code;
		*r = (struct bridge_record){.bridge = *b};
	}
	stale = remember(r, &b->now) || !same_addrs(&r->bridge, b) || *ret_fresh;
	memcpy(r->bridge.addrs, b->addrs, sizeof(b->addrs));
	r->bridge.n_addrs = b->n_addrs;
	return stale ? bridge_record_put(r, err) : 0;
}

/* The proxy delays are known only of a fresh record; they are set each time. */
static int apply(const struct bridge *b, struct err *err)
{
	int code = 0;

	for (int s = 0; code == 0 && s < BRIDGE_SETTING_COUNT; s++) {
		bool delay = s == BRIDGE_ARP_PROXY_DELAY || s == BRIDGE_ND_PROXY_DELAY;
		bool there = delay ? b->now.has[s == BRIDGE_ARP_PROXY_DELAY ? BRIDGE_PROXY_ARP_PVLAN : BRIDGE_PROXY_NDP] : b->now.has[s];

		if (there && (delay || b->now.v[s] != settings[s].wanted))
			code = bridge_set(b, (enum bridge_setting)s, settings[s].wanted, err);
	}
	return code;
}

/* What is still as moat set it. */
static int restore(struct bridge *b, const struct bridge_values *before, struct err *err)
{
	int code = bridge_read_delays(b, err);

	for (int s = 0; code == 0 && s < BRIDGE_SETTING_COUNT; s++)
		if (before->has[s] && b->now.has[s] && b->now.v[s] == settings[s].wanted)
			code = bridge_set(b, (enum bridge_setting)s, before->v[s], err);
	return code;
}

/* Everything but the pod's own. A first attempt that fails leaves nothing behind. */
static int prepare(const struct bridge *seen, struct bridge_record *ret, struct err *err)
{
	struct bridge b = *seen, now;
	bool fresh;
	int code = keep_record(&b, ret, &fresh, err);

	if (code < 0)
		return code;
	if (fresh || memcmp(b.mac, ret->bridge.mac, sizeof(b.mac)) != 0)
		code = bridge_pin_mac(&b, ret->bridge.mac, err);
	if (code == 0)
		code = apply(&b, err);
	if (code < 0 && fresh && bridge_look(b.index, &now, NULL) == 0 && restore(&now, &ret->before, NULL) == 0)
		bridge_record_remove(b.name);
	return code;
}

void bridge_join(const struct bridge *b, struct attachment *a)
{
	struct bridge_record r;
	bool known = bridge_record_get(b->name, &r, NULL) == 0 && r.bridge.index == b->index;

	memcpy(a->bridge, b->name, sizeof(a->bridge));
	a->bridge_index = b->index;
	memcpy(a->bridge_mac, known ? r.bridge.mac : b->mac, sizeof(a->bridge_mac));
}

int bridge_hold(const struct bridge *b, const struct attachment *a, struct err *err)
{
	struct bridge_record r;
	int code = prepare(b, &r, err);

	for (size_t i = 0; code == 0 && i < a->n_addrs; i++)
		if (a->addrs[i].family == AF_INET6)
			code = bridge_proxy(b->index, &a->addrs[i], true, err);
	return code;
}

int bridge_forget_former(const struct attachment *a, struct err *err)
{
	int code = 0;

	for (size_t i = 0; code == 0 && a->bridge[0] && i < a->n_addrs; i++)
		code = bridge_forget_neighbour(a->bridge_index, &a->addrs[i], err);
	return code;
}

/* Addresses that nobody answers for: of the attachment's at first. */
struct unanswered {
	struct addr addrs[ATTACHMENT_ADDRS_MAX];
	size_t n;
};

static void answered(const struct addr *addr, void *arg)
{
	struct unanswered *u = arg;

	for (size_t i = 0; i < u->n; i++)
		if (addr_equal(&u->addrs[i], addr))
			u->addrs[i--] = u->addrs[--u->n];
}

static int verify_settings(struct bridge *b, struct err *err)
{
	int code = bridge_read_delays(b, err);

	for (int s = 0; code == 0 && s < BRIDGE_SETTING_COUNT; s++)
		if (b->now.has[s] && b->now.v[s] != settings[s].wanted)
			code = err_set(err, ENOENT, "%s of bridge %s is %u instead of %u", settings[s].name, TEXT(b->name), b->now.v[s],
				       settings[s].wanted);
	return code;
}

int bridge_verify(const struct bridge *seen, const struct attachment *a, struct err *err)
{
	struct bridge b = *seen;
	char was[ETHER_TEXT_MAX], is[ETHER_TEXT_MAX], buf[ADDR_TEXT_MAX];
	struct unanswered u = {.n = 0};
	int code;

	if (memcmp(b.mac, a->bridge_mac, sizeof(b.mac)) != 0)
		return err_set(err, ENOENT, "MAC address of bridge %s is %s; it was %s", TEXT(b.name), ether_text(b.mac, is),
			       ether_text(a->bridge_mac, was));
	code = verify_settings(&b, err);
	for (size_t i = 0; i < a->n_addrs; i++)
		if (a->addrs[i].family == AF_INET6)
			u.addrs[u.n++] = a->addrs[i];
	if (code == 0)
		code = bridge_each_proxy(b.index, answered, &u, err);
	if (code == 0 && u.n)
		code = err_set(err, ENOENT, "bridge %s does not answer for %s", TEXT(b.name), addr_text(&u.addrs[0], buf));
	return code;
}

/* A failure here lets the bridge answer for nobody, or the node send into the void, until somebody has the address. */
void bridge_let_go(const struct attachment *a)
{
	CLEAN_FREE char *key = attachment_key(a);

	for (size_t i = 0; a->bridge[0] && i < a->n_addrs; i++) {
		CLEAN_FREE char *owner = podstore_owner_of_addr(&a->addrs[i]);

		if (owner && strcmp(owner, key) != 0)
			continue;
		bridge_forget_neighbour(a->bridge_index, &a->addrs[i], NULL);
		if (a->addrs[i].family == AF_INET6)
			bridge_proxy(a->bridge_index, &a->addrs[i], false, NULL);
	}
}

void bridge_put(struct txn *t, const struct bridge *b)
{
	txn_add_element(t, &link_bridges, key_of_ether(b->mac), NULL);
	for (size_t i = 0; i < b->n_addrs; i++)
		txn_add_element(t, &link_node[FAMILY_INDEX(&b->addrs[i])], key_of_addr(&b->addrs[i]), NULL);
}

static void put_recorded(const struct bridge_record *r, void *t)
{
	bridge_put(t, &r->bridge);
}

void bridge_put_table(struct txn *t)
{
	ruleset_put(t, TABLE_BRIDGE);
	bridge_record_each(put_recorded, t);
}

void bridge_discard(struct txn *t, const struct bridge *b)
{
	txn_discard_element(t, &link_bridges, key_of_ether(b->mac), NULL);
	for (size_t i = 0; i < b->n_addrs; i++)
		txn_discard_element(t, &link_node[FAMILY_INDEX(&b->addrs[i])], key_of_addr(&b->addrs[i]), NULL);
}

static int commit(void (*queue)(struct txn *, const struct bridge *), const struct bridge *b, struct err *err)
{
	struct txn *t = txn_new();
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	queue(t, b);
	if (code == 0)
		code = txn_commit(t, &nl, err);
	txn_free(t);
	nl_close(&nl);
	return code == -ENOENT ? 0 : code; /* no table, nothing to forget; and who makes it puts what the record says */
}

/* A writer that did not wait for the lock has put a pod there meanwhile. */
static int hold_again(const char *name, uint32_t index, struct err *err)
{
	struct bridge_record r;
	struct bridge b;
	int code = podstore_bridge_in_use(name) ? bridge_look(index, &b, err) : -ENODEV;

	if (code == -ENODEV)
		return 0;
	if (code == 0)
		code = prepare(&b, &r, err);
	return code ? code : commit(bridge_put, &r.bridge, err);
}

static void note_record(const struct bridge_record *r, void *any)
{
	(void)r;
	*(bool *)any = true;
}

static void note_port(const struct attachment *closing, void *any)
{
	*(bool *)any |= closing->bridge[0] != '\0';
}

static bool table_is_needed(void)
{
	bool needed = podstore_bridge_in_use(NULL);

	bridge_record_each(note_record, &needed);
	return needed || podstore_each_closing(note_port, NULL, &needed, NULL) < 0 || needed;
}

/*
 * The table goes with the last port of any bridge, so that those without guarded ports pay nothing. A batch of a writer that did not
 * wait for the lock may come between look and deletion; then the generation is another, and the table stays for it.
 */
static int drop_table(struct err *err)
{
	struct txn *t = txn_new();
	uint32_t generation;
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code == 0 && table_generation(&nl, &generation) == 0 && !table_is_needed()) {
		txn_only_at(t, generation);
		txn_on(t, TABLE_BRIDGE);
		txn_delete_table(t);
		code = txn_commit(t, &nl, err);
	}
	txn_free(t);
	nl_close(&nl);
	return code == -ENOENT || code == -ERESTART ? 0 : code;
}

struct heir {
	const struct bridge_record *of;
	struct bridge_record heir;
	bool found;
};

static void find_heir(const struct bridge_record *r, void *arg)
{
	struct heir *h = arg;

	if (h->found || !strcmp(r->bridge.name, h->of->bridge.name))
		return;
	h->heir = *r;
	h->found = true;
}

/* What concerns all interfaces is needed as long as any bridge has guarded ports: another one gives it back. */
static int hand_on(struct bridge_record *r, struct err *err)
{
	struct heir h = {.of = r};
	struct bridge_values *before;

	if (!r->before.has[BRIDGE_ALL_SEND_REDIRECTS])
		return 0;
	bridge_record_each(find_heir, &h);
	if (!h.found)
		return 0;
	before = &h.heir.before;
	before->has[BRIDGE_ALL_SEND_REDIRECTS] = true;
	before->v[BRIDGE_ALL_SEND_REDIRECTS] = r->before.v[BRIDGE_ALL_SEND_REDIRECTS];
	r->before.has[BRIDGE_ALL_SEND_REDIRECTS] = false;
	return bridge_record_put(&h.heir, err);
}

/* The kernel's part, and the record; that is there as long as an attachment that is not closing. */
static int give_back(const char *name, struct err *err)
{
	struct bridge_record r;
	struct bridge b;
	int code;

	if (podstore_bridge_in_use(name) || bridge_record_get(name, &r, err) < 0)
		return 0;
	code = hand_on(&r, err);
	if (code < 0)
		return code;
	code = bridge_look(r.bridge.index, &b, err);
	if (code == 0 && !strcmp(b.name, name))
		code = restore(&b, &r.before, err);
	else if (code == -ENODEV || code == -EMEDIUMTYPE)
		code = 0; /* it went, and its settings with it */
	if (code == 0)
		code = commit(bridge_discard, &r.bridge, err);
	if (code < 0)
		return code;
	bridge_record_remove(name);
	return hold_again(name, r.bridge.index, err);
}

int bridge_give_back(const char *name, struct err *err)
{
	int code = give_back(name, err);

	return code < 0 ? code : drop_table(err);
}

static void give_back_unused(const struct bridge_record *r, void *arg)
{
	(void)arg;
	bridge_give_back(r->bridge.name, NULL); /* else the next one tries again */
}

void bridge_give_back_unused(void)
{
	bridge_record_each(give_back_unused, NULL);
}

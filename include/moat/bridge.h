/* SPDX-License-Identifier: Apache-2.0 */
/* A plain bridge that has guarded ports: what it must be, and what moat changes of it while it has them. core/pod/bridge.c has the theory. */
#ifndef MOAT_BRIDGE_H
#define MOAT_BRIDGE_H

#include "moat/attachment.h"
#include "moat/txn.h"

#define BRIDGE_ADDRS_MAX 64

/* What moat sets, and gives back. */
enum bridge_setting {
	BRIDGE_PROXY_ARP_PVLAN,    /* net.ipv4.conf.<bridge>.proxy_arp_pvlan = 1 */
	BRIDGE_SEND_REDIRECTS,     /* net.ipv4.conf.<bridge>.send_redirects = 0 */
	BRIDGE_ARP_PROXY_DELAY,    /* net.ipv4.neigh.<bridge>.proxy_delay = 0, here in ms */
	BRIDGE_PROXY_NDP,          /* net.ipv6.conf.<bridge>.proxy_ndp = 1 */
	BRIDGE_ND_PROXY_DELAY,     /* net.ipv6.neigh.<bridge>.proxy_delay = 0 */
	BRIDGE_NO_LINKLOCAL_LEARN, /* ip link set <bridge> type bridge no_linklocal_learn 1 */
	BRIDGE_ALL_SEND_REDIRECTS, /* net.ipv4.conf.all.send_redirects = 0: the bridge's own counts only then; of other interfaces theirs */
	BRIDGE_SETTING_COUNT,
};

/* Values of settings; has: the bridge has such a thing (no IPv6, no IPv6 settings), or somebody asked. */
struct bridge_values {
	uint32_t v[BRIDGE_SETTING_COUNT];
	bool has[BRIDGE_SETTING_COUNT];
};

struct bridge {
	char name[IF_NAMESIZE];
	uint32_t index;
	uint8_t mac[6];
	struct addr addrs[BRIDGE_ADDRS_MAX]; /* the node's own on it, link-local ones aside */
	size_t n_addrs;
	bool vlan_filtering;
	struct bridge_values now; /* not the proxy delays: those cost a dump of their own (bridge_read_delays) */
};

/* What stands in the pod store of a bridge that has guarded ports. */
struct bridge_record {
	struct bridge bridge;        /* as pods know it: name, index, MAC, the node's addresses */
	struct bridge_values before; /* what was otherwise before moat set it */
};

const char *bridge_setting_name(enum bridge_setting s);
uint32_t bridge_setting_wanted(enum bridge_setting s);

/* -- the kernel (bridge_link.c) -- */

/* -ENODEV: no such interface; -EMEDIUMTYPE: it is no bridge. */
int bridge_look(uint32_t index, struct bridge *ret, struct err *err);
int bridge_read_delays(struct bridge *b, struct err *err);
int bridge_set(const struct bridge *b, enum bridge_setting s, uint32_t value, struct err *err);
int bridge_pin_mac(const struct bridge *b, const uint8_t mac[6], struct err *err);
/* Its first port that is no veth: "" if there is none. */
int bridge_find_foreign_port(const struct bridge *b, char ret_port[IF_NAMESIZE], char ret_kind[16], struct err *err);
/* The bridge answers neighbour solicitations for the address, or no longer does. Idempotent. */
int bridge_proxy(uint32_t index, const struct addr *addr, bool on, struct err *err);
/* The node asks again who has the address: a former owner had another MAC. Idempotent. */
int bridge_forget_neighbour(uint32_t index, const struct addr *addr, struct err *err);
/* Calls fn for every address that this bridge is a proxy for. */
typedef void (*bridge_proxy_fn)(const struct addr *addr, void *arg);
int bridge_each_proxy(uint32_t index, bridge_proxy_fn fn, void *arg, struct err *err);

/* -- the pod store (bridge_record.c) -- */

int bridge_record_get(const char *name, struct bridge_record *ret, struct err *err); /* -ENOENT; -EBADMSG names what is wrong */
int bridge_record_put(const struct bridge_record *r, struct err *err);
void bridge_record_remove(const char *name);
typedef void (*bridge_record_fn)(const struct bridge_record *r, void *arg);
void bridge_record_each(bridge_record_fn fn, void *arg); /* unreadable ones aside */

/* -- both (bridge.c) -- */

/*
 * Can moat guard a port of this bridge that has these addresses? -EOPNOTSUPP says why not and what to do: VLAN filtering, a port that
 * is no veth, no address of the node in a family of the pod.
 */
int bridge_check(const struct bridge *b, const struct attachment *a, struct err *err);

/*
 * ADD, first: the attachment's port is one of this bridge. Its MAC is the record's if there is one: a bridge that somebody has given
 * another MAC meanwhile gets it back.
 */
void bridge_join(const struct bridge *b, struct attachment *a);

/*
 * ADD, before the pod's batch, when the pod store has the attachment: remembers how the bridge was, makes it what moat needs, answers for
 * the pod's addresses.
 */
int bridge_hold(const struct bridge *b, const struct attachment *a, struct err *err);

/* ADD, after the batch, when what the pod answers is heard: the node asks anew who has its addresses. */
int bridge_forget_former(const struct attachment *a, struct err *err);

/* CHECK: is all of that still so? -ENOENT names what is not. */
int bridge_verify(const struct bridge *seen, const struct attachment *a, struct err *err);

/* DEL, first half, after the batch: nobody answers for the addresses that are still a's, and the node sends nothing there. */
void bridge_let_go(const struct attachment *a);

/* DEL, second half: gives the bridge back if no attachment is left on it. */
int bridge_give_back(const char *name, struct err *err);
void bridge_give_back_unused(void); /* every bridge of which that failed, or whose last attachment vanished from the store */

/* Queues table bridge moat, whole, with what it knows of every bridge of the pod store. */
void bridge_put_table(struct txn *t);

/* Queues what the table knows of a bridge itself, or that it forgets it. */
void bridge_put(struct txn *t, const struct bridge *b);
void bridge_discard(struct txn *t, const struct bridge *b);

#endif

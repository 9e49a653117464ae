/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wanted is more than stands: whatever any attachment of any network could have, by the function that puts it. What is missing of that
 * is nobody's business here, and what is over is no attachment's, if none has come since: the store's stamp is taken before it is
 * read and again when the kernel has been.
 */
#include "plugin/litter.h"

#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "moat/inventory.h"
#include "moat/mode.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "moat/stray.h"
#include "plugin/cni_error.h"

struct litter {
	struct inventory *inv;
	struct leftovers left;
	bool unsure; /* of an attachment that could have anything */
};

static void want(const struct attachment *a, void *arg)
{
	const char *target[DIRECTION_COUNT];
	struct litter *l = arg;
	struct txn *t = txn_new();

	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = pod_closed_target(a->mode, (enum direction)d);
	if (a->closing) {
		pod_bar_closing(t, a);
	} else {
		pod_put(t, a, target);
		pod_open_node(t, a, true);
	}
	inventory_want(l->inv, t, NULL, NULL);
	txn_free(t);
}

static void on_unreadable(const char *key, const struct err *why, void *arg)
{
	struct litter *l = arg;
	struct attachment *a = NULL;

	(void)why;
	if (strchr(key, '/') && podstore_recover(key, &a, NULL) == 0 && a->port[0])
		want(a, l);
	else
		l->unsure = true;
	attachment_free(a);
}

static void on_element(const struct inventory_object *o, struct litter *l)
{
	struct stray_element stray = {.chain = ""};
	const struct element *e = &o->element;
	enum set_owner owner;

	stray.set = ruleset_find_set(o->table, o->name, &owner);
	if (!stray.set || owner != SETS_OF_PODS || e->key_len > sizeof(stray.key.bytes) || e->data_len > sizeof(stray.value.bytes))
		return;
	stray.key.len = (uint8_t)e->key_len;
	memcpy(stray.key.bytes, e->key, e->key_len);
	stray.value.len = (uint8_t)e->data_len;
	if (e->data_len)
		memcpy(stray.value.bytes, e->data, e->data_len);
	snprintf(stray.chain, sizeof(stray.chain), "%s", e->chain);
	VEC_PUSH(&l->left.elements, stray);
}

static void on_extra(const struct inventory_object *o, void *arg)
{
	struct litter *l = arg;

	if (o->kind == INVENTORY_ELEMENT)
		on_element(o, l);
	else if (o->kind == INVENTORY_CHAIN && !ruleset_has_chain(o->table, o->name) && (o->name[0] == 'i' || o->name[0] == 'e') &&
		 o->name[1] == '-')
		VEC_PUSH(&l->left.chains, mem_strdup(o->name));
}

static void on_missing(const struct inventory_object *o, void *arg)
{
	(void)o;
	(void)arg;
}

static bool has_addr(const struct addr *addr, void *arg)
{
	CLEAN_FREE char *owner = podstore_owner_of_addr(addr);

	(void)arg;
	return owner != NULL;
}

static void on_stray(enum stray_fate fate, const char *what, const struct err *err, void *arg)
{
	(void)arg;
	switch (fate) {
	case STRAY_STAYS:
	case STRAY_PORT_STAYS:
		cni_warn("GC: %s is no attachment's in the pod store, but its link is there: closed, and kept", what);
		break;
	case STRAY_TAKEN_AWAY:
		cni_warn("GC: %s was no attachment's in the pod store, and its link is gone: taken away", what);
		break;
	case STRAY_ELEMENT_TAKEN_AWAY:
		cni_warn("GC: an element of set %s was no attachment's in the pod store: taken away", what);
		break;
	case STRAY_REFUSED:
		cni_warn("GC: %s is no attachment's in the pod store, and stays: %s", what, err->text);
		break;
	}
}

static int read_kernel(struct litter *l, struct nl *nl)
{
	int code = inventory_compare(l->inv, nl, TABLE_INET, on_extra, on_missing, l);

	return code == 0 ? inventory_compare(l->inv, nl, TABLE_BRIDGE, on_extra, on_missing, l) : code;
}

void litter_collect(void)
{
	uint64_t stamp = podstore_stamp();
	struct litter l = {.inv = inventory_new()};
	struct nl nl;
	const struct stray_judge judge = {.nl = &nl, .has_addr = has_addr, .told = on_stray};
	struct err err;

	if (nl_open(&nl, NETLINK_NETFILTER, &err) < 0)
		cni_warn("GC: %s", err.text);
	else if (podstore_each(NULL, want, on_unreadable, &l, &err) < 0)
		cni_warn("GC: %s", err.text);
	else if (!l.unsure && read_kernel(&l, &nl) == 0 && podstore_stamp() == stamp)
		stray_settle(&l.left, &judge);
	nl_close(&nl);
	leftovers_done(&l.left);
	inventory_free(l.inv);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pod/pod_link.h"

#include <string.h>

#include "moat/podstore.h"
#include "moat/ruleset.h"

static struct key key_of_mac(const struct attachment *a)
{
	return key_with_ether(key_of_port(a->port), a->mac);
}

static struct key key_of_plain(const struct attachment *a, const struct addr *addr)
{
	return key_with_addr(key_with_ether(key_with_ether(key_of_port(a->port), a->bridge_mac), a->mac), addr);
}

/* value NULL: of a plain set */
typedef void (*link_fn)(const struct set_spec *set, struct key key, const struct key *value, void *arg);

/* All elements, through one function: putting and checking cannot differ. */
static void each_element(const struct attachment *a, link_fn fn, void *arg)
{
	struct key port = key_of_port(a->port), bridge = key_of_ether(a->bridge_mac);

	if (!a->bridge[0])
		return;
	fn(&set_bridge_ports, port, NULL, arg);
	fn(&link_ports, port, NULL, arg);
	if (a->port_index)
		fn(&link_links, key_of_index(a->port_index), NULL, arg);
	if (!a->n_addrs)
		return;
	fn(&link_bridge_of_port, port, &bridge, arg);
	fn(&link_macs, key_of_mac(a), NULL, arg);
	fn(&link_pod_macs, key_of_ether(a->mac), NULL, arg);
	for (size_t i = 0; i < a->n_addrs; i++) {
		const struct addr *addr = &a->addrs[i];
		int f = FAMILY_INDEX(addr);

		fn(&link_plain[f], key_of_plain(a, addr), NULL, arg);
		fn(&link_addrs[f], key_with_addr(port, addr), NULL, arg);
		fn(&link_pods[f], key_of_addr(addr), NULL, arg);
		fn(&link_bridge_of[f], key_of_addr(addr), &bridge, arg);
	}
}

static void put_element(const struct set_spec *set, struct key key, const struct key *value, void *t)
{
	if (value)
		txn_add_mapping(t, set, key, *value);
	else
		txn_add_element(t, set, key, NULL);
}

void pod_link_put(struct txn *t, const struct attachment *a)
{
	each_element(a, put_element, t);
}

struct check {
	struct nl *nl;
	const char *port;
	struct err *err;
	int code;
};

static void check_element(const struct set_spec *set, struct key key, const struct key *value, void *arg)
{
	struct check *c = arg;
	struct key found;
	int code;

	if (c->code < 0)
		return;
	code = txn_read_mapping(c->nl, set, key, &found);
	if (code < 0)
		c->code = err_errno(c->err, -code, "set %s of table %s lacks an element of port %s", set->name, table_text(set->table), c->port);
	else if (value && memcmp(found.bytes, value->bytes, 6) != 0)
		c->code = err_set(c->err, ENOENT, "map %s of table %s has another bridge for port %s", set->name, table_text(set->table), c->port);
}

int pod_link_check(struct nl *nl, const struct attachment *a, struct err *err)
{
	struct check c = {nl, a->port, err, 0};

	if (a->bridge[0])
		c.code = ruleset_prove(nl, TABLE_BRIDGE, err);
	each_element(a, check_element, &c);
	return c.code;
}

void pod_link_discard_addr(struct txn *t, const struct attachment *a, const struct addr *addr, bool lost)
{
	int f = FAMILY_INDEX(addr);

	if (!a->bridge[0])
		return;
	txn_discard_element(t, &link_plain[f], key_of_plain(a, addr), NULL);
	txn_discard_element(t, &link_addrs[f], key_with_addr(key_of_port(a->port), addr), NULL);
	if (lost)
		return;
	txn_discard_element(t, &link_pods[f], key_of_addr(addr), NULL);
	txn_discard_mapping(t, &link_bridge_of[f], key_of_addr(addr), key_of_ether(a->bridge_mac));
}

void pod_link_discard_mac(struct txn *t, const struct attachment *a)
{
	CLEAN_FREE char *key = NULL, *owner = NULL;

	if (!a->bridge[0])
		return;
	txn_discard_element(t, &link_macs, key_of_mac(a), NULL);
	key = attachment_key(a);
	owner = podstore_owner_of_mac(a->mac);
	if (!owner || !strcmp(owner, key)) /* an administrator may give two pods one MAC, one after the other */
		txn_discard_element(t, &link_pod_macs, key_of_ether(a->mac), NULL);
}

static void delete_mapping(struct txn *t, struct nl *nl, const struct set_spec *map, struct key key)
{
	struct key value;

	if (txn_read_mapping(nl, map, key, &value) == 0)
		txn_delete_element(t, map, key);
}

void pod_link_discard_port(struct txn *t, struct nl *nl, const struct attachment *a)
{
	if (!a->bridge[0])
		return;
	txn_discard_element(t, &set_bridge_ports, key_of_port(a->port), NULL);
	txn_discard_element(t, &link_ports, key_of_port(a->port), NULL);
	delete_mapping(t, nl, &link_bridge_of_port, key_of_port(a->port));
}

static void evict_mapping(struct txn *t, struct nl *nl, const struct set_spec *map, struct key key, const uint8_t mac[6])
{
	struct key value;

	if (txn_read_mapping(nl, map, key, &value) == 0 && memcmp(value.bytes, mac, 6) != 0)
		txn_delete_element(t, map, key);
}

void pod_link_evict(struct txn *t, struct nl *nl, const struct attachment *a)
{
	if (!a->bridge[0])
		return;
	evict_mapping(t, nl, &link_bridge_of_port, key_of_port(a->port), a->bridge_mac);
	for (size_t i = 0; i < a->n_addrs; i++)
		evict_mapping(t, nl, &link_bridge_of[FAMILY_INDEX(&a->addrs[i])], key_of_addr(&a->addrs[i]), a->bridge_mac);
}

void pod_link_evict_former(struct txn *t, struct nl *nl, const struct attachment *a, const struct attachment *former)
{
	for (size_t i = 0; former->bridge[0] && i < former->n_addrs; i++) {
		const struct addr *addr = &former->addrs[i];

		if (!attachment_has_addr(a, addr))
			continue;
		pod_link_discard_addr(t, former, addr, true);
		if (a->bridge[0]) /* pod_link_evict has the rest */
			continue;
		txn_discard_element(t, &link_pods[FAMILY_INDEX(addr)], key_of_addr(addr), NULL);
		delete_mapping(t, nl, &link_bridge_of[FAMILY_INDEX(addr)], key_of_addr(addr));
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel answers. The first byte chooses the question, the rest are the records of kernel.h. The kernel is trusted, but an
 * answer that is cut, empty or of another version must be an error or nothing, not memory that is not ours.
 */
#include <linux/netlink.h>
#include <string.h>

#include "moat/bridge.h"
#include "moat/conntrack.h"
#include "moat/dump.h"
#include "moat/inventory.h"
#include "moat/link.h"
#include "moat/pod.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "tests/build.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/kernel.h"

static struct nl nl;
static volatile size_t touched; /* what is handed to us is read, so that a sanitizer sees it */

static void ask_link(void)
{
	struct link link;
	struct err err;

	if (link_by_index(17, &link, &err) == 0)
		FUZZ_CHECK(link.index && memchr(link.name, 0, sizeof(link.name)) && memchr(link.kind, 0, sizeof(link.kind)));
}

static void ask_port(void)
{
	struct link port;
	struct err err;

	if (link_port_of("/proc/self/ns/net", "eth0", &port, &err) == 0)
		FUZZ_CHECK(!strcmp(port.kind, "veth") && port.peer_index && port.peer_nsid >= 0);
	else
		FUZZ_CHECK(err.code && err.text[0]);
}

static void ask_route(void)
{
	struct addr a = build_addr("10.0.0.1");

	touched = link_addr_is_local(&a);
}

static void on_name(const char *name, void *arg)
{
	(void)arg;
	touched += strlen(name);
}

static void ask_names(void)
{
	dump_chains(&nl, on_name, NULL);
	dump_sets(&nl, on_name, NULL);
}

static void on_key(const void *key, size_t len, void *arg)
{
	(void)arg;
	FUZZ_CHECK(len > 0);
	for (size_t i = 0; i < len; i++)
		touched += ((const uint8_t *)key)[i];
}

static void ask_elements(void)
{
	dump_elements(&nl, "ports", on_key, NULL);
}

static void ask_counter(void)
{
	touched += (size_t)dump_counter(&nl, "lost");
}

static void ask_verdict(void)
{
	struct addr a = build_addr("10.0.0.1");
	char chain[CHAIN_NAME_MAX];
	struct key value;

	if (txn_read_verdict(&nl, &map_to_pod[0], key_of_addr(&a), chain) == 0)
		FUZZ_CHECK(memchr(chain, 0, sizeof(chain)));
	if (txn_read_mapping(&nl, &map_to_pod[0], key_of_addr(&a), &value) == 0)
		FUZZ_CHECK(value.len <= sizeof(value.bytes));
}

/* Nobody's bytes are the ruleset's: the tags of all rules cannot be guessed. */
static void ask_proof(void)
{
	struct err err;

	FUZZ_CHECK(ruleset_prove(&nl, TABLE_INET, &err) < 0 && err.code && err.text[0]);
}

static void ask_connections(void)
{
	const struct conntrack_place places[] = {
		{build_addr("10.0.0.1"), CONNTRACK_SOURCE},
		{build_addr("fd00::1"), CONNTRACK_REPLY_SOURCE},
		{build_addr("10.0.0.0"), CONNTRACK_DESTINATION},
	};
	struct conntrack_entries found = {0};
	struct conntrack ct;
	struct err err;
	size_t deleted;

	FUZZ_CHECK(conntrack_open(&ct, &err) == 0);
	if (conntrack_find(&ct, places, ARRAY_SIZE(places), &found, &err) < 0)
		FUZZ_CHECK(err.code && err.text[0]);
	for (size_t i = 0; i < found.n; i++)
		touched += found.v[i].flow.source_port;
	if (conntrack_delete(&ct, found.v, found.n, &deleted, &err) < 0)
		FUZZ_CHECK(err.code && err.text[0]);
	FUZZ_CHECK(deleted <= found.n);
	free(found.v);
	conntrack_close(&ct);
}

static void commit(void)
{
	struct txn *t = txn_new();
	struct err err = {0};
	int code;

	txn_add_table(t);
	txn_add_chain(t, "c", NULL);
	rule_begin(t, "c");
	rule_drop(t);
	rule_end(t);
	code = txn_commit(t, &nl, &err);
	FUZZ_CHECK(code == 0 || (code < 0 && err.code == -code && err.text[0]));
	txn_free(t);
}

static void check_pod(void)
{
	struct attachment *a = build_attachment("c1", "a", "p", "10.0.0.1,fd00::1");
	struct err err;

	FUZZ_CHECK(pod_check(a, &err) < 0);
	if (pod_ruleset_supported(&err) < 0)
		FUZZ_CHECK(err.code);
	attachment_free(a);
}

static void ask_bridge(void)
{
	struct bridge bridge;
	struct err err;

	if (bridge_look(17, &bridge, &err) < 0) {
		FUZZ_CHECK(err.code && err.text[0]);
		return;
	}
	FUZZ_CHECK(memchr(bridge.name, 0, sizeof(bridge.name)) && bridge.n_addrs <= BRIDGE_ADDRS_MAX);
	if (bridge_read_delays(&bridge, &err) < 0)
		FUZZ_CHECK(err.code && err.text[0]);
}

static void ask_bridge_ports(void)
{
	const struct bridge bridge = {.index = 17, .name = "cni0"};
	char port[IF_NAMESIZE], kind[16];
	struct err err;

	if (bridge_find_foreign_port(&bridge, port, kind, &err) == 0)
		FUZZ_CHECK(memchr(port, 0, sizeof(port)) && memchr(kind, 0, sizeof(kind)));
	else
		FUZZ_CHECK(err.code && err.text[0]);
}

static void on_proxy(const struct addr *addr, void *arg)
{
	(void)arg;
	FUZZ_CHECK(addr->family == AF_INET || addr->family == AF_INET6);
	touched += addr->bytes[addr_len(addr) - 1];
}

static void ask_proxies(void)
{
	struct err err;

	if (bridge_each_proxy(17, on_proxy, NULL, &err) < 0)
		FUZZ_CHECK(err.code && err.text[0]);
}

static void on_object(const struct inventory_object *o, void *arg)
{
	const uint8_t *key = o->element.key;

	(void)arg;
	touched += strlen(o->name);
	for (size_t i = 0; key && i < o->element.key_len; i++)
		touched += key[i];
	touched += o->element.chain ? strlen(o->element.chain) : 0;
}

static void ask_inventory(void)
{
	struct inventory *inv = inventory_new();
	struct txn *t = txn_new();

	ruleset_put(t, TABLE_INET);
	inventory_want(inv, t, NULL, NULL);
	txn_free(t);
	inventory_compare(inv, &nl, TABLE_INET, on_object, on_object, NULL);
	inventory_free(inv);
}

static void run(const uint8_t *data, size_t len)
{
	static void (*const questions[])(void) = {ask_link, ask_port, ask_route, ask_names, ask_elements, ask_counter, ask_verdict,
						  ask_proof, ask_connections, commit, check_pod, ask_bridge, ask_bridge_ports,
						  ask_proxies, ask_inventory};

	if (!len)
		return;
	fuzz_kernel_says(data + 1, len - 1);
	FUZZ_CHECK(nl_open(&nl, NETLINK_NETFILTER, NULL) == 0);
	questions[data[0] % ARRAY_SIZE(questions)]();
	nl_close(&nl);
}

const struct fuzz_target fuzz_netlink = {"netlink", NULL, run};

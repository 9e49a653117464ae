/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bare.h"

#include <linux/netlink.h>
#include <stdio.h>

#include "bench/cluster.h"
#include "bench/sample.h"
#include "moat/pod.h"
#include "moat/rule.h"
#include "moat/ruleset.h"

#define PORTS 10

struct names {
	char set[CHAIN_NAME_MAX], map[CHAIN_NAME_MAX], group[CHAIN_NAME_MAX], profile[CHAIN_NAME_MAX];
};

/* As long as the daemon's. */
static struct names names_of(unsigned round)
{
	struct names n;

	snprintf(n.set, sizeof(n.set), "a4-%x-00000000", round);
	snprintf(n.map, sizeof(n.map), "m-%x-00000000", round);
	snprintf(n.group, sizeof(n.group), "gid-%x-00000000", round);
	snprintf(n.profile, sizeof(n.profile), "p-%x-00000000", round);
	return n;
}

static void commit(struct nl *nl, struct txn *t)
{
	struct err err;

	if (txn_commit(t, nl, &err) < 0) {
		fprintf(stderr, "bench policy: %s\n", err.text);
		exit(1);
	}
	txn_free(t);
}

static struct txn *prepare(const struct names *n, unsigned members)
{
	struct set_spec set = {.name = n->set, .fields = {FIELD_IPV4}};
	struct set_spec map = {.name = n->map, .fields = {FIELD_PORT, FIELD_PROTOCOL}, .flags = SET_VERDICT};
	struct txn *t = txn_new();

	txn_add_set(t, &set);
	for (unsigned i = 0; i < members; i++) {
		struct addr a = {.family = AF_INET, .bytes = {10, 200, (uint8_t)(i >> 8), (uint8_t)i}};

		txn_add_element(t, &set, key_of_addr(&a), NULL);
	}
	txn_add_chain(t, n->group, NULL);
	txn_add_chain(t, n->profile, NULL);
	txn_add_set(t, &map);
	for (uint16_t port = 0; port < PORTS; port++)
		txn_add_element(t, &map, key_with_protocol(key_with_port((struct key){.len = 0}, port), 6), n->group);
	return t;
}

static struct txn *swap(const struct names *n, const struct attachment *pod)
{
	struct txn *t = txn_new();

	rule_begin(t, n->group);
	rule_load_saddr(t, AF_INET);
	rule_in(t, n->set);
	rule_return(t);
	rule_end(t);
	rule_begin(t, n->group);
	rule_goto(t, CHAIN_DENY_INGRESS);
	rule_end(t);
	rule_begin(t, n->profile);
	rule_load_dport(t);
	rule_load_l4proto(t);
	rule_vmap(t, n->map);
	rule_end(t);
	rule_begin(t, n->profile);
	rule_goto(t, CHAIN_DENY_INGRESS);
	rule_end(t);
	pod_put_target(t, pod, INGRESS, n->profile);
	pod_put_target(t, pod, EGRESS, CHAIN_DENY_EGRESS);
	return t;
}

/* Of a pod that goes to it no more. */
static struct txn *clean(const struct names *n)
{
	struct txn *t = txn_new();

	txn_flush_chain(t, n->profile);
	txn_delete_chain(t, n->profile);
	txn_delete_set(t, n->map);
	txn_flush_chain(t, n->group);
	txn_delete_chain(t, n->group);
	txn_delete_set(t, n->set);
	return t;
}

double bare_change(unsigned round, unsigned namespace, unsigned members)
{
	struct names n = names_of(round);
	struct attachment pod;
	struct err err;
	struct nl nl;
	double began, took;

	cluster_local(namespace, &pod);
	if (nl_open(&nl, NETLINK_NETFILTER, &err) < 0) {
		fprintf(stderr, "bench policy: %s\n", err.text);
		exit(1);
	}
	began = sample_now_ms();
	commit(&nl, prepare(&n, members));
	commit(&nl, swap(&n, &pod));
	took = sample_now_ms() - began;
	if (round >= CLUSTER_LOCALS) { /* the last that this pod went to */
		struct names before = names_of(round - CLUSTER_LOCALS);

		commit(&nl, clean(&before));
	}
	attachment_done(&pod);
	nl_close(&nl);
	return took;
}

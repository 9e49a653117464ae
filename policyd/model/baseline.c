/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entities to rules. An entity is a name for rules that everybody would write, whose peers move:
 *
 *	dns        pods with k8s-app=kube-dns in kube-system, as kubeadm, kind, k3s and the large clouds label them, whatever runs
 *	           in them; others are a matter of two rules. Both sides: what a client may send is denied by a closed server else.
 *	           Hosts ask them too (node-local caches, hostNetwork pods). Where they ask is their own matter: a rule
 *	apiserver  behind Service default/kubernetes, after destination NAT: endpoints, not the Service's address
 *	nodes      a peer of its own kind (PEER_NODES), since nodes come and go: members of a set, not of a definition
 */
#include "policyd/model/baseline.h"

#include <netinet/in.h>
#include <string.h>

#define DNS_PORT 53

static struct policy_rule *add_rule(struct baseline_rule *to, enum direction d)
{
	struct policy *policy = &to->policy->policy;

	policy->isolates[d] = true;
	VEC_PUSH(&policy->rules[d], ((struct policy_rule){.any_port = true}));
	return &policy->rules[d].v[policy->rules[d].n - 1];
}

static void add_port(struct policy_rule *rule, uint8_t protocol, uint16_t port)
{
	rule->any_port = false;
	VEC_PUSH(&rule->ports, ((struct policy_port){.protocol = protocol, .first = port, .last = port}));
}

static void add_block(struct policy_rule *rule, const struct addr *addr)
{
	struct policy_peer peer = {.kind = PEER_BLOCK, .block = {.base = *addr, .prefix = addr_bits(addr)}};

	VEC_PUSH(&rule->peers, peer);
}

static void add_peer(struct policy_rule *rule, enum peer_kind kind)
{
	VEC_PUSH(&rule->peers, ((struct policy_peer){.kind = kind, .any_namespace_selector = kind == PEER_PODS}));
}

static void select_dns(struct selector *namespaces, struct selector *pods)
{
	static const char *const ns[] = {"kube-system"}, *const app[] = {"kube-dns"};

	selector_add(namespaces, "kubernetes.io/metadata.name", OP_IN, ns, 1);
	selector_add(pods, "k8s-app", OP_IN, app, 1);
}

struct baseline_rule baseline_rule_named(const char *name)
{
	return (struct baseline_rule){.policy = object_new(KIND_POLICY, NULL, name)};
}

static void ask_port(struct policy_rule *rule)
{
	add_port(rule, IPPROTO_UDP, DNS_PORT);
	add_port(rule, IPPROTO_TCP, DNS_PORT);
}

void baseline_add_dns(struct baseline *b, const struct addr *addrs, size_t n)
{
	struct baseline_rule client = baseline_rule_named("dns"), server = baseline_rule_named("dns");
	struct policy_rule *rule = add_rule(&client, EGRESS);
	struct policy_peer *servers;

	ask_port(rule);
	add_peer(rule, PEER_PODS);
	servers = &rule->peers.v[0];
	select_dns(&servers->namespaces, &servers->pods);
	for (size_t i = 0; i < n; i++)
		add_block(rule, &addrs[i]);

	select_dns(&server.namespaces, &server.policy->policy.pods);
	rule = add_rule(&server, INGRESS);
	ask_port(rule);
	add_peer(rule, PEER_PODS);
	add_peer(rule, PEER_NODES);
	VEC_PUSH(&b->rules, client);
	VEC_PUSH(&b->rules, server);
}

struct baseline_rule baseline_apiserver(void)
{
	return baseline_rule_named("apiserver");
}

void baseline_apiserver_add(struct baseline_rule *to, const struct addr *addrs, size_t n_addrs, const uint16_t *ports, size_t n_ports)
{
	struct policy_rule *rule;

	if (!n_addrs || !n_ports)
		return;
	rule = add_rule(to, EGRESS);
	for (size_t i = 0; i < n_addrs; i++)
		add_block(rule, &addrs[i]);
	for (size_t i = 0; i < n_ports; i++)
		add_port(rule, IPPROTO_TCP, ports[i]);
}

void baseline_add_nodes(struct baseline *b)
{
	struct baseline_rule nodes = baseline_rule_named("nodes");

	add_peer(add_rule(&nodes, INGRESS), PEER_NODES);
	VEC_PUSH(&b->rules, nodes);
}

void baseline_rule_done(struct baseline_rule *rule)
{
	selector_done(&rule->namespaces);
	object_free(rule->policy);
	rule->policy = NULL;
}

void baseline_free(struct baseline *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->rules.n; i++)
		baseline_rule_done(&b->rules.v[i]);
	VEC_DONE(&b->rules);
	free(b);
}

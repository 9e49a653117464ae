/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A baseline file's document to rules. An entity is a name for rules that everybody would write, whose peers move:
 *
 *	dns        pods with k8s-app=kube-dns in kube-system, as kubeadm, kind, k3s and the large clouds label them, whatever runs
 *	           in them; others are a matter of two rules. Both sides: what a client may send is denied by a closed server else.
 *	           Hosts ask them too (node-local caches, hostNetwork pods). Where they ask is their own matter: a rule
 *	apiserver  behind Service default/kubernetes, after destination NAT: endpoints, not the Service's address
 *	nodes      a peer of its own kind (PEER_NODES), since nodes come and go: members of a set, not of a definition
 */
#include "policyd/baseline.h"

#include <netinet/in.h>
#include <string.h>

#include "policyd/decode_internal.h"

#define VERSION "moat.cni/v1"
#define NODE_LOCAL_DNS "169.254.20.10" /* https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/ */
#define DNS_PORT 53
#define API_SERVER_PORT 6443

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

static struct baseline_rule rule_named(const char *name)
{
	return (struct baseline_rule){.policy = object_new(KIND_POLICY, NULL, name)};
}

static void ask_port(struct policy_rule *rule)
{
	add_port(rule, IPPROTO_UDP, DNS_PORT);
	add_port(rule, IPPROTO_TCP, DNS_PORT);
}

static void take_dns(struct baseline *b, const struct addr *addrs, size_t n)
{
	struct baseline_rule client = rule_named("dns"), server = rule_named("dns");
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
	return rule_named("apiserver");
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

static void take_nodes(struct baseline *b)
{
	struct baseline_rule nodes = rule_named("nodes");

	add_peer(add_rule(&nodes, INGRESS), PEER_NODES);
	VEC_PUSH(&b->rules, nodes);
}

struct addr_list {
	struct addr *v;
	size_t n, cap;
};

/* Absent: `preset`, if there is one. */
static void decode_addresses(struct decode *d, const struct doc *entity, const char *preset, struct addr_list *ret)
{
	const struct doc *list = decode_field(d, entity, "addresses", DOC_LIST);
	size_t mark = decode_enter(d, "addresses");
	struct addr addr;
	struct err err;

	if (!doc_get(entity, "addresses") && preset && addr_parse(preset, &addr, &err) == 0)
		VEC_PUSH(ret, addr);
	if (list && list->n > BASELINE_ADDRESSES_MAX)
		decode_error(d, list, "has %zu elements; at most %d", list->n, BASELINE_ADDRESSES_MAX);
	for (size_t i = 0; list && i < list->n && i < BASELINE_ADDRESSES_MAX; i++) {
		size_t inner = decode_enter_item(d, i);

		if (decode_expect(d, &list->items[i], DOC_STRING)) {
			if (addr_parse(list->items[i].text, &addr, &err) < 0)
				decode_error(d, &list->items[i], "%s", err.text);
			else
				VEC_PUSH(ret, addr);
		}
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

static void decode_apiserver(struct decode *d, const struct doc *entity, struct baseline *b)
{
	const struct doc *port = doc_get(entity, "port");
	struct addr_list addrs = {0};
	uint16_t number = API_SERVER_PORT;
	size_t mark = decode_enter(d, "port");

	if (port)
		decode_port_number(d, port, &number);
	if (port && !doc_get(entity, "addresses"))
		decode_error(d, port, "goes with addresses: without them the cluster's endpoints are known with theirs");
	decode_leave(d, mark);
	decode_addresses(d, entity, NULL, &addrs);
	if (addrs.n) {
		struct baseline_rule rule = baseline_apiserver();

		baseline_apiserver_add(&rule, addrs.v, addrs.n, &number, 1);
		VEC_PUSH(&b->rules, rule);
	} else if (!doc_get(entity, "addresses")) {
		b->apiserver = true;
	}
	VEC_DONE(&addrs);
}

static void decode_dns(struct decode *d, const struct doc *entity, struct baseline *b)
{
	struct addr_list addrs = {0};

	decode_addresses(d, entity, NODE_LOCAL_DNS, &addrs);
	take_dns(b, addrs.v, addrs.n);
	VEC_DONE(&addrs);
}

enum entity { ENTITY_DNS, ENTITY_APISERVER, ENTITY_NODES, ENTITY_COUNT };

static void decode_entity(struct decode *d, const struct doc *item, struct baseline *b, bool seen[ENTITY_COUNT])
{
	static const char *const names[ENTITY_COUNT] = {"dns", "apiserver", "nodes"};
	static const char *const known[ENTITY_COUNT][4] = {
		[ENTITY_DNS] = {"name", "addresses"}, [ENTITY_APISERVER] = {"name", "addresses", "port"}, [ENTITY_NODES] = {"name"}};
	const char *name;
	int entity = 0;

	if (!decode_expect(d, item, DOC_MAP))
		return;
	name = decode_string(d, item, "name");
	while (entity < ENTITY_COUNT && (!name || strcmp(name, names[entity]) != 0))
		entity++;
	if (entity == ENTITY_COUNT || seen[entity]) {
		decode_error(d, item, entity == ENTITY_COUNT ? "has no name of an entity; there are dns, apiserver, nodes" : "is there already");
		return;
	}
	seen[entity] = true;
	decode_known_fields(d, item, known[entity]);
	if (entity == ENTITY_DNS)
		decode_dns(d, item, b);
	else if (entity == ENTITY_APISERVER)
		decode_apiserver(d, item, b);
	else
		take_nodes(b);
}

static void decode_rule(struct decode *d, const struct doc *item, size_t index, struct baseline *b)
{
	static const char *const known[] = {"namespaceSelector", "podSelector", "ingress", "egress", NULL};
	CLEAN_FREE char *name = mem_printf("rules[%zu]", index), *excess = NULL;
	struct baseline_rule rule = rule_named(name);
	const struct doc *namespaces;
	size_t mark;

	if (decode_expect(d, item, DOC_MAP)) {
		decode_known_fields(d, item, known);
		excess = decode_policy_excess(item);
		if (excess)
			decode_error(d, item, "%s", excess);
		namespaces = decode_field(d, item, "namespaceSelector", DOC_MAP);
		mark = decode_enter(d, "namespaceSelector");
		if (namespaces)
			decode_selector(d, namespaces, &rule.namespaces);
		decode_leave(d, mark);
		if (!excess)
			decode_policy_rules(d, item, &rule.policy->policy);
		if (!doc_get(item, "ingress") && !doc_get(item, "egress"))
			decode_error(d, item, "allows nothing; write ingress or egress");
	}
	VEC_PUSH(&b->rules, rule);
}

static bool is_baseline(struct decode *d, const struct doc *root)
{
	const char *kind, *version;

	if (!decode_expect(d, root, DOC_MAP))
		return false;
	kind = decode_string(d, root, "kind");
	version = decode_string(d, root, "apiVersion");
	if (kind && version && !strcmp(kind, "Baseline") && !strcmp(version, VERSION))
		return true;
	decode_error(d, root, "is no baseline; it begins with apiVersion: " VERSION ", kind: Baseline");
	return false;
}

struct baseline *baseline_decode(const struct doc *root, struct decode_result *result)
{
	static const char *const known[] = {"apiVersion", "kind", "metadata", "entities", "rules", NULL};
	struct decode d = {.result = result, .what = "Baseline"};
	struct baseline *b = mem_zalloc(sizeof(*b));
	const struct doc *entities = NULL, *rules = NULL;
	bool seen[ENTITY_COUNT] = {false};

	if (is_baseline(&d, root)) {
		decode_known_fields(&d, root, known);
		entities = decode_field(&d, root, "entities", DOC_LIST);
		rules = decode_field(&d, root, "rules", DOC_LIST);
	}
	for (size_t i = 0; entities && i < entities->n; i++) {
		size_t mark = decode_enter(&d, "entities");

		decode_enter_item(&d, i);
		decode_entity(&d, &entities->items[i], b, seen);
		decode_leave(&d, mark);
	}
	if (rules && rules->n > BASELINE_RULES_MAX)
		decode_error(&d, rules, "rules has %zu elements; at most %d", rules->n, BASELINE_RULES_MAX);
	for (size_t i = 0; rules && i < rules->n && i < BASELINE_RULES_MAX; i++) {
		size_t mark = decode_enter(&d, "rules");

		decode_enter_item(&d, i);
		decode_rule(&d, &rules->items[i], i, b);
		decode_leave(&d, mark);
	}
	if (!d.failed)
		return b;
	baseline_free(b);
	return NULL;
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

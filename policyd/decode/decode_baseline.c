/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/decode/decode_baseline.h"

#include <string.h>

#include "policyd/decode/decode_internal.h"

#define VERSION "moat.cni/v1"
#define NODE_LOCAL_DNS "169.254.20.10" /* https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/ */
#define API_SERVER_PORT 6443

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
	baseline_add_dns(b, addrs.v, addrs.n);
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
		baseline_add_nodes(b);
}

static void decode_rule(struct decode *d, const struct doc *item, size_t index, struct baseline *b)
{
	static const char *const known[] = {"namespaceSelector", "podSelector", "ingress", "egress", NULL};
	CLEAN_FREE char *name = mem_printf("rules[%zu]", index), *excess = NULL;
	struct baseline_rule rule = baseline_rule_named(name);
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

struct baseline *decode_baseline(const struct doc *root, struct decode_result *result)
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkPolicy, networking.k8s.io/v1. In this API less text means more access: a rule without `from` admits everyone, a
 * peer without selectors would too. So everything between spec and a selector's values is strict: an unknown field, a null
 * element or a value that cannot be read is an error, and the policy is not used.
 */
#include <string.h>

#include "moat/mode.h"
#include "moat/text.h"
#include "policyd/model/bounds.h"
#include "policyd/decode/decode_internal.h"

/* `null` as an element would be the zero value to the API's decoder: a rule or peer that restricts nothing. */
static bool is_element(struct decode *d, const struct doc *item)
{
	if (item->kind == DOC_NULL) {
		decode_error(d, item, "is null; write what it should allow, or remove it");
		return false;
	}
	return decode_expect(d, item, DOC_MAP);
}

static void decode_excepts(struct decode *d, const struct doc *list, struct policy_peer *ret)
{
	char outer[BLOCK_TEXT_MAX];
	size_t mark = decode_enter(d, "except");

	for (size_t i = 0; list && i < list->n; i++) {
		const struct doc *item = &list->items[i];
		size_t inner = decode_enter_item(d, i);
		struct block except;

		if (decode_block(d, item, &except)) {
			if (except.prefix > ret->block.prefix && addr_in_block(&except.base, &ret->block))
				VEC_PUSH(&ret->excepts, except);
			else
				decode_error(d, item, "%s is not strictly within %s", TEXT(item->text),
					     addr_block_text(&ret->block, outer));
		}
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

static void decode_ip_block(struct decode *d, const struct doc *map, struct policy_peer *ret)
{
	static const char *const known[] = {"cidr", "except", NULL};
	const struct doc *cidr = doc_get(map, "cidr");
	const struct doc *excepts = decode_field(d, map, "except", DOC_LIST);
	size_t mark;
	bool good = false;

	decode_known_fields(d, map, known);
	mark = decode_enter(d, "cidr");
	if (cidr)
		good = decode_block(d, cidr, &ret->block);
	else
		decode_error(d, map, "is missing; write it as address/prefix");
	decode_leave(d, mark);
	if (good) {
		ret->kind = PEER_BLOCK;
		decode_excepts(d, excepts, ret);
	}
}

static void decode_peer_selector(struct decode *d, const struct doc *map, const char *field, struct selector *ret)
{
	size_t mark;

	if (!map)
		return;
	mark = decode_enter(d, field);
	decode_selector(d, map, ret);
	decode_leave(d, mark);
}

static void decode_peer(struct decode *d, const struct doc *item, struct policy_peer *ret)
{
	static const char *const known[] = {"podSelector", "namespaceSelector", "ipBlock", NULL};
	const struct doc *pods, *namespaces, *block;

	if (!is_element(d, item))
		return;
	decode_known_fields(d, item, known);
	pods = decode_field(d, item, "podSelector", DOC_MAP);
	namespaces = decode_field(d, item, "namespaceSelector", DOC_MAP);
	block = decode_field(d, item, "ipBlock", DOC_MAP);
	if (block && (pods || namespaces)) {
		decode_error(d, item, "has ipBlock and a selector; make two peers of it");
	} else if (block) {
		size_t mark = decode_enter(d, "ipBlock");

		decode_ip_block(d, block, ret);
		decode_leave(d, mark);
	} else if (pods || namespaces) {
		ret->kind = PEER_PODS;
		ret->any_namespace_selector = namespaces != NULL;
		decode_peer_selector(d, pods, "podSelector", &ret->pods);
		decode_peer_selector(d, namespaces, "namespaceSelector", &ret->namespaces);
	} else {
		decode_error(d, item, "names no peer; use podSelector, namespaceSelector or ipBlock");
	}
}

static void decode_named_port(struct decode *d, const struct doc *port, struct policy_port *ret)
{
	if (text_is_port_name(port->text)) {
		ret->name = mem_strdup(port->text);
		return;
	}
	if (port->text[0] && strspn(port->text, "0123456789") == strlen(port->text))
		decode_error(d, port, "\"%s\" is a string; write the number without quotes", TEXT(port->text));
	else
		decode_error(d, port,
			     "\"%s\" is not a port name; use at most 15 of a-z, 0-9 and '-', with a letter, or a number",
			     TEXT(port->text));
}

static void decode_end_port(struct decode *d, const struct doc *map, struct policy_port *ret)
{
	const struct doc *end = doc_get(map, "endPort");
	size_t mark;
	uint16_t last;

	if (!end)
		return;
	mark = decode_enter(d, "endPort");
	if (!doc_get(map, "port") || ret->name)
		decode_error(d, end, "needs port to be a number");
	else if (decode_port_number(d, end, &last) && last < ret->first)
		decode_error(d, end, "%u is below port %u", last, ret->first);
	else
		ret->last = last;
	decode_leave(d, mark);
}

static void decode_port(struct decode *d, const struct doc *item, struct policy_port *ret)
{
	static const char *const known[] = {"protocol", "port", "endPort", NULL};
	const struct doc *port;
	size_t mark;

	if (!is_element(d, item))
		return;
	decode_known_fields(d, item, known);
	decode_protocol(d, item, &ret->protocol);
	port = doc_get(item, "port");
	mark = decode_enter(d, "port");
	if (!port)
		ret->last = UINT16_MAX;
	else if (port->kind == DOC_STRING)
		decode_named_port(d, port, ret);
	else if (decode_port_number(d, port, &ret->first))
		ret->last = ret->first;
	decode_leave(d, mark);
	decode_end_port(d, item, ret);
}

static void decode_rule(struct decode *d, const struct doc *item, enum direction direction, struct policy_rule *ret)
{
	const char *const peers_key = direction == INGRESS ? "from" : "to";
	const char *const known[] = {peers_key, "ports", NULL};
	const struct doc *peers, *ports;
	size_t mark;

	if (!is_element(d, item))
		return;
	decode_known_fields(d, item, known);
	peers = decode_field(d, item, peers_key, DOC_LIST);
	ports = decode_field(d, item, "ports", DOC_LIST);
	ret->any_peer = !peers || peers->n == 0;
	ret->any_port = !ports || ports->n == 0;

	mark = decode_enter(d, peers_key);
	for (size_t i = 0; peers && i < peers->n; i++) {
		struct policy_peer peer = {.kind = PEER_NOTHING};
		size_t inner = decode_enter_item(d, i);

		decode_peer(d, &peers->items[i], &peer);
		VEC_PUSH(&ret->peers, peer);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);

	mark = decode_enter(d, "ports");
	for (size_t i = 0; ports && i < ports->n; i++) {
		struct policy_port port = {0};
		size_t inner = decode_enter_item(d, i);

		decode_port(d, &ports->items[i], &port);
		VEC_PUSH(&ret->ports, port);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

static void decode_rules(struct decode *d, const struct doc *spec, enum direction direction, struct policy *ret)
{
	const struct doc *list = decode_field(d, spec, direction_name(direction), DOC_LIST);
	size_t mark = decode_enter(d, direction_name(direction));

	for (size_t i = 0; list && i < list->n; i++) {
		struct policy_rule rule = {0};
		size_t inner = decode_enter_item(d, i);

		decode_rule(d, &list->items[i], direction, &rule);
		VEC_PUSH(&ret->rules[direction], rule);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

/* Absent or empty: Ingress, and Egress if there is any egress rule (SetDefaults_NetworkPolicy). */
static void decode_policy_types(struct decode *d, const struct doc *spec, struct policy *ret)
{
	const struct doc *list = decode_field(d, spec, "policyTypes", DOC_LIST);
	size_t mark = decode_enter(d, "policyTypes");

	if (!list || list->n == 0) {
		ret->isolates[INGRESS] = true;
		ret->isolates[EGRESS] = ret->rules[EGRESS].n > 0;
	} else if (list->n > 2) {
		decode_error(d, list, "has %zu elements; at most Ingress and Egress", list->n);
	}
	for (size_t i = 0; list && i < list->n && i < 2; i++) {
		const struct doc *item = &list->items[i];
		size_t inner = decode_enter_item(d, i);

		if (!decode_expect(d, item, DOC_STRING)) {
			decode_leave(d, inner);
			continue;
		}
		if (!strcmp(item->text, "Ingress"))
			ret->isolates[INGRESS] = true;
		else if (!strcmp(item->text, "Egress"))
			ret->isolates[EGRESS] = true;
		else
			decode_error(d, item, "\"%s\" is not a policy type; use Ingress or Egress", TEXT(item->text));
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

/* Rules of a direction that policyTypes leaves out mean nothing: validated, told, dropped. */
static void drop_unused_rules(struct decode *d, const struct doc *spec, struct policy *policy)
{
	for (enum direction i = INGRESS; i < DIRECTION_COUNT; i++) {
		size_t mark;

		if (policy->isolates[i] || policy->rules[i].n == 0)
			continue;
		mark = decode_enter(d, direction_name(i));
		decode_warn(d, spec, "has rules, but policyTypes does not name this direction; they have no effect");
		decode_leave(d, mark);
		policy_drop_rules(policy, i);
	}
}

static const struct doc *policy_spec(struct decode *d, const struct doc *root)
{
	return decode_field(d, root, "spec", DOC_MAP);
}

static void warn_unknown_top_level(struct decode *d, const struct doc *root)
{
	static const char *const known[] = {"apiVersion", "kind", "metadata", "spec", "status"};

	for (size_t i = 0; i < root->n; i++) {
		bool found = false;
		size_t mark;

		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			found |= !strcmp(root->keys[i], known[k]);
		if (found)
			continue;
		mark = decode_enter(d, TEXT(root->keys[i]));
		decode_warn(d, &root->items[i], "is not a known field; it has no effect");
		decode_leave(d, mark);
	}
}

/* Only whom it selects is read: they are closed. Without a selector that may be read, everyone is. */
static void decode_excess(struct decode *d, const struct doc *spec, struct policy *policy)
{
	const struct doc *pods = doc_get(spec, "podSelector");
	size_t mark = decode_enter(d, "spec");

	decode_warn(d, spec, "%s: the pods that it selects are closed", policy->excess);
	if (pods && decode_text_bytes(pods) <= POLICY_SELECTOR_BYTES_MAX && decode_expect(d, pods, DOC_MAP))
		decode_peer_selector(d, pods, "podSelector", &policy->pods);
	for (int i = 0; i < DIRECTION_COUNT; i++)
		policy->isolates[i] = true;
	decode_leave(d, mark);
}

void decode_policy(struct decode *d, const struct doc *root, struct object *obj)
{
	static const char *const known[] = {"podSelector", "policyTypes", "ingress", "egress", NULL};
	struct policy *policy = &obj->policy;
	const struct doc *spec = policy_spec(d, root), *pods;
	size_t mark;

	warn_unknown_top_level(d, root);
	policy->excess = decode_policy_excess(spec);
	if (policy->excess) {
		decode_excess(d, spec, policy);
		return;
	}
	mark = decode_enter(d, "spec");
	if (spec)
		decode_known_fields(d, spec, known);
	pods = decode_field(d, spec, "podSelector", DOC_MAP);
	decode_peer_selector(d, pods, "podSelector", &policy->pods);
	decode_rules(d, spec, INGRESS, policy);
	decode_rules(d, spec, EGRESS, policy);
	decode_policy_types(d, spec, policy);
	if (spec)
		drop_unused_rules(d, spec, policy);
	decode_leave(d, mark);
}

void decode_policy_rules(struct decode *d, const struct doc *map, struct policy *ret)
{
	decode_peer_selector(d, decode_field(d, map, "podSelector", DOC_MAP), "podSelector", &ret->pods);
	for (enum direction i = INGRESS; i < DIRECTION_COUNT; i++) {
		decode_rules(d, map, i, ret);
		ret->isolates[i] = ret->rules[i].n > 0;
	}
}

struct object *decode_closed_policy(const struct doc *root, const char *ns, const char *name)
{
	struct object *obj = object_new(KIND_POLICY, ns, name);
	struct decode_result ignored = {0};
	struct decode d = {.result = &ignored};
	const struct doc *pods = decode_field(&d, policy_spec(&d, root), "podSelector", DOC_MAP);

	/* said already; here it only matters whether the selector can be read */
	if (pods)
		decode_selector(&d, pods, &obj->policy.pods);
	for (int i = 0; i < DIRECTION_COUNT; i++)
		obj->policy.isolates[i] = true;
	decode_result_done(&ignored);
	return obj;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A policy counted before it is decoded: bounds.h says what is too much of it. */
#include <string.h>

#include "policyd/model/bounds.h"
#include "policyd/decode/decode_internal.h"

struct count {
	size_t rules, peers, ports, selector_bytes; /* peers and ports: of the rule that has most */
};

size_t decode_text_bytes(const struct doc *doc)
{
	size_t bytes = doc && doc->text ? strlen(doc->text) : 0;

	for (size_t i = 0; doc && i < doc->n; i++)
		bytes += (doc->keys ? strlen(doc->keys[i]) : 0) + decode_text_bytes(&doc->items[i]);
	return bytes;
}

static void count_rule(const struct doc *rule, const char *peers_key, struct count *c)
{
	const struct doc *peers = doc_get(rule, peers_key), *ports = doc_get(rule, "ports");
	size_t n = peers ? peers->n : 0;

	for (size_t i = 0; peers && i < peers->n; i++) {
		const struct doc *peer = &peers->items[i], *excepts = doc_get(doc_get(peer, "ipBlock"), "except");

		n += excepts ? excepts->n : 0;
		c->selector_bytes += decode_text_bytes(doc_get(peer, "podSelector")) + decode_text_bytes(doc_get(peer, "namespaceSelector"));
	}
	c->peers = n > c->peers ? n : c->peers;
	c->ports = ports && ports->n > c->ports ? ports->n : c->ports;
}

static void count_rules(const struct doc *rules, const char *peers_key, struct count *c)
{
	c->rules += rules ? rules->n : 0;
	for (size_t i = 0; rules && i < rules->n; i++)
		count_rule(&rules->items[i], peers_key, c);
}

char *decode_policy_excess(const struct doc *spec)
{
	struct count c = {.selector_bytes = decode_text_bytes(doc_get(spec, "podSelector"))};

	count_rules(doc_get(spec, "ingress"), "from", &c);
	count_rules(doc_get(spec, "egress"), "to", &c);
	if (c.rules > POLICY_RULES_MAX)
		return mem_printf("has %zu rules, at most %d are read", c.rules, POLICY_RULES_MAX);
	if (c.peers > RULE_PEERS_MAX)
		return mem_printf("has a rule with %zu peers and excepts, at most %d are read", c.peers, RULE_PEERS_MAX);
	if (c.ports > RULE_PORTS_MAX)
		return mem_printf("has a rule with %zu ports, at most %d are read", c.ports, RULE_PORTS_MAX);
	if (c.selector_bytes > POLICY_SELECTOR_BYTES_MAX)
		return mem_printf("has %zu bytes of selectors, at most %d are read", c.selector_bytes, POLICY_SELECTOR_BYTES_MAX);
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node, and the EndpointSlices of the API server. Everything here only gives: what is unreadable is told and left out, the rest
 * stands.
 */
#include <netinet/in.h>
#include <string.h>

#include "policyd/decode/decode_internal.h"

#define NODE_ADDRS_MAX 64
#define ENDPOINTS_MAX 1000 /* of a slice, as the API server takes them */
#define ENDPOINT_PORTS_MAX 16

static void decode_node_addr(struct decode *d, const struct doc *text, struct node *node)
{
	struct addr addr;
	struct err err;

	if (addr_parse(text->text, &addr, &err) < 0) {
		decode_error(d, text, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < node->addrs.n; i++)
		if (addr_equal(&node->addrs.v[i], &addr))
			return;
	if (node->addrs.n < NODE_ADDRS_MAX)
		VEC_PUSH(&node->addrs, addr);
	else
		decode_error(d, text, "is one address too many; at most %d of a node are read", NODE_ADDRS_MAX);
}

static void decode_node_addresses(struct decode *d, const struct doc *status, struct node *node)
{
	const struct doc *list = decode_field(d, status, "addresses", DOC_LIST);
	size_t mark = decode_enter(d, "addresses");

	for (size_t i = 0; list && i < list->n; i++) {
		size_t inner = decode_enter_item(d, i);
		const char *type = NULL;
		const struct doc *text = NULL;

		if (decode_expect(d, &list->items[i], DOC_MAP))
			type = decode_string(d, &list->items[i], "type");
		if (type && (!strcmp(type, "InternalIP") || !strcmp(type, "ExternalIP")))
			text = decode_field(d, &list->items[i], "address", DOC_STRING);
		decode_enter(d, "address");
		if (text)
			decode_node_addr(d, text, node);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

static void decode_pod_cidrs(struct decode *d, const struct doc *spec, struct node *node)
{
	const struct doc *list = decode_field(d, spec, "podCIDRs", DOC_LIST);
	const struct doc *single = doc_get(spec, "podCIDR");
	bool many = list && list->n > 0;
	size_t n = many ? list->n : single ? 1 : 0;
	size_t mark = decode_enter(d, many ? "podCIDRs" : "podCIDR");

	for (size_t i = 0; i < n; i++) {
		size_t inner = strlen(d->path);
		struct block block;

		if (many)
			decode_enter_item(d, i);
		if (decode_block(d, many ? &list->items[i] : single, &block))
			VEC_PUSH(&node->pod_cidrs, block);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

/* What flannel calls the node's end of its tunnels: not always one of the status' addresses. */
static void decode_flannel(struct decode *d, const struct doc *root, struct node *node)
{
	static const char *const keys[] = {"flannel.alpha.coreos.com/public-ip", "flannel.alpha.coreos.com/public-ipv6"};
	const struct doc *annotations;
	size_t mark = decode_enter(d, "metadata");

	annotations = decode_field(d, doc_get(root, "metadata"), "annotations", DOC_MAP);
	decode_enter(d, "annotations");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct doc *text = decode_field(d, annotations, keys[i], DOC_STRING);
		size_t inner = decode_enter(d, keys[i]);

		if (text)
			decode_node_addr(d, text, node);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

void decode_node(struct decode *d, const struct doc *root, struct object *obj)
{
	bool failed = d->failed;
	size_t mark = decode_enter(d, "status");

	decode_node_addresses(d, doc_get(root, "status"), &obj->node);
	decode_leave(d, mark);
	decode_flannel(d, root, &obj->node);
	mark = decode_enter(d, "spec");
	decode_pod_cidrs(d, doc_get(root, "spec"), &obj->node);
	decode_leave(d, mark);
	d->failed = failed;
}

static bool is_ready(struct decode *d, const struct doc *endpoint)
{
	const struct doc *conditions = decode_field(d, endpoint, "conditions", DOC_MAP);
	const struct doc *ready = conditions ? doc_get(conditions, "ready") : NULL;

	return !ready || ready->kind != DOC_BOOL || decode_is_true(ready);
}

static void decode_endpoint(struct decode *d, const struct doc *item, struct endpoints *ret)
{
	const struct doc *list;
	size_t mark;

	if (!decode_expect(d, item, DOC_MAP) || !is_ready(d, item))
		return;
	list = decode_field(d, item, "addresses", DOC_LIST);
	mark = decode_enter(d, "addresses");
	for (size_t i = 0; list && i < list->n && ret->addrs.n < ENDPOINTS_MAX; i++) {
		size_t inner = decode_enter_item(d, i);
		struct addr addr;
		struct err err;

		if (decode_expect(d, &list->items[i], DOC_STRING)) {
			if (addr_parse(list->items[i].text, &addr, &err) < 0)
				decode_error(d, &list->items[i], "%s", err.text);
			else
				VEC_PUSH(&ret->addrs, addr);
		}
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
}

static void decode_endpoint_port(struct decode *d, const struct doc *item, struct endpoints *ret)
{
	const struct doc *number;
	uint8_t protocol;
	uint16_t port;
	size_t mark;

	if (!decode_expect(d, item, DOC_MAP) || !decode_protocol(d, item, &protocol))
		return;
	number = decode_field(d, item, "port", DOC_NUMBER);
	mark = decode_enter(d, "port");
	if (number && protocol == IPPROTO_TCP && ret->ports.n < ENDPOINT_PORTS_MAX && decode_port_number(d, number, &port))
		VEC_PUSH(&ret->ports, port);
	decode_leave(d, mark);
}

void decode_endpoints(struct decode *d, const struct doc *root, struct object *obj)
{
	const struct doc *list = decode_field(d, root, "endpoints", DOC_LIST);
	size_t mark = decode_enter(d, "endpoints");
	bool failed = d->failed;

	for (size_t i = 0; list && i < list->n; i++) {
		size_t inner = decode_enter_item(d, i);

		decode_endpoint(d, &list->items[i], &obj->endpoints);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
	mark = decode_enter(d, "ports");
	list = decode_field(d, root, "ports", DOC_LIST);
	for (size_t i = 0; list && i < list->n; i++) {
		size_t inner = decode_enter_item(d, i);

		decode_endpoint_port(d, &list->items[i], &obj->endpoints);
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
	d->failed = failed;
}

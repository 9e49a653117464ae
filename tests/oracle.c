/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/oracle.h"

#include <netinet/in.h>
#include <string.h>

static bool matches(const struct selector *s, const struct labels *labels)
{
	for (size_t i = 0; i < s->n; i++) {
		const char *value = NULL;
		bool listed = false;

		for (size_t j = 0; j < labels->n; j++)
			if (!strcmp(labels->v[j].key, s->v[i].key))
				value = labels->v[j].value;
		for (size_t j = 0; value && j < s->v[i].values.n; j++)
			listed = listed || !strcmp(value, s->v[i].values.v[j]);
		if ((s->v[i].op == OP_IN && !listed) || (s->v[i].op == OP_NOT_IN && listed) ||
		    (s->v[i].op == OP_EXISTS && !value) || (s->v[i].op == OP_DOES_NOT_EXIST && value))
			return false;
	}
	return true;
}

const struct object *oracle_namespace(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->objects.n; i++)
		if (w->objects.v[i]->kind == KIND_NAMESPACE && !strcmp(w->objects.v[i]->name, name))
			return w->objects.v[i];
	return NULL;
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

const struct object *oracle_pod_of(const struct world *w, const struct attachment *a)
{
	for (size_t i = 0; i < w->objects.n; i++) {
		const struct object *o = w->objects.v[i];

		if (o->kind != KIND_POD || !same(o->ns, a->pod_namespace) || !same(o->name, a->pod_name))
			continue;
		if (!a->pod_uid || (!o->uid && !o->pod.static_id) || same(a->pod_uid, o->uid) ||
		    same(a->pod_uid, o->pod.static_id))
			return o;
	}
	return NULL;
}

/* The newest living attachment of a pod; ret_any: it has one at all. */
static const struct attachment *newest_of(const struct world *w, const struct object *pod, bool *ret_any)
{
	const struct attachment *newest = NULL;

	*ret_any = false;
	for (size_t i = 0; i < w->attachments.n; i++) {
		const struct attachment *a = w->attachments.v[i];

		if (oracle_pod_of(w, a) != pod)
			continue;
		*ret_any = true;
		if (!a->closing && (!newest || a->created > newest->created))
			newest = a;
	}
	return newest;
}

static bool status_has(const struct world *w, const struct object *pod, const struct addr *addr)
{
	bool attached;

	newest_of(w, pod, &attached);
	if (attached || pod->pod.finished || pod->pod.host_network)
		return false;
	for (size_t i = 0; i < pod->pod.addrs.n; i++)
		if (addr_equal(&pod->pod.addrs.v[i], addr))
			return true;
	return false;
}

static bool is_before(const struct object *a, const struct object *b)
{
	int ns = strcmp(a->ns, b->ns);

	if (a->pod.started != b->pod.started)
		return a->pod.started > b->pod.started;
	return ns ? ns < 0 : strcmp(a->name, b->name) < 0;
}

const struct object *oracle_pod_at(const struct world *w, const struct addr *addr)
{
	const struct attachment *here = NULL;
	const struct object *pod, *best = NULL;
	bool any;

	for (size_t i = 0; i < w->attachments.n; i++) {
		const struct attachment *a = w->attachments.v[i];

		pod = oracle_pod_of(w, a);
		if (!a->closing && attachment_has_addr(a, addr) && !(pod && pod->pod.finished) &&
		    (!here || a->created > here->created))
			here = a;
	}
	if (here) {
		pod = oracle_pod_of(w, here);
		if (!pod || pod->pod.host_network || strcmp(newest_of(w, pod, &any)->container_id, here->container_id))
			return NULL;
		return pod;
	}
	for (size_t i = 0; i < w->objects.n; i++)
		if (w->objects.v[i]->kind == KIND_POD && status_has(w, w->objects.v[i], addr) &&
		    (!best || is_before(w->objects.v[i], best)))
			best = w->objects.v[i];
	return best;
}

static bool selects(const struct object *policy, const struct object *pod, enum direction d)
{
	return policy->kind == KIND_POLICY && policy->policy.isolates[d] && !strcmp(policy->ns, pod->ns) &&
	       matches(&policy->policy.pods, &pod->pod.labels);
}

bool oracle_selected(const struct world *w, const struct object *pod, enum direction d)
{
	for (size_t i = 0; i < w->objects.n; i++)
		if (selects(w->objects.v[i], pod, d))
			return true;
	return false;
}

static bool node_is(const struct world *w, const struct addr *addr)
{
	for (size_t i = 0; i < w->objects.n; i++) {
		const struct object *o = w->objects.v[i];

		for (size_t k = 0; o->kind == KIND_NODE && k < o->node.addrs.n; k++)
			if (addr_equal(&o->node.addrs.v[k], addr))
				return true;
		for (size_t k = 0; o->kind == KIND_NODE && k < o->node.pod_cidrs.n; k++)
			if (addr_equal(&o->node.pod_cidrs.v[k].base, addr))
				return true;
	}
	return false;
}

/* own: the namespace that a peer without namespaceSelector means. */
static bool peer_is(const struct world *w, const char *own, const struct policy_peer *peer, const struct addr *addr)
{
	const struct object *pod = oracle_pod_at(w, addr), *ns;

	if (peer->kind == PEER_BLOCK) {
		for (size_t i = 0; i < peer->excepts.n; i++)
			if (addr_in_block(addr, &peer->excepts.v[i]))
				return false;
		return addr_in_block(addr, &peer->block);
	}
	if (peer->kind == PEER_NODES)
		return node_is(w, addr);
	if (peer->kind != PEER_PODS || !pod || !matches(&peer->pods, &pod->pod.labels))
		return false;
	if (!peer->any_namespace_selector)
		return !strcmp(pod->ns, own);
	ns = oracle_namespace(w, pod->ns);
	return ns && matches(&peer->namespaces, &ns->namespace.labels);
}

static bool port_is(const struct policy_port *port, const struct object *destination, uint8_t protocol, uint16_t number)
{
	if (port->protocol != protocol)
		return false;
	if (!port->name)
		return number >= port->first && number <= port->last;
	for (size_t i = 0; destination && i < destination->pod.ports.n; i++)
		if (!strcmp(destination->pod.ports.v[i].name, port->name) && destination->pod.ports.v[i].protocol == protocol &&
		    destination->pod.ports.v[i].number == number)
			return true;
	return false;
}

static bool rules_allow(const struct world *w, const struct policy *policy, const struct object *pod, enum direction d,
			const struct addr *peer, uint8_t protocol, uint16_t port)
{
	const struct object *destination = d == INGRESS ? pod : oracle_pod_at(w, peer);

	for (size_t j = 0; j < policy->rules[d].n; j++) {
		const struct policy_rule *rule = &policy->rules[d].v[j];
		bool peers = rule->any_peer, ports = rule->any_port;

		for (size_t k = 0; k < rule->peers.n && !peers; k++)
			peers = peer_is(w, pod->ns, &rule->peers.v[k], peer);
		for (size_t k = 0; k < rule->ports.n && !ports; k++)
			ports = port_is(&rule->ports.v[k], destination, protocol, port);
		if (peers && ports)
			return true;
	}
	return false;
}

bool oracle_allows(const struct world *w, const struct object *pod, enum direction d, const struct addr *peer,
		   uint8_t protocol, uint16_t port)
{
	for (size_t i = 0; i < w->objects.n; i++)
		if (selects(w->objects.v[i], pod, d) && rules_allow(w, &w->objects.v[i]->policy, pod, d, peer, protocol, port))
			return true;
	return false;
}

static bool is_apiserver(const struct world *w, const struct addr *addr, uint8_t protocol, uint16_t port)
{
	for (size_t i = 0; i < w->objects.n; i++) {
		const struct object *o = w->objects.v[i];

		for (size_t j = 0; o->kind == KIND_ENDPOINTS && j < o->endpoints.addrs.n; j++)
			for (size_t k = 0; k < o->endpoints.ports.n; k++)
				if (protocol == IPPROTO_TCP && addr_equal(&o->endpoints.addrs.v[j], addr) && o->endpoints.ports.v[k] == port)
					return true;
	}
	return false;
}

static bool baseline_allows(const struct world *w, const struct object *pod, enum direction d, const struct addr *peer, uint8_t protocol,
			    uint16_t port)
{
	const struct object *ns = oracle_namespace(w, pod->ns);

	if (w->baseline && w->baseline->apiserver && d == EGRESS && is_apiserver(w, peer, protocol, port))
		return true;
	for (size_t i = 0; w->baseline && i < w->baseline->rules.n; i++) {
		const struct baseline_rule *rule = &w->baseline->rules.v[i];

		if (matches(&rule->namespaces, &ns->namespace.labels) && matches(&rule->policy->policy.pods, &pod->pod.labels) &&
		    rules_allow(w, &rule->policy->policy, pod, d, peer, protocol, port))
			return true;
	}
	return false;
}

/* No option lets a label loosen. */
static enum mode mode_of(const struct world *w, const struct attachment *a)
{
	const struct object *ns = oracle_namespace(w, a->pod_namespace);
	enum mode mode;

	for (size_t i = 0; i < ns->namespace.labels.n; i++)
		if (!strcmp(ns->namespace.labels.v[i].key, "moat.cni/mode") && mode_parse(ns->namespace.labels.v[i].value, &mode) &&
		    mode > a->mode)
			return mode;
	return a->mode;
}

bool oracle_expects(const struct world *w, const struct local_pod *p, enum direction d, const struct addr *peer,
		    uint8_t protocol, uint16_t port)
{
	const struct object *pod = oracle_pod_of(w, p->attachment);

	if (!pod || !oracle_namespace(w, pod->ns))
		return false;
	if (baseline_allows(w, pod, d, peer, protocol, port))
		return true;
	if (!oracle_selected(w, pod, d))
		return mode_of(w, p->attachment) == MODE_STANDARD;
	return oracle_allows(w, pod, d, peer, protocol, port);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/model/objects.h"

struct object *object_new(enum object_kind kind, const char *ns, const char *name)
{
	struct object *obj = mem_zalloc(sizeof(*obj));

	obj->kind = kind;
	obj->ns = mem_strdup(ns);
	obj->name = mem_strdup(name);
	return obj;
}

static void pod_done(struct pod *pod)
{
	free(pod->node);
	free(pod->static_id);
	labels_done(&pod->labels);
	VEC_DONE(&pod->addrs);
	for (size_t i = 0; i < pod->ports.n; i++)
		free(pod->ports.v[i].name);
	VEC_DONE(&pod->ports);
}

static void rule_done(struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->peers.n; i++) {
		selector_done(&rule->peers.v[i].namespaces);
		selector_done(&rule->peers.v[i].pods);
		VEC_DONE(&rule->peers.v[i].excepts);
	}
	VEC_DONE(&rule->peers);
	for (size_t i = 0; i < rule->ports.n; i++)
		free(rule->ports.v[i].name);
	VEC_DONE(&rule->ports);
}

void policy_drop_rules(struct policy *policy, enum direction direction)
{
	for (size_t i = 0; i < policy->rules[direction].n; i++)
		rule_done(&policy->rules[direction].v[i]);
	VEC_DONE(&policy->rules[direction]);
}

void object_free(struct object *obj)
{
	if (!obj)
		return;
	switch (obj->kind) {
	case KIND_NAMESPACE:
		labels_done(&obj->namespace.labels);
		break;
	case KIND_NODE:
		VEC_DONE(&obj->node.addrs);
		VEC_DONE(&obj->node.pod_cidrs);
		break;
	case KIND_POD:
		pod_done(&obj->pod);
		break;
	case KIND_POLICY:
		free(obj->policy.excess);
		selector_done(&obj->policy.pods);
		policy_drop_rules(&obj->policy, INGRESS);
		policy_drop_rules(&obj->policy, EGRESS);
		break;
	case KIND_ENDPOINTS:
		VEC_DONE(&obj->endpoints.addrs);
		VEC_DONE(&obj->endpoints.ports);
		break;
	case KIND_COUNT:
		break;
	}
	free(obj->ns);
	free(obj->name);
	free(obj->uid);
	free(obj);
}

const char *object_kind_name(enum object_kind kind)
{
	static const char *const names[KIND_COUNT] = {"Namespace", "Node", "Pod", "NetworkPolicy", "EndpointSlice"};

	return names[kind];
}

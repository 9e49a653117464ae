/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The baseline: what an administrator allows the pods of every namespace, beside what their policies allow. It selects nothing: a pod
 * that no policy selects stays unselected, and what its mode does with the rest of its traffic stays as it is.
 *
 *	apiVersion: moat.cni/v1
 *	kind: Baseline
 *	entities:
 *	- name: dns                   every pod to the cluster's DNS pods, and these from every pod and node
 *	  addresses: [169.254.20.10]  and to these; this one, of the node-local cache, without
 *	- name: apiserver             every pod to the endpoints of Service default/kubernetes
 *	  addresses: [192.0.2.1]      to these instead, …
 *	  port: 6443                  … on this port
 *	- name: nodes                 every pod from every node: webhooks, metrics, host-network ingress
 *	rules:
 *	- namespaceSelector: {}       pods of which namespaces; absent: of all
 *	  podSelector: {}             which of them; absent: all
 *	  ingress: […]                as a NetworkPolicy's, as if it stood in each of these namespaces
 *	  egress: […]
 */
#ifndef POLICYD_BASELINE_H
#define POLICYD_BASELINE_H

#include "policyd/model/objects.h"

#define BASELINE_RULES_MAX 100     /* each is asked whether it is about a pod, when that is compiled */
#define BASELINE_ADDRESSES_MAX 64  /* of an entity */

struct baseline_rule {
	struct selector namespaces; /* empty: of all */
	struct object *policy;      /* without a namespace; its name is what explain calls the rule: "dns", "rules[0]". It isolates nothing: */
};                                  /* isolates[] here are the directions that it has rules for */

struct baseline {
	VEC(struct baseline_rule) rules; /* those of entities too */
	bool apiserver; /* of the endpoints that the cluster knows: baseline_apiserver */
};

void baseline_free(struct baseline *b); /* accepts NULL */

struct baseline_rule baseline_rule_named(const char *name); /* without rules; baseline_rule_done */

/* The rules of an entity. addrs: where DNS is asked beside the cluster's pods. */
void baseline_add_dns(struct baseline *b, const struct addr *addrs, size_t n);
void baseline_add_nodes(struct baseline *b);

/* The rule of entity apiserver, empty; a rule is added for each set of addresses and ports. */
struct baseline_rule baseline_apiserver(void);
void baseline_apiserver_add(struct baseline_rule *to, const struct addr *addrs, size_t n_addrs, const uint16_t *ports, size_t n_ports);
void baseline_rule_done(struct baseline_rule *rule);

#endif

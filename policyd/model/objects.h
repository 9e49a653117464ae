/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the Kubernetes objects a policy can ask for, decoded and validated. A source (manifests, an API server) makes
 * them, the cluster takes them over. Everything here is owned by its object; object_free releases the whole.
 */
#ifndef POLICYD_OBJECTS_H
#define POLICYD_OBJECTS_H

#include "moat/addr.h"
#include "moat/base.h"
#include "moat/mode.h"
#include "policyd/model/selector.h"

/*
 * KIND_ENDPOINTS: EndpointSlices of Service default/kubernetes, and no others: where the API server is (baseline.h). A source that can
 * ask asks for these alone: discovery.k8s.io/v1, namespace default, labelSelector ENDPOINTS_SELECTOR.
 */
enum object_kind { KIND_NAMESPACE, KIND_NODE, KIND_POD, KIND_POLICY, KIND_ENDPOINTS, KIND_COUNT };

#define ENDPOINTS_NAMESPACE "default"
#define ENDPOINTS_LABEL "kubernetes.io/service-name"
#define ENDPOINTS_SERVICE "kubernetes"
#define ENDPOINTS_SELECTOR ENDPOINTS_LABEL "=" ENDPOINTS_SERVICE

/* A named port of a container (containers[].ports[], and of init containers with restartPolicy: Always). */
struct named_port {
	char *name;
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	uint16_t number;  /* containerPort, host order, 1…65535 */
};

struct pod {
	char *node;      /* spec.nodeName; NULL while unscheduled */
	char *static_id; /* annotation kubernetes.io/config.hash, else config.mirror; NULL: not a static pod */
	struct labels labels;
	VEC(struct addr) addrs; /* status.podIPs, else status.podIP; only addresses a pod can have */
	VEC(struct named_port) ports;
	bool running;      /* status.phase Running */
	bool finished;     /* status.phase Succeeded or Failed: it has given up its addresses */
	bool host_network; /* spec.hostNetwork: it is its node, never a pod peer */
	int64_t started;   /* seconds: status.startTime, else metadata.creationTimestamp, else 0 */
};

struct namespace {
	struct labels labels; /* kubernetes.io/metadata.name included, whatever the object says */
};

struct node {
	VEC(struct addr) addrs;     /* status.addresses InternalIP, ExternalIP, and flannel's annotations public-ip, public-ipv6 */
	VEC(struct block) pod_cidrs; /* spec.podCIDRs, else spec.podCIDR */
};

struct endpoints {
	VEC(struct addr) addrs;  /* of endpoints that are not said to be unready */
	VEC(uint16_t) ports;     /* TCP, host order */
};

/* One element of ports: of a rule. Absent protocol is TCP; an absent port is 0…65535 of the protocol. */
struct policy_port {
	uint8_t protocol;
	uint16_t first, last; /* host order; both 0 when named */
	char *name;           /* a named port, or NULL */
};

enum peer_kind {
	PEER_NOTHING, /* an element in which nothing is understood: allows nobody */
	PEER_PODS,
	PEER_BLOCK,
	PEER_NODES, /* every node, by all its addresses: of a baseline, no policy can say it */
};

struct policy_peer {
	enum peer_kind kind;
	bool any_namespace_selector; /* PEER_PODS: namespaceSelector is present (else: the policy's own namespace) */
	struct selector namespaces;
	struct selector pods; /* absent podSelector: empty, matches every pod */
	struct block block;   /* PEER_BLOCK */
	VEC(struct block) excepts;
};

/* One element of ingress: or egress:. */
struct policy_rule {
	bool any_peer; /* from/to absent, null or empty: everyone */
	bool any_port; /* ports absent, null or empty: every port of every protocol, ICMP too */
	VEC(struct policy_peer) peers;
	VEC(struct policy_port) ports; /* may be empty with any_port false: nothing understood, allows nothing */
};

struct policy {
	char *excess; /* beyond a bound of bounds.h, and which: it closes the pods that it selects; else NULL */
	struct selector pods;
	bool isolates[2];                /* by enum direction: policyTypes, with its defaulting applied */
	VEC(struct policy_rule) rules[2]; /* by enum direction; empty when not isolating */
};

struct object {
	enum object_kind kind;
	char *ns;   /* NULL for Namespace and Node */
	char *name;
	char *uid; /* metadata.uid, or NULL */
	union {
		struct namespace namespace;
		struct node node;
		struct pod pod;
		struct policy policy;
		struct endpoints endpoints;
	};
};

struct object *object_new(enum object_kind kind, const char *ns, const char *name); /* copies the names */
void object_free(struct object *obj);                                               /* accepts NULL */
void policy_drop_rules(struct policy *policy, enum direction direction);            /* frees the rules of one direction */
const char *object_kind_name(enum object_kind kind);                                /* "Namespace", "NetworkPolicy", … */

#endif

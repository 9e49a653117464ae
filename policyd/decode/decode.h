/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents to objects, with the API server's validation (k8s.io/api/networking/v1, k8s.io/kubernetes/pkg/apis/networking/
 * validation): what the API server would refuse is an error here, with its line and what to do.
 *
 * When nothing better is to be had, what is not understood must close, never open. So a NetworkPolicy that is an error
 * still comes back, as the tightest reading of it (`fallback`): isolating both directions, with no rules, for the pods its
 * podSelector selects if that is readable and every pod of its namespace otherwise. The caller decides between it and the
 * last good version.
 */
#ifndef POLICYD_DECODE_H
#define POLICYD_DECODE_H

#include "policyd/decode/doc.h"
#include "policyd/model/objects.h"

struct decode_result {
	VEC(struct object *) objects;  /* good ones, in the document's order */
	VEC(struct object *) fallback; /* closed readings of NetworkPolicies that are errors */
	VEC(char *) errors;            /* "line N: NetworkPolicy ns/name: spec.ingress[0].ports[1].port: …" */
	VEC(char *) warnings;          /* things accepted but worth telling: unmasked CIDR bits, an unknown field */
	bool lost;                     /* an error left no fallback: what it meant is unknown (broken syntax, no name) */
};

/*
 * Decodes one document: a Namespace, Node, Pod, NetworkPolicy (networking.k8s.io/v1), or a List of them (kind List, or
 * NamespaceList etc.). Other kinds are left out silently: a manifest directory holds Deployments too. Adds to result.
 */
void decode_document(const struct doc *root, struct decode_result *result);
/* One item of a typed list or watch: it may leave out kind and apiVersion; others than those of the kind are an error. */
void decode_item(const struct doc *root, enum object_kind kind, struct decode_result *result);
const char *decode_version_of(enum object_kind kind); /* apiVersion: "v1", "networking.k8s.io/v1" */
void decode_result_done(struct decode_result *result); /* frees objects that were not taken (set to NULL) */

#endif

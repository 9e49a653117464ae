/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkPolicy as its documentation says it, on plain lists: no index, no groups, no intervals, nothing incremental.
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/ and the API reference of networking.k8s.io/v1.
 */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include "policyd/model/compile.h"

struct world {
	VEC(struct object *) objects;
	VEC(struct attachment *) attachments;
	struct baseline *baseline; /* NULL: none */
};

/* The Pod that an attachment was made for; NULL: not known. */
const struct object *oracle_pod_of(const struct world *w, const struct attachment *a);
/* The Pod that is the peer at an address; NULL: none. */
const struct object *oracle_pod_at(const struct world *w, const struct addr *addr);
const struct object *oracle_namespace(const struct world *w, const char *name);
bool oracle_selected(const struct world *w, const struct object *pod, enum direction d);
/* May the pod (selected in that direction) speak with peer? port: the destination's. */
bool oracle_allows(const struct world *w, const struct object *pod, enum direction d, const struct addr *peer,
		   uint8_t protocol, uint16_t port);
/* What the profile of a local pod must say: of a pod that is not known nothing, of one that no policy selects what its mode says. */
bool oracle_expects(const struct world *w, const struct local_pod *p, enum direction d, const struct addr *peer,
		    uint8_t protocol, uint16_t port);

#endif

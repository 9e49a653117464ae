/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a packet passes or not: both ends asked what their policies say, by the same model and the same matching that the
 * compiled profiles come from, but rule by rule, so that the answer can name policies.
 */
#ifndef POLICYD_EXPLAIN_H
#define POLICYD_EXPLAIN_H

#include "policyd/model/compile.h"

/* One end of the question: a pod by name, or an address (whose pod, if it has one, is looked up). */
struct explain_party {
	const char *ns, *name; /* name NULL: by address */
	struct addr addr;      /* family 0 with a name: one of the pod's, of the family that the other end has */
};

struct explain_query {
	struct explain_party source, destination;
	uint8_t protocol; /* IPPROTO_* */
	uint16_t port;    /* of the destination, host order; 0 for protocols without ports */
};

enum explain_verdict {
	EXPLAIN_NO_SAY,   /* not a pod, or one that policies do not isolate */
	EXPLAIN_ALLOWED,
	EXPLAIN_OBSERVED, /* not allowed by policy; let through, counted and logged in this mode */
	EXPLAIN_DEPENDS,  /* on what its own node does with pods that no policy selects: it is not attached here */
	EXPLAIN_DENIED,
};

struct explain_rule {
	char *policy; /* "namespace/name" */
	size_t index; /* of the rule, in spec.ingress or spec.egress; 0 in `isolating` */
};

struct explain_end {
	enum direction direction;
	char *name;   /* "namespace/name (address)", or the address: escaped, for people */
	bool is_pod;
	bool attached; /* here: mode is the one in force */
	enum mode mode;
	enum explain_verdict verdict;
	VEC(struct explain_rule) isolating; /* policies that select the pod in this direction */
	VEC(struct explain_rule) allowing;  /* rules of these that allow the packet */
	char *excess; /* of such a policy: the bound that it is beyond; else NULL */
	char *reason; /* one sentence, escaped */
};

struct explain_result {
	char *traffic; /* "tcp/6379" */
	struct explain_end source, destination; /* egress of the source, ingress of the destination */
	enum explain_verdict verdict; /* the stricter of the two: EXPLAIN_ALLOWED when neither has a say */
};

/* Asks a cluster that is compiled (cluster_compile), and leaves it as it is. Always fills ret; explain_result_done releases it. */
void explain(struct cluster *c, const struct explain_query *query, struct explain_result *ret);
void explain_result_done(struct explain_result *r);

const char *explain_verdict_name(enum explain_verdict v); /* "allowed", "denied", … */
char *explain_text(const struct explain_result *r);       /* lines for a terminal; caller frees */

#endif

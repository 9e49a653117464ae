/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in a line each, for the tests of the model. */
#ifndef TESTS_BUILD_H
#define TESTS_BUILD_H

#include "policyd/model/compile.h"

struct addr build_addr(const char *text);
struct block build_block(const char *text);

/* labels: "key=value,key2=value2" or NULL. A Namespace gets kubernetes.io/metadata.name. */
struct object *build_namespace(const char *name, const char *labels);
/* addrs: "10.0.0.1,fd00::1" or NULL; ports: "web=tcp/80,dns=udp/53" or NULL. */
struct object *build_pod(const char *ns, const char *name, const char *labels, const char *addrs, const char *ports);
/* An attachment of pod ns/name (NULL: names none) at addrs; container is its id. attachment_free. */
struct attachment *build_attachment(const char *container, const char *ns, const char *name, const char *addrs);

/* A policy that selects pods ("role=db"; NULL: all) and isolates d, without rules. */
struct object *build_policy(const char *ns, const char *name, const char *pods, enum direction d);
/* Adds a rule to it: from everyone, on every port, until peers and ports are added. */
struct policy_rule *build_rule(struct object *policy, enum direction d);
/* "pods role=a", "pods", "namespaces team=x", "namespaces team=x pods role=a", "10.0.0.0/8 except 10.1.0.0/16", "nothing" */
void build_peer(struct policy_rule *rule, const char *text);
/* "tcp/80", "tcp/80-90", "udp/all", "tcp/web" */
void build_port(struct policy_rule *rule, const char *text);

/* The local attachment of that container, or NULL. */
struct local_pod *build_local(struct cluster *c, const char *container);

#endif

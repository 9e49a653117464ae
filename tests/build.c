/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/build.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct addr build_addr(const char *text)
{
	struct addr a;
	struct err err;

	if (addr_parse(text, &a, &err) < 0)
		abort();
	return a;
}

struct block build_block(const char *text)
{
	struct block b;
	struct err err;

	if (addr_parse_block(text, &b, &err) < 0)
		abort();
	return b;
}

/* Calls fn for each item of a comma-separated list, cut at `at` (value NULL without). */
static void each(const char *list, char at, void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
	CLEAN_FREE char *copy = mem_strdup(list);
	char *rest;

	for (char *item = copy ? strtok_r(copy, ",", &rest) : NULL; item; item = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(item, at);

		if (value)
			*value++ = '\0';
		fn(item, value, arg);
	}
}

static void add_label(const char *key, const char *value, void *arg)
{
	labels_set(arg, key, value ? value : "");
}

static void add_requirement(const char *key, const char *value, void *arg)
{
	selector_add(arg, key, OP_IN, &value, 1);
}

static void add_addr(const char *text, const char *unused, void *arg)
{
	struct pod *pod = arg;

	(void)unused;
	VEC_PUSH(&pod->addrs, build_addr(text));
}

static uint8_t protocol_of(const char *text)
{
	return !strncmp(text, "udp/", 4) ? IPPROTO_UDP : !strncmp(text, "sctp/", 5) ? IPPROTO_SCTP : IPPROTO_TCP;
}

static void add_named_port(const char *name, const char *value, void *arg)
{
	struct pod *pod = arg;
	struct named_port port = {.name = mem_strdup(name),
				  .protocol = protocol_of(value),
				  .number = (uint16_t)atoi(strchr(value, '/') + 1)};

	VEC_PUSH(&pod->ports, port);
}

struct object *build_namespace(const char *name, const char *labels)
{
	struct object *o = object_new(KIND_NAMESPACE, NULL, name);

	each(labels, '=', add_label, &o->namespace.labels);
	labels_set(&o->namespace.labels, "kubernetes.io/metadata.name", name);
	return o;
}

struct object *build_pod(const char *ns, const char *name, const char *labels, const char *addrs, const char *ports)
{
	struct object *o = object_new(KIND_POD, ns, name);

	each(labels, '=', add_label, &o->pod.labels);
	each(addrs, '\n', add_addr, &o->pod);
	each(ports, '=', add_named_port, &o->pod);
	return o;
}

static void add_attachment_addr(const char *text, const char *unused, void *arg)
{
	struct attachment *a = arg;

	(void)unused;
	a->addrs[a->n_addrs++] = build_addr(text);
}

struct attachment *build_attachment(const char *container, const char *ns, const char *name, const char *addrs)
{
	struct attachment *a = mem_zalloc(sizeof(*a));

	a->network = mem_strdup("net");
	a->container_id = mem_strdup(container);
	a->ifname = mem_strdup("eth0");
	a->pod_namespace = mem_strdup(ns);
	a->pod_name = mem_strdup(name);
	snprintf(a->port, sizeof(a->port), "p%.10s", container);
	each(addrs, '\n', add_attachment_addr, a);
	a->mode = MODE_STRICT;
	a->created = 1;
	return a;
}

struct object *build_policy(const char *ns, const char *name, const char *pods, enum direction d)
{
	struct object *o = object_new(KIND_POLICY, ns, name);

	each(pods, '=', add_requirement, &o->policy.pods);
	o->policy.isolates[d] = true;
	return o;
}

struct policy_rule *build_rule(struct object *policy, enum direction d)
{
	struct policy_rule rule = {.any_peer = true, .any_port = true};

	policy->policy.isolates[d] = true;
	VEC_PUSH(&policy->policy.rules[d], rule);
	return &policy->policy.rules[d].v[policy->policy.rules[d].n - 1];
}

static void block_peer(struct policy_peer *peer, char *text)
{
	char *rest, *word = strtok_r(text, " ", &rest);

	peer->kind = PEER_BLOCK;
	peer->block = build_block(word);
	while ((word = strtok_r(NULL, " ", &rest)))
		if (strcmp(word, "except"))
			VEC_PUSH(&peer->excepts, build_block(word));
}

static void pods_peer(struct policy_peer *peer, char *text)
{
	struct selector *into = NULL;
	char *rest;

	peer->kind = PEER_PODS;
	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		if (!strcmp(word, "pods")) {
			into = &peer->pods;
		} else if (!strcmp(word, "namespaces")) {
			peer->any_namespace_selector = true;
			into = &peer->namespaces;
		} else {
			each(word, '=', add_requirement, into);
		}
	}
}

void build_peer(struct policy_rule *rule, const char *text)
{
	CLEAN_FREE char *copy = mem_strdup(text);
	struct policy_peer peer = {.kind = PEER_NOTHING};

	rule->any_peer = false;
	if (isxdigit((unsigned char)*text) || *text == ':')
		block_peer(&peer, copy);
	else if (strcmp(text, "nothing"))
		pods_peer(&peer, copy);
	VEC_PUSH(&rule->peers, peer);
}

void build_port(struct policy_rule *rule, const char *text)
{
	struct policy_port port = {.protocol = protocol_of(text)};
	const char *value = strchr(text, '/') + 1;
	unsigned first, last;

	rule->any_port = false;
	if (!strcmp(value, "all")) {
		port.last = 65535;
	} else if (isdigit((unsigned char)*value)) {
		if (sscanf(value, "%u-%u", &first, &last) < 2)
			last = first = (unsigned)atoi(value);
		port.first = (uint16_t)first;
		port.last = (uint16_t)last;
	} else {
		port.name = mem_strdup(value);
	}
	VEC_PUSH(&rule->ports, port);
}

struct local_pod *build_local(struct cluster *c, const char *container)
{
	CLEAN_FREE char *key = mem_printf("net/%s:eth0", container);
	struct local_pod *p;

	HASH_FIND_STR(cluster_local_pods(c), key, p);
	return p;
}

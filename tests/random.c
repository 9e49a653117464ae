/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/random.h"

#include <netinet/in.h>
#include <string.h>

#include "tests/build.h"

static const char *const spaces[] = {"a", "b", "c"};
static const char *const pods[] = {"p", "q", "r"};
const char *const random_addresses[RANDOM_ADDRESSES] = {"10.0.0.1", "10.0.0.2",    "10.0.0.3",    "10.0.1.1", "10.0.1.2",
					"10.0.1.3", "10.0.255.255", "10.1.0.0",    "10.1.0.1", "192.168.0.1",
					"fd00::1",  "fd00::2",     "fd00:0:0:1::1", "fe00::1"};
static const char *const blocks[] = {"10.0.0.0/8",  "10.0.0.0/16", "10.0.1.0/24", "10.0.0.0/31", "10.0.0.2/31",
				     "10.0.0.1/32", "0.0.0.0/0",   "0.0.0.0/1",   "128.0.0.0/1", "::/0",
				     "fd00::/64",   "fd00::/48",   "fd00::1/128", "8000::/1"};
const uint16_t random_ports[RANDOM_PORTS] = {0, 1, 52, 53, 79, 80, 81, 90, 91, 443, 8080, 65534, 65535};

/* A copy of it draws the same again. */
static struct source {
	uint64_t state;
	const uint8_t *bytes; /* a fuzzer's choices, until they end */
	size_t left;
} source;

void random_seed(uint64_t seed)
{
	source = (struct source){.state = seed * 0x9e3779b97f4a7c15u + 1};
}

void random_feed(const uint8_t *bytes, size_t n)
{
	random_seed(1);
	source.bytes = bytes;
	source.left = n;
}

bool random_is_fed(void)
{
	return source.left > 0;
}

unsigned random_below(unsigned n)
{
	if (source.left) {
		source.left--;
		return *source.bytes++ % n;
	}
	source.state ^= source.state << 13;
	source.state ^= source.state >> 7;
	source.state ^= source.state << 17;
	return (unsigned)((source.state >> 11) % n);
}

static void random_labels(struct labels *l)
{
	static const char *const values[] = {"x", "y", "z"};

	if (random_below(3))
		labels_set(l, "role", RANDOM_OF(values));
	if (random_below(3) == 0)
		labels_set(l, "tier", RANDOM_OF(values));
}

static void random_selector(struct selector *s)
{
	static const char *const keys[] = {"role", "tier"};
	const char *values[] = {"x", random_below(2) ? "y" : "z"};

	for (unsigned n = random_below(3); n > 0; n--) {
		enum selector_op op = (enum selector_op)random_below(4);

		selector_add(s, RANDOM_OF(keys), op, values, op == OP_IN || op == OP_NOT_IN ? 1 + random_below(2) : 0);
	}
}

static void random_pod(struct pod *pod)
{
	static const char *const named[] = {"web", "dns"};
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

	random_labels(&pod->labels);
	for (unsigned n = random_below(3); n > 0; n--)
		VEC_PUSH(&pod->addrs, build_addr(RANDOM_OF(random_addresses)));
	for (unsigned n = random_below(4); n > 0; n--) {
		struct named_port port = {
			.name = mem_strdup(RANDOM_OF(named)), .protocol = RANDOM_OF(protocols), .number = random_below(2) ? 80 : 90};

		VEC_PUSH(&pod->ports, port);
	}
	pod->finished = random_below(8) == 0;
	pod->host_network = random_below(8) == 0;
	pod->started = random_below(3);
	if (random_below(5) == 0)
		pod->static_id = mem_strdup("u1");
}

static void random_peer(struct policy_rule *rule)
{
	struct policy_peer peer = {.kind = PEER_NOTHING};

	if (random_below(3) == 0) {
		peer.kind = PEER_BLOCK;
		peer.block = build_block(RANDOM_OF(blocks));
		for (unsigned n = random_below(3); n > 0; n--)
			VEC_PUSH(&peer.excepts, build_block(RANDOM_OF(blocks)));
	} else if (random_below(12)) {
		peer.kind = PEER_PODS;
		random_selector(&peer.pods);
		peer.any_namespace_selector = random_below(2);
		if (peer.any_namespace_selector)
			random_selector(&peer.namespaces);
	}
	VEC_PUSH(&rule->peers, peer);
}

static void random_port(struct policy_rule *rule)
{
	static const char *const texts[] = {"tcp/80",  "tcp/80-90", "tcp/81-443", "tcp/all",      "udp/53",   "udp/52-53", "tcp/1",
					    "sctp/90", "tcp/web",   "udp/dns",    "sctp/8080-65535", "sctp/web", "tcp/dns",   "tcp/91"};

	build_port(rule, RANDOM_OF(texts));
}

static void random_rule(struct policy_rule *rule)
{
	rule->any_peer = random_below(6) == 0;
	rule->any_port = random_below(3) == 0;
	for (unsigned n = rule->any_peer ? 0 : random_below(4); n > 0; n--)
		random_peer(rule);
	for (unsigned n = rule->any_port ? 0 : random_below(4); n > 0; n--)
		random_port(rule);
}

static void random_policy(struct object *o)
{
	if (random_below(2))
		random_selector(&o->policy.pods);
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		o->policy.isolates[d] = random_below(3);
		for (unsigned n = o->policy.isolates[d] ? random_below(4) : 0; n > 0; n--)
			random_rule(build_rule(o, (enum direction)d));
	}
}

static void random_node(struct node *node)
{
	for (unsigned n = random_below(3); n > 0; n--)
		VEC_PUSH(&node->addrs, build_addr(RANDOM_OF(random_addresses)));
	if (random_below(2))
		VEC_PUSH(&node->pod_cidrs, build_block(RANDOM_OF(blocks)));
}

static void random_endpoints(struct endpoints *e)
{
	for (unsigned n = random_below(3); n > 0; n--)
		VEC_PUSH(&e->addrs, build_addr(RANDOM_OF(random_addresses)));
	if (random_below(4))
		VEC_PUSH(&e->ports, 443);
}

static void random_baseline_rule(struct baseline *b)
{
	struct baseline_rule rule = {.policy = object_new(KIND_POLICY, NULL, "rule")};
	enum direction d = (enum direction)random_below(2);
	struct policy *policy = &rule.policy->policy;

	if (random_below(2))
		random_selector(&rule.namespaces);
	if (random_below(2))
		random_selector(&policy->pods);
	policy->isolates[d] = true;
	random_rule(build_rule(rule.policy, d));
	if (policy->rules[d].v[0].peers.n && d == INGRESS && random_below(2))
		VEC_PUSH(&policy->rules[d].v[0].peers, ((struct policy_peer){.kind = PEER_NODES}));
	VEC_PUSH(&b->rules, rule);
}

static struct baseline *random_baseline(void)
{
	struct baseline *b = mem_zalloc(sizeof(*b));

	b->apiserver = random_below(2);
	for (unsigned n = random_below(3); n > 0; n--)
		random_baseline_rule(b);
	return b;
}

static struct object *random_object(void)
{
	static const char *const uids[] = {NULL, "u1", "u2"};
	static const enum object_kind kinds[] = {KIND_NAMESPACE, KIND_POD, KIND_POD, KIND_POD, KIND_POD, KIND_POLICY, KIND_POLICY, KIND_NODE,
						 KIND_ENDPOINTS};
	enum object_kind kind = RANDOM_OF(kinds);
	struct object *o;

	if (kind == KIND_NAMESPACE) {
		o = build_namespace(RANDOM_OF(spaces), NULL);
		random_labels(&o->namespace.labels);
	} else if (kind == KIND_NODE) {
		o = object_new(kind, NULL, RANDOM_OF(pods));
		random_node(&o->node);
	} else if (kind == KIND_ENDPOINTS) {
		o = object_new(kind, ENDPOINTS_NAMESPACE, RANDOM_OF(pods));
		random_endpoints(&o->endpoints);
	} else {
		o = object_new(kind, RANDOM_OF(spaces), RANDOM_OF(pods));
		if (kind == KIND_POD)
			random_pod(&o->pod);
		else
			random_policy(o);
		o->uid = mem_strdup(RANDOM_OF(uids));
	}
	return o;
}

static struct attachment *random_attachment(uint64_t created)
{
	static const char *const containers[] = {"c1", "c2", "c3", "c4"};
	static const char *const uids[] = {NULL, "u1", "u2"};
	bool named = random_below(10);
	struct attachment *a = build_attachment(RANDOM_OF(containers), named ? RANDOM_OF(spaces) : NULL, named ? RANDOM_OF(pods) : NULL,
						RANDOM_OF(random_addresses));

	if (random_below(3) == 0)
		a->addrs[a->n_addrs++] = build_addr(RANDOM_OF(random_addresses));
	if (random_below(4) == 0)
		strcpy(a->ifname, "eth1");
	a->pod_uid = mem_strdup(RANDOM_OF(uids));
	a->mode = random_below(3) ? MODE_STRICT : MODE_STANDARD;
	a->closing = random_below(6) == 0;
	a->created = created;
	return a;
}

static void world_drop_object(struct world *w, enum object_kind kind, const char *ns, const char *name)
{
	for (size_t i = 0; i < w->objects.n; i++) {
		struct object *o = w->objects.v[i];

		if (o->kind == kind && !strcmp(o->name, name) && (!ns || !strcmp(o->ns, ns))) {
			object_free(o);
			w->objects.v[i] = w->objects.v[--w->objects.n];
			return;
		}
	}
}

static void world_drop_attachment(struct world *w, const char *key)
{
	for (size_t i = 0; i < w->attachments.n; i++) {
		CLEAN_FREE char *own = attachment_key(w->attachments.v[i]);

		if (!strcmp(own, key)) {
			attachment_free(w->attachments.v[i]);
			w->attachments.v[i] = w->attachments.v[--w->attachments.n];
			return;
		}
	}
}

void random_world_done(struct world *w)
{
	for (size_t i = 0; i < w->objects.n; i++)
		object_free(w->objects.v[i]);
	for (size_t i = 0; i < w->attachments.n; i++)
		attachment_free(w->attachments.v[i]);
	VEC_DONE(&w->objects);
	VEC_DONE(&w->attachments);
	baseline_free(w->baseline);
}

/* The cluster takes one, the world has its twin. */
static void change_baseline(struct world *w, struct cluster *c)
{
	struct source before = source;

	baseline_free(w->baseline);
	w->baseline = random_below(4) ? random_baseline() : NULL;
	source = before;
	cluster_set_baseline(c, random_below(4) ? random_baseline() : NULL);
}

void random_change(struct world *w, struct cluster *c, uint64_t *created)
{
	if (random_below(16) == 0) {
		change_baseline(w, c);
	} else if (random_below(4) == 0) {
		struct attachment *a = random_attachment(++*created);
		CLEAN_FREE char *key = attachment_key(a);

		world_drop_attachment(w, key);
		if (random_below(4)) {
			cluster_attach(c, a);
			VEC_PUSH(&w->attachments, a);
		} else {
			cluster_detach(c, key);
			attachment_free(a);
		}
	} else {
		struct source before = source;
		struct object *o = random_object();

		world_drop_object(w, o->kind, o->ns, o->name);
		if (random_below(5)) {
			/* the cluster takes one, the world has its twin */
			struct source after = source;

			source = before;
			cluster_upsert(c, random_object());
			source = after;
			VEC_PUSH(&w->objects, o);
		} else {
			cluster_delete(c, o->kind, o->ns, o->name);
			object_free(o);
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/world.h"

#include <netinet/in.h>
#include <string.h>

#include "policyd/decode/decode.h"
#include "policyd/model/explain.h"
#include "policyd/kernel/program.h"
#include "tests/build.h"
#include "tests/fuzz/fuzz.h"

#define PORTS_MAX 24
#define ADDRS_MAX 16
static const struct epoch epoch = {.name = "0000002a", .family = {true, true}};

/* ---- agreement ---- */

struct samples {
	uint16_t ports[PORTS_MAX];
	size_t n_ports;
	struct addr addrs[ADDRS_MAX];
	size_t n_addrs;
};

static void add_port(struct samples *s, uint16_t port)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i] == port)
			return;
	if (s->n_ports < PORTS_MAX)
		s->ports[s->n_ports++] = port;
}

static void add_addr(struct samples *s, const struct addr *a)
{
	for (size_t i = 0; i < s->n_addrs; i++)
		if (addr_equal(&s->addrs[i], a))
			return;
	if (s->n_addrs < ADDRS_MAX)
		s->addrs[s->n_addrs++] = *a;
}

static void add_rule(struct samples *s, const struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->ports.n; i++) {
		add_port(s, rule->ports.v[i].first);
		add_port(s, rule->ports.v[i].last);
		add_port(s, (uint16_t)(rule->ports.v[i].first - 1));
		add_port(s, (uint16_t)(rule->ports.v[i].last + 1));
	}
	for (size_t i = 0; i < rule->peers.n; i++) {
		struct addr first = rule->peers.v[i].block.base;

		if (rule->peers.v[i].kind != PEER_BLOCK)
			continue;
		add_addr(s, &first);
		if (addr_prev(&first))
			add_addr(s, &first);
		for (size_t j = 0; j < rule->peers.v[i].excepts.n; j++)
			add_addr(s, &rule->peers.v[i].excepts.v[j].base);
	}
}

static void collect(struct samples *s, const struct world *w)
{
	for (size_t i = 0; i < w->attachments.n; i++)
		for (size_t j = 0; j < w->attachments.v[i]->n_addrs; j++)
			add_addr(s, &w->attachments.v[i]->addrs[j]);
	for (size_t i = 0; i < w->objects.n; i++) {
		const struct object *o = w->objects.v[i];

		for (size_t j = 0; o->kind == KIND_POD && j < o->pod.ports.n; j++)
			add_port(s, o->pod.ports.v[j].number);
		for (size_t j = 0; o->kind == KIND_POD && j < o->pod.addrs.n; j++)
			add_addr(s, &o->pod.addrs.v[j]);
		for (int d = 0; o->kind == KIND_POLICY && d < DIRECTION_COUNT; d++)
			for (size_t j = 0; j < o->policy.rules[d].n; j++)
				add_rule(s, &o->policy.rules[d].v[j]);
	}
	add_port(s, 0);
	add_port(s, 1);
	add_port(s, 80);
	add_port(s, 65535);
}

static void agree_at(const struct world *w, const struct local_pod *p, enum direction d, const struct addr *peer, uint8_t protocol,
		     uint16_t port)
{
	bool allows = profile_allows(p->profile[d], peer, protocol, port);

	if (p->excess[d])
		FUZZ_CHECK(!allows);
	else
		FUZZ_CHECK(allows == oracle_expects(w, p, d, peer, protocol, port));
}

void fuzz_world_agree(const struct world *w, struct cluster *c, unsigned stride)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	struct samples s = {0};
	unsigned n = 0;

	collect(&s, w);
	for (struct local_pod *p = cluster_local_pods(c); p; p = p->hh.next)
		for (int d = 0; d < DIRECTION_COUNT; d++)
			for (size_t i = 0; i < s.n_addrs; i++) {
				agree_at(w, p, (enum direction)d, &s.addrs[i], 0, 0);
				for (size_t j = 0; j < s.n_ports; j++)
					for (size_t k = 0; k < ARRAY_SIZE(protocols); k++)
						if (n++ % stride == 0)
							agree_at(w, p, (enum direction)d, &s.addrs[i], protocols[k], s.ports[j]);
			}
}

void fuzz_world_program(struct cluster *c)
{
	struct txn *t = txn_new();

	for (struct group *g = cluster_groups(c); g; g = g->hh.next) {
		program_add_group(t, g, &epoch);
		if (g->kind == GROUP_ADDRS)
			program_add_group_chain(t, g, 0, &epoch);
	}
	for (struct profile *p = cluster_profiles(c); p; p = p->hh.next)
		if (program_needs_chain(p))
			program_add_profile(t, p, &epoch);
	for (struct group *g = cluster_groups(c); g; g = g->hh.next)
		if (g->kind == GROUP_ADDRS)
			program_fill_group_chain(t, g, 0, &epoch);
	for (struct profile *p = cluster_profiles(c); p; p = p->hh.next)
		if (program_needs_chain(p))
			program_fill_profile(t, p, &epoch);
	txn_free(t);
}

/* ---- what is decoded ---- */

static void decode_text(const char *text, size_t len, struct decode_result *ret)
{
	struct doc_list docs = {0};
	struct err err = {0};

	if (doc_parse(text, len, &docs, &err) < 0) {
		FUZZ_CHECK(err.code && !strncmp(err.text, "line ", 5));
		return;
	}
	for (size_t i = 0; i < docs.n; i++)
		decode_document(docs.v[i], ret);
	doc_list_done(&docs);
}

static void check_decoded(const struct decode_result *r)
{
	for (size_t i = 0; i < r->errors.n; i++)
		FUZZ_CHECK(!strstr(r->errors.v[i], ": NetworkPolicy") || r->fallback.n || r->lost);
	for (size_t i = 0; i < r->fallback.n; i++) {
		const struct object *o = r->fallback.v[i];

		FUZZ_CHECK(o->kind == KIND_POLICY && o->ns && o->name);
		for (int d = 0; d < DIRECTION_COUNT; d++)
			FUZZ_CHECK(o->policy.isolates[d] && !o->policy.rules[d].n);
	}
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* As the cluster does it: the same name again replaces. */
static void world_put(struct world *w, struct object *take)
{
	for (size_t i = 0; i < w->objects.n; i++) {
		struct object *o = w->objects.v[i];

		if (o->kind == take->kind && same_text(o->ns, take->ns) && same_text(o->name, take->name)) {
			object_free(o);
			w->objects.v[i] = take;
			return;
		}
	}
	VEC_PUSH(&w->objects, take);
}

struct sink {
	struct world *world;
	struct cluster *cluster;
};

static void put(struct sink *s, struct object *take)
{
	if (s->cluster)
		cluster_upsert(s->cluster, take);
	else
		world_put(s->world, take);
}

static void put_decoded(struct sink *s, const char *text, size_t len)
{
	struct decode_result r = {0};

	decode_text(text, len, &r);
	check_decoded(&r);
	for (size_t i = 0; i < r.objects.n; i++)
		put(s, TAKE_PTR(r.objects.v[i]));
	for (size_t i = 0; i < r.fallback.n; i++)
		put(s, TAKE_PTR(r.fallback.v[i]));
	decode_result_done(&r);
}

static void put_world(struct sink *s)
{
	put(s, build_namespace("a", "team=x"));
	put(s, build_namespace("b", NULL));
	put(s, build_pod("a", "p", "role=x,tier=z", "10.0.0.1,fd00::1", "web=tcp/80,dns=udp/53"));
	put(s, build_pod("a", "q", "role=y", "10.0.0.2", NULL));
	put(s, build_pod("b", "p", "role=x", "10.0.0.3", "web=tcp/8080"));
	put(s, build_pod("b", "q", "tier=z", "10.0.1.1,fd00::2", "web=tcp/80,web=udp/90"));
}

static void attach(struct world *w, struct cluster *c, const char *container, const char *ns, const char *name, const char *addrs,
		   enum mode mode)
{
	struct attachment *a = build_attachment(container, ns, name, addrs);

	a->mode = mode;
	cluster_attach(c, a);
	VEC_PUSH(&w->attachments, a);
}

static void compile(struct cluster *c)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
}

/* Why a packet passes or not must be answered, whoever asks. */
static void ask_explain(struct cluster *c)
{
	const struct explain_query queries[] = {
		{.source = {.ns = "a", .name = "p"}, .destination = {.ns = "b", .name = "p"}, .protocol = IPPROTO_TCP, .port = 8080},
		{.source = {.addr = build_addr("10.0.0.3")}, .destination = {.ns = "a", .name = "p"}, .protocol = IPPROTO_UDP, .port = 53},
		{.source = {.addr = build_addr("fd00::2")}, .destination = {.addr = build_addr("fd00::1")}, .protocol = IPPROTO_ICMP},
	};

	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		struct explain_result result;
		char *text;

		explain(c, &queries[i], &result);
		text = explain_text(&result);
		FUZZ_CHECK(*text);
		free(text);
		explain_result_done(&result);
	}
}

static void close_all(struct cluster *c, const char *ns)
{
	struct object *o = build_policy(ns, "close", NULL, INGRESS);

	o->policy.isolates[EGRESS] = true;
	cluster_upsert(c, o);
}

static void world_done(struct world *w)
{
	for (size_t i = 0; i < w->objects.n; i++)
		object_free(w->objects.v[i]);
	for (size_t i = 0; i < w->attachments.n; i++)
		attachment_free(w->attachments.v[i]);
	VEC_DONE(&w->objects);
	VEC_DONE(&w->attachments);
}

void fuzz_world_check(const char *text, size_t len)
{
	struct cluster *c = cluster_new();
	struct world w = {0};
	struct sink cluster = {.cluster = c}, world = {.world = &w};

	put_world(&cluster);
	put_world(&world);
	attach(&w, c, "c1", "a", "p", "10.0.0.1,fd00::1", MODE_STRICT);
	attach(&w, c, "c2", "a", "q", "10.0.0.2", MODE_STANDARD);
	attach(&w, c, "c3", "b", "p", "10.0.0.3", MODE_STANDARD);
	put_decoded(&cluster, text, len);
	put_decoded(&world, text, len);
	compile(c);
	fuzz_world_agree(&w, c, 1);
	fuzz_world_program(c);
	ask_explain(c);

	/* what selects more can only close: every pod is isolated then, and what rules allow stays */
	close_all(c, "a");
	close_all(c, "b");
	compile(c);
	for (struct local_pod *p = cluster_local_pods(c); p; p = p->hh.next)
		FUZZ_CHECK(p->confirmation != POD_CONFIRMED || (p->selected[INGRESS] && p->selected[EGRESS]));
	cluster_free(c);
	world_done(&w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random clusters, changed step by step. After each step the compiled profiles must agree with the oracle on samples of
 * packets, groups and profiles must be those of a cluster built from scratch, and the sets that the recorded changes
 * make must be the members.
 *
 *	MOAT_ORACLE_SEED=<n>    repeat the run that printed it
 *	MOAT_ORACLE_ROUNDS=<n>  more, or fewer (3000)
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/build.h"
#include "tests/oracle.h"

#define STEPS 6
#define SAMPLES 200

static const char *const spaces[] = {"a", "b", "c"};
static const char *const pods[] = {"p", "q", "r"};
static const char *const addresses[] = {"10.0.0.1", "10.0.0.2",    "10.0.0.3",    "10.0.1.1", "10.0.1.2",
					"10.0.1.3", "10.0.255.255", "10.1.0.0",    "10.1.0.1", "192.168.0.1",
					"fd00::1",  "fd00::2",     "fd00:0:0:1::1", "fe00::1"};
static const char *const blocks[] = {"10.0.0.0/8",  "10.0.0.0/16", "10.0.1.0/24", "10.0.0.0/31", "10.0.0.2/31",
				     "10.0.0.1/32", "0.0.0.0/0",   "0.0.0.0/1",   "128.0.0.0/1", "::/0",
				     "fd00::/64",   "fd00::/48",   "fd00::1/128", "8000::/1"};
static const uint16_t ports[] = {0, 1, 52, 53, 79, 80, 81, 90, 91, 443, 8080, 65534, 65535};

static uint64_t state;

static unsigned pick(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)((state >> 11) % n);
}

#define ANY_OF(array) ((array)[pick(ARRAY_SIZE(array))])

static void random_labels(struct labels *l)
{
	static const char *const values[] = {"x", "y", "z"};

	if (pick(3))
		labels_set(l, "role", ANY_OF(values));
	if (pick(3) == 0)
		labels_set(l, "tier", ANY_OF(values));
}

static void random_selector(struct selector *s)
{
	static const char *const keys[] = {"role", "tier"};
	const char *values[] = {"x", pick(2) ? "y" : "z"};

	for (unsigned n = pick(3); n > 0; n--) {
		enum selector_op op = (enum selector_op)pick(4);

		selector_add(s, ANY_OF(keys), op, values, op == OP_IN || op == OP_NOT_IN ? 1 + pick(2) : 0);
	}
}

static void random_pod(struct pod *pod)
{
	static const char *const named[] = {"web", "dns"};
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

	random_labels(&pod->labels);
	for (unsigned n = pick(3); n > 0; n--)
		VEC_PUSH(&pod->addrs, build_addr(ANY_OF(addresses)));
	for (unsigned n = pick(4); n > 0; n--) {
		struct named_port port = {
			.name = mem_strdup(ANY_OF(named)), .protocol = ANY_OF(protocols), .number = pick(2) ? 80 : 90};

		VEC_PUSH(&pod->ports, port);
	}
	pod->finished = pick(8) == 0;
	pod->host_network = pick(8) == 0;
	pod->started = pick(3);
	if (pick(5) == 0)
		pod->static_id = mem_strdup("u1");
}

static void random_peer(struct policy_rule *rule)
{
	struct policy_peer peer = {.kind = PEER_NOTHING};

	if (pick(3) == 0) {
		peer.kind = PEER_BLOCK;
		peer.block = build_block(ANY_OF(blocks));
		for (unsigned n = pick(3); n > 0; n--)
			VEC_PUSH(&peer.excepts, build_block(ANY_OF(blocks)));
	} else if (pick(12)) {
		peer.kind = PEER_PODS;
		random_selector(&peer.pods);
		peer.any_namespace_selector = pick(2);
		if (peer.any_namespace_selector)
			random_selector(&peer.namespaces);
	}
	VEC_PUSH(&rule->peers, peer);
}

static void random_port(struct policy_rule *rule)
{
	static const char *const texts[] = {"tcp/80",  "tcp/80-90", "tcp/81-443", "tcp/all",      "udp/53",   "udp/52-53", "tcp/1",
					    "sctp/90", "tcp/web",   "udp/dns",    "sctp/8080-65535", "sctp/web", "tcp/dns",   "tcp/91"};

	build_port(rule, ANY_OF(texts));
}

static void random_rule(struct policy_rule *rule)
{
	rule->any_peer = pick(6) == 0;
	rule->any_port = pick(3) == 0;
	for (unsigned n = rule->any_peer ? 0 : pick(4); n > 0; n--)
		random_peer(rule);
	for (unsigned n = rule->any_port ? 0 : pick(4); n > 0; n--)
		random_port(rule);
}

static void random_policy(struct object *o)
{
	if (pick(2))
		random_selector(&o->policy.pods);
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		o->policy.isolates[d] = pick(3);
		for (unsigned n = o->policy.isolates[d] ? pick(4) : 0; n > 0; n--)
			random_rule(build_rule(o, (enum direction)d));
	}
}

/* The same seed makes the same object: one for the cluster, which takes it, and one for the world. */
static struct object *random_object(uint64_t seed)
{
	static const char *const uids[] = {NULL, "u1", "u2"};
	static const enum object_kind kinds[] = {KIND_NAMESPACE, KIND_POD, KIND_POD, KIND_POD, KIND_POLICY, KIND_POLICY};
	uint64_t saved = state;
	enum object_kind kind;
	struct object *o;

	state = seed;
	kind = ANY_OF(kinds);
	if (kind == KIND_NAMESPACE) {
		o = build_namespace(ANY_OF(spaces), NULL);
		random_labels(&o->namespace.labels);
	} else {
		o = object_new(kind, ANY_OF(spaces), ANY_OF(pods));
		if (kind == KIND_POD)
			random_pod(&o->pod);
		else
			random_policy(o);
		o->uid = mem_strdup(ANY_OF(uids));
	}
	state = saved;
	return o;
}

static struct attachment *random_attachment(uint64_t created)
{
	static const char *const containers[] = {"c1", "c2", "c3", "c4"};
	static const char *const uids[] = {NULL, "u1", "u2"};
	bool named = pick(10);
	struct attachment *a = build_attachment(ANY_OF(containers), named ? ANY_OF(spaces) : NULL, named ? ANY_OF(pods) : NULL,
						ANY_OF(addresses));

	if (pick(3) == 0)
		a->addrs[a->n_addrs++] = build_addr(ANY_OF(addresses));
	if (pick(4) == 0)
		strcpy(a->ifname, "eth1");
	a->pod_uid = mem_strdup(ANY_OF(uids));
	a->mode = pick(3) ? MODE_STRICT : MODE_STANDARD;
	a->closing = pick(6) == 0;
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

static void world_done(struct world *w)
{
	for (size_t i = 0; i < w->objects.n; i++)
		object_free(w->objects.v[i]);
	for (size_t i = 0; i < w->attachments.n; i++)
		attachment_free(w->attachments.v[i]);
	VEC_DONE(&w->objects);
	VEC_DONE(&w->attachments);
}

/* One random change to both. */
static void change(struct world *w, struct cluster *c, uint64_t *created)
{
	uint64_t seed = ((uint64_t)pick(1u << 30) << 30 | pick(1u << 30)) + 1;

	if (pick(4) == 0) {
		struct attachment *a = random_attachment(++*created);
		CLEAN_FREE char *key = attachment_key(a);

		world_drop_attachment(w, key);
		if (pick(4)) {
			cluster_attach(c, a);
			VEC_PUSH(&w->attachments, a);
		} else {
			cluster_detach(c, key);
			attachment_free(a);
		}
	} else {
		struct object *o = random_object(seed);

		world_drop_object(w, o->kind, o->ns, o->name);
		if (pick(5)) {
			cluster_upsert(c, random_object(seed));
			VEC_PUSH(&w->objects, o);
		} else {
			cluster_delete(c, o->kind, o->ns, o->name);
			object_free(o);
		}
	}
}

static void compile(struct cluster *c)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
}

static bool expected(const struct world *w, const struct local_pod *p, enum direction d, const struct addr *peer,
		     uint8_t protocol, uint16_t port)
{
	const struct object *pod = oracle_pod_of(w, p->attachment);

	if (!pod || !oracle_namespace(w, pod->ns))
		return false;
	if (!oracle_selected(w, pod, d))
		return p->attachment->mode == MODE_STANDARD;
	return oracle_allows(w, pod, d, peer, protocol, port);
}

static void check_samples(const struct world *w, struct cluster *c)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 0};

	for (struct local_pod *p = cluster_local_pods(c); p; p = p->hh.next) {
		for (int i = 0; i < SAMPLES; i++) {
			enum direction d = (enum direction)pick(2);
			struct addr peer = build_addr(ANY_OF(addresses));
			uint8_t protocol = ANY_OF(protocols);
			uint16_t port = protocol ? ANY_OF(ports) : 0;
			char text[ADDR_TEXT_MAX];

			/* a ck_assert that holds is a write to Check's pipe */
			if (profile_allows(p->profile[d], &peer, protocol, port) != expected(w, p, d, &peer, protocol, port))
				ck_abort_msg("%s of %s, peer %s, protocol %u port %u", direction_name(d), p->key,
					     addr_text(&peer, text), protocol, port);
		}
	}
}

static int compare_members(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct member));
}

struct members {
	struct member *v;
	size_t n, cap;
};

static void collect(const struct member *m, void *arg)
{
	struct members *l = arg;

	VEC_PUSH(l, *m);
}

static struct members members_of(const struct group *g)
{
	struct members l = {0};

	group_members(g, collect, &l);
	if (l.n)
		qsort(l.v, l.n, sizeof(l.v[0]), compare_members);
	ck_assert_uint_eq(l.n, group_size(g));
	return l;
}

static void assert_members_equal(const struct members *a, const struct members *b, const char *what)
{
	ck_assert_msg(a->n == b->n && (!a->n || !memcmp(a->v, b->v, a->n * sizeof(a->v[0]))), "members of %s", what);
}

/* What the kernel would hold: a group's set as of its installation, and the changes since. */
struct mirror {
	char name[DEFINITION_NAME_MAX];
	struct members members;
	UT_hash_handle hh;
};

static void mirror_apply(struct mirror *m, const struct member_change *change)
{
	size_t i = 0;

	while (i < m->members.n && memcmp(&m->members.v[i], &change->member, sizeof(change->member)))
		i++;
	/* adding what is there, or removing what is not, the kernel refuses */
	ck_assert_msg((i == m->members.n) == change->added, "a change of %s that is none", m->name);
	if (change->added)
		VEC_PUSH(&m->members, change->member);
	else
		m->members.v[i] = m->members.v[--m->members.n];
}

static struct mirror *mirrors_install(struct mirror *mirrors, struct cluster *c)
{
	for (struct group *g = cluster_groups(c); g; g = g->hh.next) {
		struct mirror *m;

		HASH_FIND_STR(mirrors, g->name, m);
		if (g->installed ? pick(8) : pick(2))
			continue;
		if (!m) {
			m = mem_zalloc(sizeof(*m));
			strcpy(m->name, g->name);
			HASH_ADD_STR(mirrors, name, m);
		}
		g->installed = false; /* one that was has lost its sets, with changes pending or not */
		group_changes_clear(g);
		VEC_DONE(&m->members);
		m->members = members_of(g);
		g->installed = true;
	}
	return mirrors;
}

static void check_mirrors(struct mirror *mirrors, struct cluster *c)
{
	struct group_list changed;
	struct mirror *m;

	cluster_take_changed_groups(c, &changed);
	for (size_t i = 0; i < changed.n; i++) {
		HASH_FIND_STR(mirrors, changed.v[i]->name, m);
		ck_assert_msg(m != NULL, "changes of a group that is not installed");
		for (size_t j = 0; j < changed.v[i]->changes.n; j++)
			mirror_apply(m, &changed.v[i]->changes.v[j]);
		group_changes_clear(changed.v[i]);
	}
	free(changed.v);
	for (struct group *g = cluster_groups(c); g; g = g->hh.next) {
		struct members now;

		if (!g->installed)
			continue;
		HASH_FIND_STR(mirrors, g->name, m);
		now = members_of(g);
		if (m->members.n)
			qsort(m->members.v, m->members.n, sizeof(m->members.v[0]), compare_members);
		assert_members_equal(&m->members, &now, g->definition);
		VEC_DONE(&now);
	}
}

static struct mirror *mirror_forget(struct mirror *mirrors, struct mirror *m)
{
	HASH_DEL(mirrors, m);
	VEC_DONE(&m->members);
	free(m);
	return mirrors;
}

/* As reconcile does with what nobody uses any more, sooner or later. */
static struct mirror *forget_unused(struct mirror *mirrors, struct cluster *c)
{
	for (struct profile *p = cluster_profiles(c), *next; p; p = next) {
		next = p->hh.next;
		if (!p->refs && pick(2))
			cluster_forget_profile(c, p);
	}
	for (struct group *g = cluster_groups(c), *next; g; g = next) {
		struct mirror *m;

		next = g->hh.next;
		if (g->refs || pick(2))
			continue;
		HASH_FIND_STR(mirrors, g->name, m);
		if (m)
			mirrors = mirror_forget(mirrors, m);
		cluster_forget_group(c, g);
	}
	return mirrors;
}

/* The end of a round: a cluster that meets the same world at once (it takes the objects) is the same cluster. */
static void check_scratch(struct world *w, struct cluster *c)
{
	struct cluster *scratch = cluster_new();

	for (size_t i = w->attachments.n; i-- > 0;)
		cluster_attach(scratch, w->attachments.v[i]);
	for (size_t i = 0; i < w->objects.n; i++)
		cluster_upsert(scratch, w->objects.v[i]);
	w->objects.n = 0; /* taken */
	compile(scratch);
	for (struct local_pod *p = cluster_local_pods(c), *q; p; p = p->hh.next) {
		HASH_FIND_STR(cluster_local_pods(scratch), p->key, q);
		ck_assert(q && p->confirmation == q->confirmation && p->node_open == q->node_open);
		ck_assert_str_eq(p->profile[INGRESS]->name, q->profile[INGRESS]->name);
		ck_assert_str_eq(p->profile[EGRESS]->name, q->profile[EGRESS]->name);
	}
	for (struct group *g = cluster_groups(scratch), *own; g; g = g->hh.next) {
		struct members a, b;

		HASH_FIND_STR(cluster_groups(c), g->name, own);
		ck_assert_msg(own != NULL, "%s is missing", g->definition);
		a = members_of(g);
		b = members_of(own);
		assert_members_equal(&a, &b, g->definition);
		VEC_DONE(&a);
		VEC_DONE(&b);
	}
	ck_assert_uint_eq(cluster_doubled_addresses(c), cluster_doubled_addresses(scratch));
	cluster_free(scratch);
}

static void run_round(void)
{
	struct cluster *c = cluster_new();
	struct mirror *mirrors = NULL;
	struct world w = {0};
	uint64_t created = 0;

	for (int i = 0; i < 16; i++)
		change(&w, c, &created);
	for (int step = 0; step < STEPS; step++) {
		for (unsigned n = 1 + pick(6); n > 0; n--)
			change(&w, c, &created);
		if (pick(4) == 0)
			continue; /* changes pile up */
		compile(c);
		check_samples(&w, c);
		if (pick(3)) {
			check_mirrors(mirrors, c);
			mirrors = mirrors_install(mirrors, c);
		} else {
			mirrors = mirrors_install(mirrors, c);
			check_mirrors(mirrors, c);
		}
		mirrors = forget_unused(mirrors, c);
	}
	compile(c);
	check_samples(&w, c);
	check_scratch(&w, c);
	while (mirrors)
		mirrors = mirror_forget(mirrors, mirrors);
	cluster_free(c);
	world_done(&w);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(compiled_profiles_agree_with_the_documentation)
{
	uint64_t seed = setting("MOAT_ORACLE_SEED", (uint64_t)time(NULL)), rounds = setting("MOAT_ORACLE_ROUNDS", 3000);

	printf("oracle: MOAT_ORACLE_SEED=%llu, %llu rounds\n", (unsigned long long)seed, (unsigned long long)rounds);
	fflush(stdout);
	state = seed * 0x9e3779b97f4a7c15u + 1;
	for (uint64_t i = 0; i < rounds; i++)
		run_round();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("oracle");
	Suite *s = suite_create("oracle");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 600);
	tcase_add_test(t, compiled_profiles_agree_with_the_documentation);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

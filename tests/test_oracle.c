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
#include "tests/random.h"

#define STEPS 6
#define SAMPLES 200

static void compile(struct cluster *c)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
}

static void check_samples(const struct world *w, struct cluster *c)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 0};

	for (struct local_pod *p = cluster_local_pods(c); p; p = p->hh.next) {
		for (int i = 0; i < SAMPLES; i++) {
			enum direction d = (enum direction)random_below(2);
			struct addr peer = build_addr(RANDOM_OF(random_addresses));
			uint8_t protocol = RANDOM_OF(protocols);
			uint16_t port = protocol ? RANDOM_OF(random_ports) : 0;
			char text[ADDR_TEXT_MAX];

			/* a ck_assert that holds is a write to Check's pipe */
			if (profile_allows(p->profile[d], &peer, protocol, port) != oracle_expects(w, p, d, &peer, protocol, port))
				ck_abort_msg("%s of %s, peer %s, protocol %u port %u: compiled %d", direction_name(d), p->key,
					     addr_text(&peer, text), protocol, port, profile_allows(p->profile[d], &peer, protocol, port));
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
		if (g->installed ? random_below(8) : random_below(2))
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
		if (!p->refs && random_below(2))
			cluster_forget_profile(c, p);
	}
	for (struct group *g = cluster_groups(c), *next; g; g = next) {
		struct mirror *m;

		next = g->hh.next;
		if (g->refs || random_below(2))
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
	cluster_set_baseline(scratch, TAKE_PTR(w->baseline));
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
		random_change(&w, c, &created);
	for (int step = 0; step < STEPS; step++) {
		for (unsigned n = 1 + random_below(6); n > 0; n--)
			random_change(&w, c, &created);
		if (random_below(4) == 0)
			continue; /* changes pile up */
		compile(c);
		check_samples(&w, c);
		if (random_below(3)) {
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
	random_world_done(&w);
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
	random_seed(seed);
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

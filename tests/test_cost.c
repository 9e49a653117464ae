/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change costs at 10,000 pods and 1,000 policies: counted as selectors that are asked, since time depends on the
 * machine. The time is printed.
 */
#include <check.h>
#include <stdio.h>
#include <time.h>

#include "tests/build.h"

static struct cluster *c;

static void compile(void)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
}

#define BIG_SPACES 100
#define BIG_PODS 10000
#define BIG_POLICIES 1000

/* 100 namespaces with 100 pods each, one of them here, which 10 policies of its namespace select. */
static void big(void)
{
	for (int i = 0; i < BIG_SPACES; i++) {
		CLEAN_FREE char *ns = mem_printf("ns%d", i), *labels = mem_printf("team=t%d", i % 10);

		cluster_upsert(c, build_namespace(ns, labels));
	}
	for (int i = 0; i < BIG_PODS; i++) {
		CLEAN_FREE char *ns = mem_printf("ns%d", i % BIG_SPACES), *name = mem_printf("p%d", i);
		CLEAN_FREE char *labels = mem_printf("app=a%d", i / BIG_SPACES % 10);
		CLEAN_FREE char *addr = mem_printf("10.%d.%d.%d", 1 + i / 60000, i / 250 % 250, 1 + i % 250);

		cluster_upsert(c, build_pod(ns, name, labels, addr, "web=tcp/80"));
		if (i < BIG_SPACES) {
			struct attachment *a = build_attachment(name, ns, name, addr);

			cluster_attach(c, a);
			attachment_free(a);
		}
	}
}

static struct object *big_policy(int i, const char *peer, const char *port)
{
	CLEAN_FREE char *ns = mem_printf("ns%d", i % BIG_SPACES), *name = mem_printf("policy%d", i);
	CLEAN_FREE char *own = i / BIG_SPACES ? mem_printf("pods app=a%d", i % 7) :
						 mem_printf("namespaces team=t%d pods app=a%d", i % 10, i % 7);
	struct object *o = build_policy(ns, name, "app=a0", INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);

	build_peer(rule, peer ? peer : own);
	build_port(rule, port);
	return o;
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* The work of an upsert and the compile behind it, with the time it took printed for whoever is curious. */
static uint64_t work_of(const char *what, struct object *o)
{
	uint64_t before = cluster_evaluations(c), work;
	struct group_list changed;
	double start = now_ms();

	cluster_upsert(c, o);
	compile();
	cluster_take_changed_groups(c, &changed);
	free(changed.v);
	work = cluster_evaluations(c) - before;
	printf("cluster: %s: %.3f ms, %llu selectors asked\n", what, now_ms() - start, (unsigned long long)work);
	return work;
}

START_TEST(cost_of_a_change_is_what_it_touches)
{
	c = cluster_new();
	big();
	for (int i = 0; i < BIG_POLICIES; i++)
		cluster_upsert(c, big_policy(i, NULL, "tcp/80"));
	compile();
	for (struct group *g = cluster_groups(c); g; g = g->hh.next)
		g->installed = true;
	/*
	 * All ten policies of the pod say tcp/80, so taking one away makes another union, and the port alone another group:
	 * each asks the pods of the namespaces that its terms select, 1,000 and 100 here
	 */
	ck_assert_uint_lt(work_of("a policy's port", big_policy(55, NULL, "tcp/443")), 2500);
	ck_assert_uint_lt(work_of("a policy's peers", big_policy(155, "pods app=a9", "udp/1")), 2500);
	/* unions that are known: the policy asked twice for the one local pod of its namespace, and the pod's ten policies */
	ck_assert_uint_lt(work_of("the same policy again", big_policy(55, NULL, "tcp/443")), 30);
	/* before and after: terms of its namespace in use, and those with a namespaceSelector, of which there are 71 */
	ck_assert_uint_lt(work_of("a pod's labels", build_pod("ns7", "p5007", "app=a1", "10.1.20.8", "web=tcp/80")), 250);
	/* nothing that a policy asks for */
	ck_assert_uint_lt(work_of("a pod's status", build_pod("ns7", "p5007", "app=a1", "10.1.20.8", "web=tcp/80")), 1);
	cluster_free(c);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("cost");
	Suite *s = suite_create("cost");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, cost_of_a_change_is_what_it_touches);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What changes of policies leave in a real kernel, each test in a user and network namespace of its own. */
#include <check.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has its own copy of it */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "moat/dump.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "policyd/kernel/reconcile.h"
#include "tests/build.h"
#include "tests/rundir.h"

static struct cluster *c;
static struct reconcile r;
static struct nl nl;
static struct err err;

static bool refresh(void *arg)
{
	(void)arg;
	return false;
}

static void run(void)
{
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
}

/* An attachment of default/<name>, as its ADD leaves it. */
static struct attachment *attach(const char *name, const char *addrs)
{
	struct attachment *a = build_attachment(name, "default", name, addrs);
	static uint64_t created = 1; /* long ago: nobody is about to put it */

	a->created = created++;
	snprintf(a->port, sizeof(a->port), "veth-%s", name);
	ck_assert_int_eq(podstore_put(a, &err), 0);
	ck_assert_msg(pod_close(a, NULL, 0, &err) == 0, "%s", err.text);
	cluster_attach(c, a);
	return a;
}

static void setup(void)
{
	rundir_leave_host();
	rundir_make();
	ck_assert_int_eq(podstore_init(&err), 0);
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	c = cluster_new();
	ck_assert_int_eq(reconcile_init(&r, c, &err), 0);
	r.refresh = refresh;
	cluster_upsert(c, build_namespace("default", NULL));
	cluster_upsert(c, build_pod("default", "db", "role=db", NULL, NULL));
	cluster_upsert(c, build_pod("default", "web", "role=web", "10.9.0.1", NULL));
	attachment_free(attach("db", "10.1.0.2"));
	run();
}

static void teardown(void)
{
	reconcile_done(&r);
	cluster_free(c);
	nl_close(&nl);
	rundir_remove();
}

/* Pods role=db are reached by pods role=<peer> on that port. */
static void allow(const char *peer, const char *port)
{
	struct object *o = build_policy("default", "p", "role=db", INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);
	CLEAN_FREE char *pods = mem_printf("pods role=%s", peer);

	build_peer(rule, pods);
	build_port(rule, port);
	cluster_upsert(c, o);
}

struct counting {
	const char *start;
	size_t n;
	char last[CHAIN_NAME_MAX];
};

static void count(const char *name, void *arg)
{
	struct counting *counting = arg;

	if (strncmp(name, counting->start, strlen(counting->start)) != 0)
		return;
	counting->n++;
	snprintf(counting->last, sizeof(counting->last), "%s", name);
}

static struct counting sets(const char *start)
{
	struct counting counting = {.start = start};

	ck_assert_int_eq(dump_sets(&nl, count, &counting), 0);
	return counting;
}

static struct counting chains(const char *start)
{
	struct counting counting = {.start = start};

	ck_assert_int_eq(dump_chains(&nl, count, &counting), 0);
	return counting;
}

static int count_rule(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	++*(unsigned *)arg;
	return 0;
}

static unsigned rules_of(const char *chain)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 0);
	unsigned n = 0;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	ck_assert_int_eq(nl_dump(&nl, nlh, count_rule, &n), 0);
	return n;
}

START_TEST(changes_leave_nothing_of_what_they_replace)
{
	struct counting n_sets, n_chains;

	allow("web", "tcp/1");
	run();
	n_sets = sets("");
	n_chains = chains("");
	for (unsigned i = 2; i < 20; i++) {
		CLEAN_FREE char *port = mem_printf("tcp/%u", i);

		allow(i % 2 ? "web" : "other", port);
		run();
		ck_assert_uint_eq(sets("").n, n_sets.n);
		ck_assert_uint_eq(chains("").n, n_chains.n);
	}
	cluster_delete(c, KIND_POLICY, "default", "p");
	run();
	ck_assert_uint_eq(sets("a4-").n + sets("a6-").n + sets("m-").n + chains("gid-").n + chains("p-").n, 0);
	ck_assert_uint_eq(r.stats.rebuilds, 1);
}
END_TEST

START_TEST(first_pod_of_a_family_makes_sets_for_it)
{
	allow("web", "tcp/1");
	run();
	ck_assert_uint_eq(sets("a4-").n, 1);
	ck_assert_uint_eq(sets("a6-").n, 0);
	cluster_upsert(c, build_pod("default", "cache", "role=cache", "fd00:9::2", NULL));
	allow("cache", "tcp/1");
	run();
	ck_assert_uint_eq(sets("a4-").n, 1);
	ck_assert_uint_eq(sets("a6-").n, 1);
	ck_assert_uint_eq(rules_of(chains("gid-").last), 3);
	ck_assert_uint_eq(r.stats.rebuilds, 2);
	cluster_upsert(c, build_pod("default", "cache2", "role=cache", "fd00:9::3", NULL));
	run();
	ck_assert_uint_eq(r.stats.rebuilds, 2);
}
END_TEST

/* One pod's chains are gone, so the kernel refuses the swap of all: the others' new chains must not be left empty, which would mean open. */
START_TEST(new_chains_are_filled_although_another_pod_is_gone)
{
	struct attachment *gone;

	cluster_upsert(c, build_pod("default", "db2", "role=db", NULL, NULL));
	gone = attach("db2", "10.1.0.3");
	run();
	ck_assert_int_eq(pod_withdraw(gone, &err), 0);
	ck_assert_int_eq(podstore_mark_closing(gone, &err), 0);
	allow("web", "tcp/1");
	run();
	ck_assert_uint_eq(chains("p-").n, 1);
	ck_assert_uint_eq(rules_of(chains("p-").last), 2);
	ck_assert_uint_eq(rules_of(chains("gid-").last), 2);
	ck_assert_uint_eq(r.stats.rebuilds, 1);
	attachment_free(gone);
}
END_TEST

START_TEST(single_ports_are_a_hash_and_ranges_are_not_lost)
{
	struct object *o = build_policy("default", "p", "role=db", INGRESS);
	struct policy_rule *rule = build_rule(o, INGRESS);

	build_peer(rule, "pods role=web");
	build_port(rule, "tcp/80-90");
	build_port(rule, "udp/53");
	cluster_upsert(c, o);
	run();
	ck_assert_uint_eq(sets("m-").n, 1);
	allow("web", "tcp/80");
	run();
	ck_assert_uint_eq(sets("m-").n, 1);
}
END_TEST

static void count_key(const void *key, size_t len, void *arg)
{
	(void)key;
	(void)len;
	++*(size_t *)arg;
}

static size_t open_to_node(void)
{
	size_t n = 0;

	ck_assert_int_eq(dump_elements(&nl, set_open_node[0].name, count_key, &n), 0);
	return n;
}

START_TEST(pod_that_may_no_longer_reach_its_node_loses_that)
{
	for (int round = 0; round < 2; round++) {
		cluster_set_network_mode(c, "net", MODE_STANDARD, DENY_DROP);
		run();
		ck_assert_uint_eq(open_to_node(), 1);
		cluster_set_network_mode(c, "net", MODE_STRICT, DENY_DROP);
		run();
		ck_assert_uint_eq(open_to_node(), 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("changes");
	TCase *tcase = tcase_create("changes");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, changes_leave_nothing_of_what_they_replace);
	tcase_add_test(tcase, first_pod_of_a_family_makes_sets_for_it);
	tcase_add_test(tcase, new_chains_are_filled_although_another_pod_is_gone);
	tcase_add_test(tcase, single_ports_are_a_hash_and_ranges_are_not_lost);
	tcase_add_test(tcase, pod_that_may_no_longer_reach_its_node_loses_that);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* namespaces are left by ending the process */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

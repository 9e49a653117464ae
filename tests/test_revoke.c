/* SPDX-License-Identifier: Apache-2.0 */
/* Which tracked connections a changed policy ends, and which it leaves, in the real kernel, each test in namespaces of its own. */
#include <check.h>
#include <dlfcn.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "moat/dump.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "policyd/kernel/reconcile.h"
#include "policyd/kernel/tamper.h"
#include "tests/build.h"
#include "tests/flows.h"
#include "tests/rundir.h"

#define WEB "10.1.0.3"
#define DB "10.1.0.2"
#define STD "10.1.0.9"
#define FAR "10.9.0.1" /* a pod of another node */
#define OUTSIDE "172.17.0.1"
#define CLUSTER_IP "10.96.0.10"
#define NODE "192.168.50.1"

static struct cluster *c;
static struct reconcile r;
static struct flows flows;
static struct nl nl;
static struct err err;

static bool refresh(void *arg)
{
	(void)arg;
	return true;
}

static void run(void)
{
	ck_assert_msg(reconcile_run(&r, &err) == 0, "%s", err.text);
}

static void attach(const char *name, const char *addr, enum mode mode)
{
	struct attachment *a = build_attachment(name, "default", name, addr);
	static uint64_t created = 1;

	a->created = created++;
	a->mode = mode;
	snprintf(a->port, sizeof(a->port), "veth-%s", name);
	ck_assert_int_eq(podstore_put(a, &err), 0);
	ck_assert_msg(pod_close(a, NULL, 0, &err) == 0, "%s", err.text);
	cluster_attach(c, a);
	attachment_free(a);
}

static void setup(void)
{
	rundir_leave_host();
	rundir_make();
	ck_assert_int_eq(podstore_init(&err), 0);
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	flows_open(&flows);
	c = cluster_new();
	ck_assert_int_eq(reconcile_init(&r, c, &err), 0);
	r.refresh = refresh;
	cluster_upsert(c, build_namespace("default", NULL));
	cluster_upsert(c, build_pod("default", "db", "role=db", NULL, NULL));
	cluster_upsert(c, build_pod("default", "web", "role=web", NULL, NULL));
	cluster_upsert(c, build_pod("default", "far", "role=far", FAR, NULL));
	attach("db", DB, MODE_STRICT);
	attach("web", WEB, MODE_STRICT);
	run();
}

static void teardown(void)
{
	reconcile_done(&r);
	cluster_free(c);
	flows_close(&flows);
	nl_close(&nl);
	rundir_remove();
}

/* Pods role=<pods> may d from or to peer on port (NULL: any). */
static void allow(const char *pods, enum direction d, const char *peer, const char *port)
{
	CLEAN_FREE char *name = mem_printf("%s-%s", pods, direction_name(d)), *labels = mem_printf("role=%s", pods);
	struct object *o = build_policy("default", name, labels, d);
	struct policy_rule *rule = build_rule(o, d);

	build_peer(rule, peer);
	if (port)
		build_port(rule, port);
	cluster_upsert(c, o);
}

/* from:from_port to:to_port, answered by `by` at port (NULL: by itself), seen there as from `as` (NULL: from). */
static void open_flow(uint8_t protocol, const char *from, uint16_t from_port, const char *to, uint16_t to_port, const char *by,
		      uint16_t port, const char *as)
{
	const struct conntrack_flow flow = {
		.protocol = protocol,
		.source = build_addr(from),
		.source_port = from_port,
		.destination = build_addr(to),
		.destination_port = to_port,
		.reply_source = build_addr(by ? by : to),
		.reply_source_port = by ? port : to_port,
		.reply_destination = build_addr(as ? as : from),
		.reply_destination_port = from_port,
	};

	flows_add(&flows, &flow);
	flows_send(&flows);
	ck_assert_uint_eq(flows.refused, 0);
}

static bool is_open(const char *from, uint16_t from_port)
{
	const struct conntrack_place place = {.addr = build_addr(from), .end = CONNTRACK_SOURCE};
	struct conntrack_entries found = {0};
	struct conntrack ct;
	bool open = false;

	ck_assert_int_eq(conntrack_open(&ct, &err), 0);
	ck_assert_int_eq(conntrack_find(&ct, &place, 1, &found, &err), 0);
	for (size_t i = 0; i < found.n; i++)
		open |= found.v[i].flow.source_port == from_port;
	free(found.v);
	conntrack_close(&ct);
	return open;
}

static bool is_revoked(uint8_t protocol, const char *from, uint16_t from_port, const char *to, uint16_t to_port)
{
	struct addr source = build_addr(from), destination = build_addr(to);
	struct key key = key_with_port(key_with_addr(key_with_protocol((struct key){.len = 0}, protocol), &source), from_port);
	char unused[CHAIN_NAME_MAX];

	key = key_with_port(key_with_addr(key, &destination), to_port);
	return txn_read_verdict(&nl, &set_revoked[FAMILY_INDEX(&source)], key, unused) == 0;
}

START_TEST(narrowed_ingress_ends_what_it_denies_through_a_service_too)
{
	allow("web", EGRESS, "pods role=db", NULL);
	allow("db", INGRESS, "pods role=web", NULL);
	run();
	open_flow(IPPROTO_TCP, WEB, 1, DB, 80, NULL, 0, NULL);
	open_flow(IPPROTO_TCP, WEB, 2, DB, 81, NULL, 0, NULL);
	open_flow(IPPROTO_UDP, WEB, 3, DB, 53, NULL, 0, NULL);
	open_flow(IPPROTO_TCP, WEB, 4, CLUSTER_IP, 8080, DB, 80, NULL);
	open_flow(IPPROTO_TCP, WEB, 5, CLUSTER_IP, 8081, DB, 81, NULL);
	open_flow(IPPROTO_TCP, FAR, 6, OUTSIDE, 80, NULL, 0, NULL); /* nobody's here */
	allow("db", INGRESS, "pods role=web", "tcp/81");
	run();
	ck_assert(!is_open(WEB, 1));
	ck_assert(is_open(WEB, 2));
	ck_assert(!is_open(WEB, 3));
	ck_assert(!is_open(WEB, 4));
	ck_assert(is_open(WEB, 5));
	ck_assert(is_open(FAR, 6));
	ck_assert_uint_eq(r.revoke.revoked, 3);
}
END_TEST

START_TEST(revoked_is_told_to_the_kernel_as_forward_sees_it)
{
	allow("web", EGRESS, "pods role=db", NULL);
	allow("db", INGRESS, "pods role=web", NULL);
	run();
	open_flow(IPPROTO_TCP, WEB, 1, CLUSTER_IP, 8080, DB, 80, NULL);
	open_flow(IPPROTO_UDP, WEB, 2, DB, 53, NULL, 0, NULL);
	allow("db", INGRESS, "pods role=web", "tcp/81");
	run();
	ck_assert(is_revoked(IPPROTO_TCP, WEB, 1, DB, 80));
	ck_assert(is_revoked(IPPROTO_TCP, DB, 80, WEB, 1));
	ck_assert(is_revoked(IPPROTO_UDP, DB, 53, WEB, 2));
	ck_assert(!is_revoked(IPPROTO_UDP, WEB, 2, DB, 53)); /* for policy to say: it may be allowed again */
	ck_assert(!is_revoked(IPPROTO_TCP, DB, 81, WEB, 1));
}
END_TEST

START_TEST(narrowed_egress_ends_what_the_pod_opened)
{
	allow("web", EGRESS, "172.16.0.0/12", NULL);
	allow("web", INGRESS, "172.16.0.0/12", NULL);
	run();
	open_flow(IPPROTO_TCP, WEB, 1, OUTSIDE, 443, NULL, 0, NODE); /* masqueraded */
	open_flow(IPPROTO_UDP, WEB, 2, OUTSIDE, 443, NULL, 0, NODE);
	open_flow(IPPROTO_TCP, OUTSIDE, 3, WEB, 80, NULL, 0, NULL);
	allow("web", EGRESS, "172.18.0.0/16", NULL);
	run();
	ck_assert(!is_open(WEB, 1));
	ck_assert(!is_open(WEB, 2));
	ck_assert(is_open(OUTSIDE, 3));
	cluster_delete(c, KIND_POLICY, "default", "web-ingress");
	run();
	ck_assert(!is_open(OUTSIDE, 3));
}
END_TEST

START_TEST(peer_that_leaves_a_group_loses_its_connections)
{
	allow("db", INGRESS, "pods role=far", NULL);
	allow("web", EGRESS, "pods role=far", NULL);
	run();
	open_flow(IPPROTO_TCP, FAR, 1, DB, 80, NULL, 0, NULL);
	open_flow(IPPROTO_TCP, WEB, 2, FAR, 80, NULL, 0, NULL);
	cluster_upsert(c, build_pod("default", "far", "role=else", FAR, NULL));
	run();
	ck_assert(!is_open(FAR, 1));
	ck_assert(!is_open(WEB, 2));
}
END_TEST

/* What no policy is asked about: the node to its pods, a pod to itself through a Service, a pod in mode standard to its node. */
START_TEST(what_is_always_allowed_lives)
{
	ck_assert_int_eq(system("ip link set lo up && ip address add " NODE "/32 dev lo"), 0);
	cluster_upsert(c, build_pod("default", "std", "role=std", NULL, NULL));
	attach("std", STD, MODE_STANDARD);
	allow("db", INGRESS, "pods role=web", NULL);
	allow("db", EGRESS, "pods role=web", NULL);
	allow("std", EGRESS, "pods role=web", NULL);
	run();
	open_flow(IPPROTO_TCP, NODE, 1, DB, 80, NULL, 0, NULL);
	open_flow(IPPROTO_TCP, DB, 2, CLUSTER_IP, 8080, DB, 80, NULL);
	open_flow(IPPROTO_TCP, STD, 3, NODE, 80, NULL, 0, NULL);
	open_flow(IPPROTO_TCP, DB, 4, NODE, 80, NULL, 0, NULL);
	open_flow(IPPROTO_TCP, WEB, 5, DB, 80, NULL, 0, NULL);
	allow("db", INGRESS, "pods role=web", "tcp/81");
	allow("db", EGRESS, "pods role=web", "tcp/81");
	allow("std", EGRESS, "pods role=web", "tcp/81");
	run();
	ck_assert(is_open(NODE, 1));
	ck_assert(is_open(DB, 2));
	ck_assert(is_open(STD, 3));
	ck_assert(!is_open(DB, 4)); /* strict: by policy */
	ck_assert(!is_open(WEB, 5));
}
END_TEST

START_TEST(only_what_can_have_lost_something_is_looked_for)
{
	r.revoke.again.n = 0;
	allow("db", INGRESS, "pods role=web", "tcp/80"); /* nothing was allowed before */
	run();
	ck_assert_uint_eq(r.revoke.again.n, 0);
	cluster_upsert(c, build_pod("default", "other", "role=web", "10.9.0.2", NULL)); /* one more peer */
	run();
	ck_assert_uint_eq(r.revoke.again.n, 0);
	allow("db", INGRESS, "pods role=web", "tcp/81");
	run();
	ck_assert_uint_eq(r.revoke.again.n, 1);
	ck_assert_int_eq(r.revoke.again.v[0].end, CONNTRACK_REPLY_SOURCE);
	r.revoke.again.n = 0;
	cluster_upsert(c, build_pod("default", "db3", "role=db", NULL, NULL));
	attach("db3", "10.1.0.4", MODE_STRICT); /* ADD has forgotten what its address had */
	run();
	ck_assert_uint_eq(r.revoke.again.n, 0);
	cluster_upsert(c, build_pod("default", "db4", "role=db", NULL, NULL));
	attach("db4", "10.1.0.5", MODE_AUDIT); /* but let pass what is enforced now */
	cluster_set_network_mode(c, "net", MODE_STRICT, DENY_DROP);
	run();
	ck_assert_uint_gt(r.revoke.again.n, 0);
}
END_TEST

/* ---- what is under way at the swap --------------------------------------------------------------------------------------- */

#define STEPS_MAX 20000 /* of a millisecond and more: no machine is so busy */
#define NEVER_MS 3600000

static uv_loop_t loop;
static bool (*grace)(void); /* what happens during a grace period; false: the kernel has none */

/* Takes the place of libc's: a grace period is what the test says it is. Like the real one it takes six arguments from whoever gave less. */
__attribute__((no_sanitize_address)) long syscall(long number, ...)
{
	long (*real)(long, ...) = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
	long args[6];
	va_list list;

	va_start(list, number);
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (number != SYS_membarrier || !grace)
		return real(number, args[0], args[1], args[2], args[3], args[4], args[5]);
	if (grace())
		return 0;
	errno = ENOSYS;
	return -1;
}

/* In the loop's thread as well as in one of its workers: each has a socket of its own. */
static void confirm(uint16_t from_port)
{
	const struct conntrack_flow flow = {
		.protocol = IPPROTO_TCP,
		.source = build_addr(WEB),
		.source_port = from_port,
		.destination = build_addr(DB),
		.destination_port = 80,
		.reply_source = build_addr(DB),
		.reply_source_port = 80,
		.reply_destination = build_addr(WEB),
		.reply_destination_port = from_port,
	};
	struct flows own;

	flows_open(&own);
	flows_add(&own, &flow);
	flows_close(&own);
}

static bool confirm_during_grace(void)
{
	confirm(2);
	return true;
}

static uint64_t refused_us;

static bool confirm_without_grace(void)
{
	confirm(2);
	refused_us = clock_monotonic_us();
	return false;
}

static void step(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static bool second_look_is_over(void)
{
	const struct revoke *v = &r.revoke;

	return revoke_is_done(v) && !v->looking && !v->waiting && !v->again.n && !v->ready.n;
}

static void run_loop_until(bool (*is_over)(void))
{
	int steps = 0;

	while (!is_over() && steps++ < STEPS_MAX)
		step();
	ck_assert(is_over());
}

static bool three_are_revoked(void)
{
	return r.revoke.revoked == 3;
}

/* A flow that the narrowed policy denies; the third look comes when the test says so. */
static void narrow_beside_the_loop(void)
{
	uv_loop_init(&loop);
	r.revoke.again.n = r.revoke.late.n = 0; /* of the fixture's start */
	revoke_follow(&r.revoke, &loop);
	uv_timer_stop(&r.revoke.timer);
	uv_timer_set_repeat(&r.revoke.timer, NEVER_MS);
	run_loop_until(second_look_is_over);
	allow("web", EGRESS, "pods role=db", NULL);
	allow("db", INGRESS, "pods role=web", NULL);
	run();
	run_loop_until(second_look_is_over);
	confirm(1);
	allow("db", INGRESS, "pods role=web", "tcp/81");
	run();
}

static void leave_loop(void)
{
	revoke_close_handles(&r.revoke);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

/* Its packet was judged by the old policy, and makes the entry after the first look: the second comes when no such packet is left. */
START_TEST(what_a_packet_under_way_confirms_dies_after_the_grace_period)
{
	grace = _i ? confirm_without_grace : confirm_during_grace;
	narrow_beside_the_loop();
	run_loop_until(second_look_is_over);
	grace = NULL;
	ck_assert(!_i || clock_monotonic_us() - refused_us >= 16000); /* the longest grace period seen */
	ck_assert_uint_eq(r.revoke.revoked, 2);
	ck_assert(!is_open(WEB, 1));
	ck_assert(!is_open(WEB, 2));
	ck_assert(is_revoked(IPPROTO_TCP, WEB, 2, DB, 80));
	leave_loop();
}
END_TEST

/* It was kept somewhere for longer. */
START_TEST(what_is_confirmed_later_dies_at_the_third_look)
{
	grace = confirm_during_grace;
	narrow_beside_the_loop();
	run_loop_until(second_look_is_over);
	grace = NULL;
	confirm(3);
	ck_assert(is_open(WEB, 3));
	uv_timer_set_repeat(&r.revoke.timer, 1);
	uv_timer_again(&r.revoke.timer);
	run_loop_until(three_are_revoked);
	ck_assert(!is_open(WEB, 3));
	leave_loop();
}
END_TEST

START_TEST(what_is_only_observed_goes_on)
{
	attach("db", DB, MODE_AUDIT);
	allow("db", INGRESS, "pods role=far", NULL);
	run();
	open_flow(IPPROTO_TCP, FAR, 1, DB, 80, NULL, 0, NULL);
	cluster_delete(c, KIND_POLICY, "default", "db-ingress");
	run();
	ck_assert(is_open(FAR, 1));
}
END_TEST

/* A start: what a former daemon allowed is not known. */
START_TEST(a_rebuild_looks_at_everything)
{
	open_flow(IPPROTO_TCP, FAR, 1, DB, 80, NULL, 0, NULL);
	open_flow(IPPROTO_UDP, WEB, 2, FAR, 80, NULL, 0, NULL);
	reconcile_distrust(&r);
	run();
	ck_assert(!is_open(FAR, 1));
	ck_assert(!is_open(WEB, 2));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("revoke");
	TCase *tcase = tcase_create("revoke");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, narrowed_ingress_ends_what_it_denies_through_a_service_too);
	tcase_add_test(tcase, revoked_is_told_to_the_kernel_as_forward_sees_it);
	tcase_add_test(tcase, narrowed_egress_ends_what_the_pod_opened);
	tcase_add_test(tcase, peer_that_leaves_a_group_loses_its_connections);
	tcase_add_test(tcase, what_is_always_allowed_lives);
	tcase_add_test(tcase, only_what_can_have_lost_something_is_looked_for);
	tcase_add_loop_test(tcase, what_a_packet_under_way_confirms_dies_after_the_grace_period, 0, 2);
	tcase_add_test(tcase, what_is_confirmed_later_dies_at_the_third_look);
	tcase_add_test(tcase, what_is_only_observed_goes_on);
	tcase_add_test(tcase, a_rebuild_looks_at_everything);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* namespaces are left by ending the process */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

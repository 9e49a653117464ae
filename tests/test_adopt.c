/* SPDX-License-Identifier: Apache-2.0 */
/* Adoption against the real kernel: who is, who is not and why, what is written, and how it ends. */
#include <check.h>
#include <linux/netlink.h>
#include <string.h>

#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "policyd/source/adopt.h"
#include "policyd/model/compile.h"
#include "tests/build.h"
#include "tests/netpods.h"
#include "tests/rundir.h"

#define BRIDGE "ip link add cni0 type bridge; ip address add 10.1.0.1/24 dev cni0; ip address add fd00:1::1/64 dev cni0 nodad; ip link set cni0 up"

static struct cluster *c;
static struct attachments attachments;
static struct adopt a;
static struct nl nl;
static struct err err;

static void set_up(void)
{
	netpods_make();
	rundir_make();
	c = cluster_new();
	cluster_set_node(c, "node1");
	ck_assert_msg(attachments_init(&attachments, c, &err) == 0, "%s", err.text);
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
	adopt_init(&a, c, &attachments, &nl, false);
	cluster_upsert(c, build_namespace("default", NULL));
}

static void tear_down(void)
{
	adopt_done(&a);
	nl_close(&nl);
	attachments_done(&attachments);
	cluster_free(c);
	rundir_remove();
	netpods_remove();
}

static struct object *pod_object(const char *name, const char *uid, const char *addrs)
{
	struct object *pod = build_pod("default", name, NULL, addrs, NULL);

	pod->pod.node = mem_strdup("node1");
	pod->pod.running = true;
	pod->uid = mem_strdup(uid);
	return pod;
}

static void know(const char *name, const char *uid, const char *addrs)
{
	cluster_upsert(c, pod_object(name, uid, addrs));
}

static const struct local_pod *local(const char *uid)
{
	CLEAN_FREE char *key = mem_printf(ADOPTED_NETWORK "/%s:" ADOPTED_IFNAME, uid);
	struct local_pod *pod;
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
	HASH_FIND_STR(cluster_local_pods(c), key, pod);
	return pod;
}

static bool kernel_has(const char *addr)
{
	struct addr wanted = build_addr(addr);
	char chain[CHAIN_NAME_MAX];
	int code = txn_read_verdict(&nl, &map_to_pod[FAMILY_INDEX(&wanted)], key_of_addr(&wanted), chain);

	return code == 0;
}

static void note_why(const struct object *pod, void *why)
{
	*(const char **)why = adopt_why_not(&a, pod);
}

static const char *why_not(void)
{
	const char *why = NULL;

	cluster_each_escape(c, note_why, &why);
	return why ? why : "(no escape)";
}

static void assert_refused(const char *why)
{
	ck_assert(!adopt_escapes(&a, true));
	ck_assert_msg(strstr(why_not(), why), "expected \"%s\", found \"%s\"", why, why_not());
}

START_TEST(a_pod_that_ran_before_is_adopted_and_held)
{
	const struct local_pod *pod;

	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	know("old", "u1", "10.1.0.11,fd00:1::11");
	ck_assert(adopt_escapes(&a, false));
	pod = local("u1");
	ck_assert(pod && pod->confirmation == POD_CONFIRMED && pod->mode == MODE_PREVIEW);
	ck_assert_str_eq(pod->attachment->port, "veth1");
	ck_assert(pod->attachment->adoption == ADOPTION_HELD && pod->attachment->n_addrs == 2 && !pod->lost[INGRESS]);
	ck_assert(kernel_has("10.1.0.11") && kernel_has("fd00:1::11"));
	ck_assert_str_eq(why_not(), "(no escape)");
	ck_assert(rundir_has("pods/adopted/u1:eth0"));
	ck_assert(!adopt_escapes(&a, true));
}
END_TEST

START_TEST(a_port_of_a_bridge_is_adopted_with_its_mac)
{
	const struct local_pod *pod;

	netpods_sh(BRIDGE);
	netpods_add("veth1", "cni0", "10.1.0.11", "fd00:1::11");
	netpods_add("veth2", "cni0", "10.1.0.12", "fd00:1::12");
	know("old", "u1", "10.1.0.12,fd00:1::12");
	ck_assert_msg(adopt_escapes(&a, false), "%s", why_not());
	pod = local("u1");
	ck_assert_str_eq(pod->attachment->port, "veth2");
	ck_assert_str_eq(pod->attachment->bridge, "cni0");
	ck_assert(memcmp(pod->attachment->mac, (uint8_t[6]){0}, 6) != 0 && kernel_has("10.1.0.12") && !kernel_has("10.1.0.11"));
	netpods_sh("grep -q 1 /proc/sys/net/ipv4/conf/cni0/proxy_arp_pvlan");
}
END_TEST

START_TEST(what_cannot_be_told_is_refused_until_it_can)
{
	know("old", "u1", "10.1.0.11");
	assert_refused("no route to 10.1.0.11");
	ck_assert(!adopt_escapes(&a, false)); /* not tried again for nothing */
	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	ck_assert(!adopt_escapes(&a, false));
	ck_assert(adopt_escapes(&a, true));
	ck_assert(local("u1"));
	ck_assert_ptr_null(a.refusals);
}
END_TEST

START_TEST(a_bridge_that_cannot_be_guarded_is_refused_and_left_alone)
{
	netpods_sh("ip link add cni0 type bridge; ip link set cni0 up; ip route add 10.1.0.0/24 dev cni0");
	netpods_add("veth1", "cni0", "10.1.0.11", "fd00:1::11");
	know("old", "u1", "10.1.0.11");
	assert_refused("bridge cni0 has no IPv4 address of the node");
	ck_assert(!rundir_has("pods/adopted/u1:eth0") && !rundir_has("bridges/cni0"));
}
END_TEST

/* To adopt it would loosen what is closed. */
START_TEST(what_moat_guarded_once_is_not_adopted)
{
	CLEAN_FREE char *state = rundir_path("pods/adopted/u1:eth0"), *index4 = rundir_path("addrs/10.1.0.11"), *port = rundir_path("ports/veth1");
	CLEAN_FREE char *remove = mem_printf("rm %s %s %s", state, index4, port);

	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	know("old", "u1", "10.1.0.11");
	ck_assert(adopt_escapes(&a, false));
	netpods_sh(remove);
	ck_assert(attachments_read_all(&attachments));
	assert_refused("moat attached it once");
}
END_TEST

START_TEST(an_address_of_another_attachment_is_refused)
{
	struct attachment *other = rundir_attachment("x", "veth9", "10.1.0.11");

	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	ck_assert_int_eq(podstore_put(other, &err), 0);
	attachment_free(other);
	attachments_read_all(&attachments);
	know("old", "u1", "10.1.0.11");
	assert_refused("10.1.0.11 is attachment net/x:eth0's");
}
END_TEST

/* Its object went, its link stayed, and somebody else of the API has the address now. */
START_TEST(a_new_pod_takes_over_from_an_adopted_one_that_is_none_any_more)
{
	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	know("old", "u1", "10.1.0.11");
	ck_assert(adopt_escapes(&a, false));
	cluster_delete(c, KIND_POD, "default", "old");
	know("new", "u2", "10.1.0.11");
	ck_assert(local("u1")->confirmation == POD_UNKNOWN);
	ck_assert_msg(adopt_escapes(&a, false), "%s", why_not());
	attachments_read_all(&attachments);
	ck_assert(local("u2") && !local("u1"));
	ck_assert(kernel_has("10.1.0.11"));
}
END_TEST

START_TEST(the_end_of_the_link_is_the_end_of_it)
{
	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	know("old", "u1", "10.1.0.11");
	ck_assert(adopt_escapes(&a, false));
	ck_assert(!adopt_release_gone(&a));
	netpods_sh("ip link del veth1");
	ck_assert(adopt_release_gone(&a));
	ck_assert(!local("u1") && !kernel_has("10.1.0.11") && !rundir_has("pods/adopted/u1:eth0") && !rundir_has("addrs/10.1.0.11"));
	ck_assert_str_eq(why_not(), "(no escape)"); /* its object outlives it */
}
END_TEST

START_TEST(enforced_it_is_like_any_other_and_stays_so)
{
	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	netpods_add("veth2", NULL, "10.1.0.12", "fd00:1::12");
	know("one", "u1", "10.1.0.11");
	know("two", "u2", "10.1.0.12");
	ck_assert(adopt_escapes(&a, false));
	ck_assert_int_eq(adopt_enforce(&a, "default", "none", &err), 0);
	ck_assert_int_eq(adopt_enforce(&a, "default", "one", &err), 1);
	ck_assert(local("u1")->mode == MODE_STRICT && local("u1")->lost[INGRESS] && local("u2")->mode == MODE_PREVIEW);
	ck_assert_int_eq(adopt_enforce(&a, NULL, NULL, &err), 2);
	ck_assert(local("u2")->mode == MODE_STRICT);
	attachments_done(&attachments); /* another daemon */
	ck_assert_int_eq(attachments_init(&attachments, c, &err), 0);
	ck_assert(local("u1")->attachment->adoption == ADOPTION_ENFORCED && local("u1")->mode == MODE_STRICT);
}
END_TEST

START_TEST(enforced_at_once_if_the_option_says_so_and_spared)
{
	a.enforce = true;
	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	know("old", "u1", "10.1.0.11");
	ck_assert(adopt_escapes(&a, false));
	ck_assert(local("u1")->mode == MODE_STRICT && local("u1")->spared && !local("u1")->lost[INGRESS]);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("adopt");
	Suite *s = suite_create("adopt");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_pod_that_ran_before_is_adopted_and_held);
	tcase_add_test(t, a_port_of_a_bridge_is_adopted_with_its_mac);
	tcase_add_test(t, what_cannot_be_told_is_refused_until_it_can);
	tcase_add_test(t, a_bridge_that_cannot_be_guarded_is_refused_and_left_alone);
	tcase_add_test(t, what_moat_guarded_once_is_not_adopted);
	tcase_add_test(t, an_address_of_another_attachment_is_refused);
	tcase_add_test(t, a_new_pod_takes_over_from_an_adopted_one_that_is_none_any_more);
	tcase_add_test(t, the_end_of_the_link_is_the_end_of_it);
	tcase_add_test(t, enforced_it_is_like_any_other_and_stays_so);
	tcase_add_test(t, enforced_at_once_if_the_option_says_so_and_spared);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

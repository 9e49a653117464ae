/* SPDX-License-Identifier: Apache-2.0 */
/* Whose an address is, by the kernel: routed ports, bridges, who claims too much, and what leads nowhere. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "moat/holders.h"
#include "tests/build.h"
#include "tests/netpods.h"

static struct err err;

/* The port that has them, or "" and err. */
static const char *find(const char *first, const char *second, struct link *ret)
{
	struct addr addrs[2] = {build_addr(first)};
	struct holders *h = NULL;
	size_t n = 1;
	int code;

	if (second)
		addrs[n++] = build_addr(second);
	memset(ret, 0, sizeof(*ret));
	ck_assert_msg(holders_new(&h, &err) == 0, "%s", err.text);
	code = holders_find(h, addrs, n, ret, &err);
	ck_assert((code == 0) == (ret->index != 0));
	holders_free(h);
	return ret->name;
}

static void assert_nowhere(const char *first, const char *second, int code, const char *why)
{
	struct link link;

	ck_assert_str_eq(find(first, second, &link), "");
	ck_assert_int_eq(err.code, code);
	ck_assert_msg(strstr(err.text, why), "expected \"%s\", found \"%s\"", why, err.text);
}

START_TEST(a_route_to_the_very_address_is_its_ports)
{
	struct link link;

	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	netpods_add("veth2", NULL, "10.1.0.12", "fd00:1::12");
	ck_assert_str_eq(find("10.1.0.11", "fd00:1::11", &link), "veth1");
	ck_assert_str_eq(find("fd00:1::12", NULL, &link), "veth2");
	ck_assert(link.peer_index && link.master_index == 0 && memcmp(link.peer_mac, (uint8_t[6]){0}, 6) != 0);
	assert_nowhere("10.1.0.11", "10.1.0.12", EMLINK, "behind two ports");
}
END_TEST

START_TEST(what_another_pod_takes_does_not_move_a_route)
{
	struct link link;
	netpods_add("veth1", NULL, "10.1.0.11", "fd00:1::11");
	netpods_add("veth2", NULL, "10.1.0.12", "fd00:1::12");
	netpods_in(1, "ip address add 10.1.0.11/32 dev eth0");
	ck_assert_str_eq(find("10.1.0.11", NULL, &link), "veth1");
}
END_TEST

START_TEST(the_container_behind_a_bridge_that_has_it_is_found)
{
	struct link link;

	netpods_sh("ip link add cni0 type bridge; ip address add 10.1.0.1/24 dev cni0; ip address add fd00:1::1/64 dev cni0 nodad; ip link set cni0 up");
	netpods_add("veth1", "cni0", "10.1.0.11", "fd00:1::11");
	netpods_add("veth2", "cni0", "10.1.0.12", "fd00:1::12");
	ck_assert_str_eq(find("10.1.0.12", "fd00:1::12", &link), "veth2");
	ck_assert(link.master_index != 0);
	assert_nowhere("10.1.0.99", NULL, ENOENT, "no container of bridge cni0 has address 10.1.0.99");
	assert_nowhere("10.1.0.1", NULL, ENOENT, "no other host's address");
}
END_TEST

/* Forged neighbours and learned MACs are not asked for; two that have the address are no answer. */
START_TEST(two_claims_behind_a_bridge_are_nobodys)
{
	netpods_sh("ip link add cni0 type bridge; ip address add 10.1.0.1/24 dev cni0; ip link set cni0 up");
	netpods_add("veth1", "cni0", "10.1.0.11", "fd00:1::11");
	netpods_add("veth2", "cni0", "10.1.0.12", "fd00:1::12");
	netpods_in(1, "ip address add 10.1.0.11/32 dev eth0");
	assert_nowhere("10.1.0.11", NULL, EMLINK, "two containers of bridge cni0 have address 10.1.0.11");
}
END_TEST

START_TEST(what_leads_elsewhere_is_no_port)
{
	netpods_sh("ip link add wire type veth peer name other; ip link set wire up; ip link set other up; ip address add 192.0.2.1/24 dev wire;"
	   "ip route add 198.51.100.7/32 dev wire");
	assert_nowhere("203.0.113.1", NULL, ENETUNREACH, "no route to 203.0.113.1");
	assert_nowhere("192.0.2.7", NULL, ENOENT, "no route to 192.0.2.7 alone");
	assert_nowhere("198.51.100.7", NULL, ENOENT, "neither a bridge nor one end of a veth pair into another namespace");
	assert_nowhere("192.0.2.1", NULL, ENOENT, "no other host's address");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("holders");
	Suite *s = suite_create("holders");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, netpods_make, netpods_remove);
	tcase_add_test(t, a_route_to_the_very_address_is_its_ports);
	tcase_add_test(t, what_another_pod_takes_does_not_move_a_route);
	tcase_add_test(t, the_container_behind_a_bridge_that_has_it_is_found);
	tcase_add_test(t, two_claims_behind_a_bridge_are_nobodys);
	tcase_add_test(t, what_leads_elsewhere_is_no_port);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

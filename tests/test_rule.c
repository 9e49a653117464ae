/* SPDX-License-Identifier: Apache-2.0 */
/* Golden bytecode: each rule phrase, the static ruleset, a pod, a profile. Needs no kernel and no privilege. */
#include <check.h>
#include <netinet/in.h>
#include <linux/if_packet.h>
#include <string.h>

#include "moat/pod.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "policyd/kernel/program.h"
#include "tests/bytecode.h"

static void check_and_free(struct txn *t, const char *name)
{
	CLEAN_FREE char *text = bytecode_of(t);

	bytecode_check(name, text);
	txn_free(t);
}

/* One rule per phrase, so that a changed expression shows as one paragraph. */
#define PHRASE(t, ...)                                                                                                 \
	do {                                                                                                           \
		rule_begin(t, "phrase");                                                                               \
		__VA_ARGS__;                                                                                           \
		rule_end(t);                                                                                           \
	} while (0)

START_TEST(each_phrase_has_its_bytecode)
{
	struct txn *t = txn_new();

	PHRASE(t, rule_load_iifname(t); rule_load_saddr(t, AF_INET); rule_vmap(t, "m"));
	PHRASE(t, rule_load_iifname(t); rule_load_saddr(t, AF_INET6); rule_vmap(t, "m"));
	PHRASE(t, rule_load_oifname(t); rule_load_daddr(t, AF_INET); rule_in(t, "s"));
	PHRASE(t, rule_load_daddr(t, AF_INET6); rule_load_l4proto(t); rule_load_dport(t); rule_in(t, "s"));
	PHRASE(t, rule_l4proto(t, IPPROTO_TCP); rule_load_saddr(t, AF_INET); rule_load_sport(t); rule_load_daddr(t, AF_INET);
	       rule_in(t, "s"));
	PHRASE(t, rule_load_saddr(t, AF_INET); rule_load_ct_saddr(t, AF_INET, false); rule_in(t, "s"));
	PHRASE(t, rule_load_saddr(t, AF_INET6); rule_load_ct_saddr(t, AF_INET6, true); rule_in(t, "s"));
	PHRASE(t, rule_not_l4proto(t, IPPROTO_TCP); rule_limit(t, 100, 50); rule_reject_admin_prohibited(t));
	PHRASE(t, rule_limit(t, 100, 50); rule_reject_tcp_reset(t));
	PHRASE(t, rule_ct_state(t, CT_ESTABLISHED); rule_accept(t));
	PHRASE(t, rule_ct_state_not(t, CT_NEW); rule_drop(t));
	PHRASE(t, rule_icmp_type(t, AF_INET, 5); rule_return(t));
	PHRASE(t, rule_icmp_type(t, AF_INET6, 135); rule_hop_limit(t, 255); rule_jump(t, "c"));
	PHRASE(t, rule_ipv4_without_options(t); rule_goto(t, "c"));
	PHRASE(t, rule_load_nexthdr(t); rule_in(t, "s"); rule_daddr_multicast6(t); rule_accept(t));
	PHRASE(t, rule_nexthdr(t, 44); rule_load_extension_nexthdr(t); rule_not_in(t, "s"); rule_drop(t));
	PHRASE(t, rule_ipv4_options(t); rule_load_oifname(t); rule_in(t, "s"); rule_goto(t, "c"));
	PHRASE(t, rule_load_oifname(t); rule_in(t, "s"); rule_routing_header(t); rule_drop(t));
	PHRASE(t, rule_icmp6_error(t); rule_goto(t, "c"));
	PHRASE(t, rule_saddr_unspecified(t); rule_goto(t, "c"));
	PHRASE(t, rule_saddr_link_local(t); rule_jump(t, "c"));
	PHRASE(t, rule_load_iifname(t); rule_in(t, "s"); rule_ct_to_loopback(t); rule_goto(t, "c"));
	PHRASE(t, rule_saddr_local(t); rule_counter(t); rule_log(t, 7, "prefix"));
	PHRASE(t, rule_tcp_flags(t, 0x04, 0x04); rule_accept(t));
	PHRASE(t, rule_tcp_flags_not(t, 0x17, 0x02); rule_jump(t, "c"));
	PHRASE(t, rule_load_saddr(t, AF_INET); rule_not_in(t, "s"); rule_goto(t, "c"));
	check_and_free(t, "phrases");
}
END_TEST

START_TEST(each_phrase_about_frames_has_its_bytecode)
{
	struct txn *t = txn_new();

	txn_on(t, TABLE_BRIDGE);
	PHRASE(t, rule_load_iifname(t); rule_load_ether_daddr(t); rule_load_ether_saddr(t); rule_load_saddr(t, AF_INET);
	       rule_in(t, "s"); rule_accept(t));
	PHRASE(t, rule_load_iifname(t); rule_load_ether_daddr(t); rule_load_ether_saddr(t); rule_load_saddr(t, AF_INET6);
	       rule_in(t, "s"); rule_accept(t));
	PHRASE(t, rule_ether_multicast(t); rule_accept(t));
	PHRASE(t, rule_ether_type(t, 0x0806); rule_goto(t, "c"));
	PHRASE(t, rule_arp_of_ethernet(t); rule_load_iifname(t); rule_load_arp_saddr_ether(t); rule_in(t, "s");
	       rule_load_iifname(t); rule_load_arp_saddr_ip(t); rule_in(t, "s"));
	PHRASE(t, rule_arp_operation(t, 2); rule_load_arp_saddr_ip(t); rule_not_in(t, "s"); rule_drop(t));
	PHRASE(t, rule_icmp_type(t, AF_INET6, 136); rule_load_nd_target(t); rule_in(t, "s"); rule_drop(t));
	PHRASE(t, rule_icmp_type(t, AF_INET6, 136); rule_nd_target_link_local(t); rule_drop(t));
	PHRASE(t, rule_load_daddr(t, AF_INET); rule_set_ether_daddr(t, "m"); rule_set_pkttype(t, PACKET_HOST); rule_accept(t));
	PHRASE(t, rule_load_iifname(t); rule_set_ether_daddr(t, "m"));
	check_and_free(t, "phrases_link");
}
END_TEST

START_TEST(static_ruleset_has_its_bytecode)
{
	struct txn *t = txn_new();

	ruleset_put(t, TABLE_INET);
	check_and_free(t, "ruleset");
}
END_TEST

START_TEST(static_ruleset_of_bridges_has_its_bytecode)
{
	struct txn *t = txn_new();

	ruleset_put(t, TABLE_BRIDGE);
	check_and_free(t, "ruleset_bridge");
}
END_TEST

START_TEST(closed_dual_stack_pod_has_its_bytecode)
{
	struct attachment a = {.port = "veth1", .n_addrs = 2, .created = 0x1234};
	const char *target[DIRECTION_COUNT];
	struct txn *t = txn_new();
	struct err err;

	ck_assert_int_eq(addr_parse("10.1.0.11", &a.addrs[0], &err), 0);
	ck_assert_int_eq(addr_parse("2001:db8:1::11", &a.addrs[1], &err), 0);
	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = pod_closed_target(MODE_STRICT, (enum direction)d);
	pod_put(t, &a, target);
	check_and_free(t, "pod");
}
END_TEST

static struct txn *volatile aborted; /* is reached from here when the child ends */

/* Aborts kill the test program's child: the phrase has not written a rule without its match. */
START_TEST(lookup_without_a_key_aborts)
{
	struct txn *t = aborted = txn_new();

	rule_begin(t, "phrase");
	rule_in(t, "s");
}
END_TEST

START_TEST(target_of_what_is_not_icmpv6_aborts)
{
	struct txn *t = aborted = txn_new();

	txn_on(t, TABLE_BRIDGE);
	rule_begin(t, "phrase");
	rule_load_nd_target(t);
}
END_TEST

START_TEST(frame_of_two_types_aborts)
{
	struct txn *t = aborted = txn_new();

	txn_on(t, TABLE_BRIDGE);
	rule_begin(t, "phrase");
	rule_load_arp_saddr_ip(t);
	rule_load_saddr(t, AF_INET);
}
END_TEST

START_TEST(frame_in_table_inet_aborts)
{
	struct txn *t = aborted = txn_new();

	rule_begin(t, "phrase");
	rule_ether_type(t, 0x0806);
}
END_TEST

START_TEST(element_of_a_map_without_its_value_aborts)
{
	static const struct set_spec map = {.name = "m", .fields = {FIELD_IFNAME}, .value = FIELD_ETHER};
	struct txn *t = aborted = txn_new();

	txn_add_element(t, &map, key_of_port("veth1"), NULL);
}
END_TEST

START_TEST(rule_about_both_families_aborts)
{
	struct txn *t = aborted = txn_new();

	rule_begin(t, "phrase");
	rule_load_saddr(t, AF_INET);
	rule_load_daddr(t, AF_INET6);
}
END_TEST

START_TEST(message_in_the_middle_of_a_rule_aborts)
{
	struct txn *t = aborted = txn_new();

	rule_begin(t, "phrase");
	txn_flush_chain(t, "phrase");
}
END_TEST

START_TEST(tag_is_read_back_and_strangers_have_none)
{
	static const uint8_t mine[] = {200, 8, 1, 2, 3, 4, 5, 6, 7, 8}, comment[] = {0, 2, 'x', 0}, cut[] = {200, 8, 1};
	uint64_t tag = 0;

	ck_assert(rule_tag_of(mine, sizeof(mine), &tag));
	ck_assert_uint_eq(tag, 0x0807060504030201u);
	ck_assert(!rule_tag_of(comment, sizeof(comment), &tag));
	ck_assert(!rule_tag_of(cut, sizeof(cut), &tag));
	ck_assert(!rule_tag_of(NULL, 0, &tag));
}
END_TEST

START_TEST(names_of_the_program_are_known_with_their_epoch)
{
	const struct epoch epoch = {.name = "aaaa0000"};
	bool current;

	ck_assert(program_owns_name("p-0-aaaa0000", &epoch, &current) && current);
	ck_assert(program_owns_name("ged-1f3a-bbbb0000", &epoch, &current) && !current);
	/* as an earlier version named them */
	ck_assert(program_owns_name("p-0123456789abcdef0123456789abcdef-bbbb0000", &epoch, &current) && !current);
	ck_assert(!program_owns_name("i-veth0a1b2c3d-0123456789abcdef", &epoch, &current));
	ck_assert(!program_owns_name("p-1f-aaaa00001", &epoch, &current));
	ck_assert(!program_owns_name("p--aaaa0000", &epoch, &current));
	ck_assert(!program_owns_name("q-1-aaaa0000", &epoch, &current));
	ck_assert(!program_owns_name("deny_ingress", &epoch, &current));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rule");
	TCase *golden = tcase_create("golden"), *aborts = tcase_create("aborts");
	SRunner *runner;
	int failed;

	tcase_add_test(golden, each_phrase_has_its_bytecode);
	tcase_add_test(golden, each_phrase_about_frames_has_its_bytecode);
	tcase_add_test(golden, static_ruleset_has_its_bytecode);
	tcase_add_test(golden, static_ruleset_of_bridges_has_its_bytecode);
	tcase_add_test(golden, closed_dual_stack_pod_has_its_bytecode);
	tcase_add_test(golden, tag_is_read_back_and_strangers_have_none);
	tcase_add_test(golden, names_of_the_program_are_known_with_their_epoch);
	tcase_add_test_raise_signal(aborts, lookup_without_a_key_aborts, 6);
	tcase_add_test_raise_signal(aborts, target_of_what_is_not_icmpv6_aborts, 6);
	tcase_add_test_raise_signal(aborts, frame_of_two_types_aborts, 6);
	tcase_add_test_raise_signal(aborts, frame_in_table_inet_aborts, 6);
	tcase_add_test_raise_signal(aborts, element_of_a_map_without_its_value_aborts, 6);
	tcase_add_test_raise_signal(aborts, rule_about_both_families_aborts, 6);
	tcase_add_test_raise_signal(aborts, message_in_the_middle_of_a_rule_aborts, 6);
	suite_add_tcase(suite, golden);
	suite_add_tcase(suite, aborts);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

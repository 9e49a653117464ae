/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions, the ruleset and pods against the real kernel, each test in a user and network namespace of its own. */
#include <linux/if_packet.h>
#include <check.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moat/dump.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/rule.h"
#include "moat/ruleset.h"
#include "tests/rundir.h"

static struct nl nl;
static struct err err;

static const struct set_spec numbers = {.name = "numbers", .fields = {FIELD_IPV4}};

static struct addr v4(unsigned n)
{
	return (struct addr){.family = AF_INET, .bytes = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static struct key number(unsigned n)
{
	struct addr a = v4(n);

	return key_of_addr(&a);
}

static void setup(void)
{
	rundir_leave_host();
	rundir_make();
	ck_assert_int_eq(podstore_init(&err), 0);
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
}

static void teardown(void)
{
	nl_close(&nl);
	rundir_remove();
}

static int commit(struct txn *t)
{
	int code = txn_commit(t, &nl, &err);

	txn_free(t);
	return code;
}

static void count(const void *key, size_t len, void *arg)
{
	(void)key;
	(void)len;
	++*(size_t *)arg;
}

static size_t size_of(const char *set)
{
	size_t n = 0;

	ck_assert_int_eq(dump_elements(&nl, set, count, &n), 0);
	return n;
}

static struct txn *with_numbers(void)
{
	struct txn *t = txn_new();

	txn_add_table(t);
	txn_add_set(t, &numbers);
	return t;
}

START_TEST(refused_batch_names_the_operation_and_leaves_nothing)
{
	struct txn *t = with_numbers();

	txn_add_element(t, &numbers, number(1), NULL);
	txn_delete_chain(t, "nobody");
	txn_add_element(t, &numbers, number(2), NULL);
	ck_assert_int_eq(commit(t), -ENOENT);
	ck_assert_msg(strstr(err.text, "delete chain nobody"), "%s", err.text);
	ck_assert_uint_eq(size_of("numbers"), 0);

	t = with_numbers(); /* the socket is not confused by the refusal */
	txn_add_element(t, &numbers, number(1), NULL);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_uint_eq(size_of("numbers"), 1);
}
END_TEST

START_TEST(adding_twice_and_discarding_what_is_not_there_succeed)
{
	for (int round = 0; round < 2; round++) {
		struct txn *t = with_numbers();

		txn_add_chain(t, "c", NULL);
		txn_add_element(t, &numbers, number(1), NULL);
		txn_discard_element(t, &numbers, number(2), NULL);
		txn_discard_chain(t, "nobody");
		ck_assert_int_eq(commit(t), 0);
	}
	ck_assert_uint_eq(size_of("numbers"), 1);
}
END_TEST

static const struct set_spec ports = {.name = "numbers", .fields = {FIELD_IFNAME}, .value = FIELD_ETHER, .table = TABLE_BRIDGE};

static const uint8_t mac1[6] = {2, 0, 0, 0, 0, 1}, mac2[6] = {2, 0, 0, 0, 0, 2};

/* The two tables have sets of one name here, and the elements come in turn. */
START_TEST(one_batch_is_about_both_tables)
{
	struct txn *t = with_numbers();
	struct key value;

	txn_on(t, TABLE_BRIDGE);
	txn_add_table(t);
	txn_add_set(t, &ports);
	txn_add_chain(t, "c", NULL);
	rule_begin(t, "c");
	rule_load_iifname(t);
	rule_set_ether_daddr(t, "numbers");
	rule_set_pkttype(t, PACKET_HOST);
	rule_end(t);
	txn_add_mapping(t, &ports, key_of_port("veth1"), key_of_ether(mac1));
	txn_add_element(t, &numbers, number(1), NULL);
	txn_add_mapping(t, &ports, key_of_port("veth2"), key_of_ether(mac2));
	ck_assert_msg(commit(t) == 0, "%s", err.text);
	ck_assert_uint_eq(size_of("numbers"), 1);
	ck_assert_int_eq(txn_read_mapping(&nl, &ports, key_of_port("veth2"), &value), 0);
	ck_assert_uint_eq(value.len, 6);
	ck_assert_mem_eq(value.bytes, mac2, 6);

	t = txn_new(); /* what one table refuses, the other does not take */
	txn_add_element(t, &numbers, number(2), NULL);
	txn_on(t, TABLE_BRIDGE);
	txn_delete_chain(t, "nobody");
	ck_assert_int_eq(commit(t), -ENOENT);
	ck_assert_msg(strstr(err.text, "bridge: delete chain nobody"), "%s", err.text);
	ck_assert_uint_eq(size_of("numbers"), 1);
}
END_TEST

START_TEST(mapping_is_kept_against_another_value_and_discarded_with_its_own)
{
	struct txn *t = txn_new();
	struct key value;

	txn_on(t, TABLE_BRIDGE);
	txn_add_table(t);
	txn_add_set(t, &ports);
	txn_add_mapping(t, &ports, key_of_port("veth1"), key_of_ether(mac1));
	ck_assert_msg(commit(t) == 0, "%s", err.text);

	t = txn_new();
	txn_add_mapping(t, &ports, key_of_port("veth1"), key_of_ether(mac2));
	ck_assert_int_ne(commit(t), 0);

	t = txn_new();
	txn_discard_mapping(t, &ports, key_of_port("veth1"), key_of_ether(mac1));
	txn_discard_mapping(t, &ports, key_of_port("veth2"), key_of_ether(mac2));
	ck_assert_msg(commit(t) == 0, "%s", err.text);
	ck_assert_int_eq(txn_read_mapping(&nl, &ports, key_of_port("veth1"), &value), -ENOENT);
}
END_TEST

START_TEST(empty_transaction_does_not_ask_the_kernel)
{
	struct nl closed = {.fd = -1};
	struct txn *t = txn_new();

	ck_assert_int_eq(txn_commit(t, &closed, &err), 0);
	txn_free(t);
}
END_TEST

START_TEST(more_elements_than_one_message_holds_all_arrive)
{
	struct txn *t = with_numbers();

	for (unsigned i = 0; i < 5000; i++)
		txn_add_element(t, &numbers, number(i), NULL);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_uint_eq(size_of("numbers"), 5000);
}
END_TEST

START_TEST(parts_arrive_and_a_refused_part_is_the_error_of_the_whole)
{
	struct txn *t = with_numbers();
	size_t before;

	txn_allow_parts(t, &nl);
	for (unsigned i = 0; i < 20000; i++)
		txn_add_element(t, &numbers, number(i), NULL);
	before = txn_bytes(t);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_uint_lt(before, 300000); /* 20,000 elements are some 900,000 bytes: most were sent on the way */
	ck_assert_uint_eq(size_of("numbers"), 20000);

	t = with_numbers();
	txn_allow_parts(t, &nl);
	txn_delete_chain(t, "nobody");
	for (unsigned i = 20000; i < 40000; i++)
		txn_add_element(t, &numbers, number(i), NULL);
	ck_assert_int_eq(commit(t), -ENOENT);
	ck_assert_msg(strstr(err.text, "nobody"), "%s", err.text);
	ck_assert_uint_eq(size_of("numbers"), 20000);
}
END_TEST

START_TEST(ranges_end_where_they_say)
{
	static const struct set_spec blocks = {.name = "blocks", .fields = {FIELD_IPV4}, .flags = SET_INTERVAL};
	struct addr last = {.family = AF_INET, .bytes = {255, 255, 255, 255}}, near = {.family = AF_INET, .bytes = {255, 255, 255, 0}};
	struct txn *t = with_numbers();

	txn_add_set(t, &blocks);
	txn_add_range(t, &blocks, number(0), number(255), NULL);
	txn_add_range(t, &blocks, number(256), number(511), NULL); /* adjacent: its start is the other's end */
	txn_add_range(t, &blocks, key_of_addr(&near), key_of_addr(&last), NULL);
	ck_assert_int_eq(commit(t), 0);
}
END_TEST

static void put_table(enum table table)
{
	struct txn *t = txn_new();

	ruleset_put(t, table);
	ck_assert_msg(commit(t) == 0, "%s", err.text);
	ck_assert_msg(ruleset_prove(&nl, table, &err) == 0, "%s", err.text);
}

static void put_ruleset(void)
{
	put_table(TABLE_INET);
}

START_TEST(ruleset_is_supported_and_leaves_no_trace_of_the_question)
{
	ck_assert_msg(pod_ruleset_supported(&err) == 0, "%s", err.text);
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_INET, &err), -ENOENT);
}
END_TEST

static void flush_each(enum table table)
{
	const struct static_part *part = &static_parts[table];

	for (size_t i = 0; i < *part->n_chains; i++) {
		struct txn *t;

		if (ruleset_is_filled(part->chains[i].name)) /* the daemon's: empty is as good as anything */
			continue;
		put_table(table);
		t = txn_new();
		txn_on(t, table);
		txn_flush_chain(t, part->chains[i].name);
		ck_assert_int_eq(commit(t), 0);
		ck_assert_int_eq(ruleset_prove(&nl, table, &err), -EBADMSG);
		ck_assert_msg(strstr(err.text, part->chains[i].name), "%s", err.text);
		ck_assert_msg(strstr(err.text, table_text(table)), "%s", err.text);
	}
}

START_TEST(each_static_chain_is_proved)
{
	flush_each(TABLE_INET);
	flush_each(TABLE_BRIDGE);
}
END_TEST

/* More refusals than the socket holds: the first is told, and none of them is taken for an answer to the next batch. */
START_TEST(refusals_beyond_the_sockets_buffer_do_not_meet_the_next_batch)
{
	struct txn *t = txn_new();
	char chain[CHAIN_NAME_MAX];

	txn_add_table(t);
	ck_assert_int_eq(commit(t), 0);
	t = txn_new();
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(chain, sizeof(chain), "missing%u", i);
		txn_flush_chain(t, chain);
	}
	ck_assert_int_eq(commit(t), -ENOENT);
	ck_assert_msg(strstr(err.text, "missing0") != NULL, "%s", err.text);
	t = txn_new();
	txn_add_chain(t, "next", NULL);
	ck_assert_msg(commit(t) == 0, "%s", err.text);
}
END_TEST

/* Others' commits interrupt dumps: that is no damage. */
START_TEST(commits_of_others_do_not_disturb_the_proof)
{
	struct txn *t = txn_new();
	pid_t busy;

	ruleset_put(t, TABLE_INET);
	ck_assert_int_eq(commit(t), 0);
	busy = fork();
	if (busy == 0) {
		nl_close(&nl);
		nl_open(&nl, NETLINK_NETFILTER, &err);
		for (;;) {
			t = txn_new();
			txn_discard_element(t, &set_ports, key_of_port("other"), NULL);
			commit(t);
			usleep(1000);
		}
	}
	for (int i = 0; i < 200; i++)
		ck_assert_msg(ruleset_prove(&nl, TABLE_INET, &err) == 0, "%s", err.text);
	kill(busy, SIGKILL);
}
END_TEST

START_TEST(a_strangers_rule_is_noticed)
{
	struct txn *t = txn_new();

	put_ruleset();
	rule_begin(t, "forward");
	rule_accept(t);
	rule_end(t);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_INET, &err), -EBADMSG);
	put_ruleset();
}
END_TEST

static struct attachment pod_with(const char *id, const char *port, unsigned address, uint64_t created)
{
	struct attachment a = {
		.network = (char *)"net", .container_id = (char *)id, .ifname = (char *)"eth0",
		.mode = MODE_STRICT, .n_addrs = 1, .created = created,
	};

	snprintf(a.port, sizeof(a.port), "%s", port);
	a.addrs[0] = v4(address);
	return a;
}

START_TEST(pod_is_closed_checked_withdrawn_and_released)
{
	struct attachment a = pod_with("one", "veth1", 1, 1);

	ck_assert_msg(pod_close(&a, NULL, 0, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_close(&a, NULL, 0, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_check(&a, &err) == 0, "%s", err.text);
	for (int round = 0; round < 2; round++) {
		ck_assert_msg(pod_withdraw(&a, &err) == 0, "%s", err.text);
		ck_assert_uint_eq(size_of("ports"), 1);
		ck_assert_uint_eq(size_of("pods") + size_of("from_pod") + size_of("to_pod") + size_of("self"), 0);
		ck_assert_int_eq(pod_check(&a, &err), -ENOENT);
	}
	for (int round = 0; round < 2; round++) {
		ck_assert_msg(pod_release_port(&a, &err) == 0, "%s", err.text);
		ck_assert_uint_eq(size_of("ports"), 0);
	}
}
END_TEST

START_TEST(removal_without_a_table_succeeds_and_makes_none)
{
	struct attachment a = pod_with("one", "veth1", 1, 1);

	ck_assert_msg(pod_withdraw(&a, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_release_port(&a, &err) == 0, "%s", err.text);
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_INET, &err), -ENOENT);
}
END_TEST

START_TEST(new_owner_takes_the_address_from_one_that_the_store_forgot)
{
	struct attachment old = pod_with("old", "veth1", 1, 1), heir = pod_with("heir", "veth2", 1, 2);
	char chain[CHAIN_NAME_MAX];

	ck_assert_int_eq(pod_close(&old, NULL, 0, &err), 0);
	ck_assert_msg(pod_close(&heir, NULL, 0, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_check(&heir, &err) == 0, "%s", err.text);
	ck_assert_int_eq(txn_read_verdict(&nl, &map_to_pod[0], number(1), chain), 0);
	ck_assert_msg(strstr(chain, "-0000000000000002"), "%s", chain);
}
END_TEST

START_TEST(late_withdrawal_of_a_former_owner_takes_nothing_from_the_new_one)
{
	struct attachment old = pod_with("old", "veth1", 1, 1), heir = pod_with("heir", "veth2", 1, 2);
	const struct attachment *former[] = {&old};

	ck_assert_int_eq(pod_close(&old, NULL, 0, &err), 0);
	ck_assert_msg(pod_close(&heir, former, 1, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(size_of("from_pod"), 1); /* the old port does not speak with the address any more */
	ck_assert_int_eq(pod_withdraw(&old, &err), 0);
	ck_assert_msg(pod_check(&heir, &err) == 0, "%s", err.text);
}
END_TEST

static bool has_chain(const char *chain)
{
	struct txn *t = txn_new();

	txn_flush_chain(t, chain);
	return commit(t) == 0;
}

/* Of two addresses the heir has one: the former owner keeps the other, until its DEL, which leaves nothing of it. */
START_TEST(owner_of_two_addresses_loses_one_and_then_the_other)
{
	struct attachment old = pod_with("old", "veth1", 1, 1), heir = pod_with("heir", "veth2", 1, 2);
	const struct attachment *former[] = {&old};
	char chain[CHAIN_NAME_MAX];

	old.addrs[old.n_addrs++] = v4(9);
	for (int known = 0; known < 2; known++) { /* to the pod store, as the heir's ADD has it */
		ck_assert_msg(pod_close(&old, NULL, 0, &err) == 0, "%s", err.text);
		ck_assert_msg(pod_check(&old, &err) == 0, "%s", err.text);
		ck_assert_msg(pod_close(&heir, former, (size_t)known, &err) == 0, "%s", err.text);
		ck_assert_msg(pod_check(&heir, &err) == 0, "%s", err.text);
		ck_assert_int_eq(txn_read_verdict(&nl, &map_to_pod[0], number(9), chain), 0);
		ck_assert_str_eq(chain, "i-veth1-0000000000000001");
		ck_assert_msg(pod_withdraw(&old, &err) == 0, "%s", err.text);
		ck_assert_msg(pod_check(&heir, &err) == 0, "%s", err.text);
		ck_assert_uint_eq(size_of("from_pod") + size_of("own") + size_of("from_addr"), 3);
		ck_assert(!has_chain("i-veth1-0000000000000001") && !has_chain("e-veth1-0000000000000001"));
		ck_assert_msg(pod_withdraw(&heir, &err) == 0, "%s", err.text);
	}
}
END_TEST

START_TEST(chain_of_an_oddly_named_port_has_a_name_that_nft_can_read)
{
	struct attachment a = pod_with("one", "ve\"h}#\xc3\xa9", 1, 1);
	char chain[CHAIN_NAME_MAX];

	ck_assert_str_eq(pod_chain_name(EGRESS, &a, chain), "e-ve_h____-0000000000000001");
	ck_assert(pod_owns_chain(&a, chain));
	a.created = 2;
	ck_assert(!pod_owns_chain(&a, chain));
}
END_TEST

/* The daemon was stopped between its decision and its send; meanwhile the address has another owner. */
START_TEST(late_swap_of_a_former_owners_policy_is_refused)
{
	struct attachment old = pod_with("old", "veth1", 1, 1), heir = pod_with("heir", "veth1", 1, 2);
	const struct attachment *former[] = {&old};
	const char *open[DIRECTION_COUNT] = {CHAIN_OPEN, CHAIN_OPEN};
	struct txn *t;
	int code;

	ck_assert_int_eq(pod_close(&old, NULL, 0, &err), 0);
	ck_assert_int_eq(pod_close(&heir, former, 1, &err), 0);
	t = txn_new();
	pod_put_target(t, &old, INGRESS, CHAIN_OPEN);
	ck_assert_int_eq(commit(t), -ENOENT);
	t = txn_new();
	pod_put(t, &old, open);
	code = commit(t);
	ck_assert(code == -EEXIST || code == -EBUSY); /* kernels differ */
	ck_assert_msg(pod_check(&heir, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(add_after_a_flush_closes_every_pod_of_the_store_again)
{
	struct attachment one = pod_with("one", "veth1", 1, 1), two = pod_with("two", "veth2", 2, 2);
	struct txn *t = txn_new();

	ck_assert_msg(podstore_put(&one, &err) == 0, "%s", err.text);
	ck_assert_int_eq(pod_close(&one, NULL, 0, &err), 0);
	txn_delete_table(t);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_msg(pod_close(&two, NULL, 0, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_check(&one, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_check(&two, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(add_after_a_flush_closes_a_pod_whose_state_cannot_be_read)
{
	struct attachment one = pod_with("one", "veth1", 1, 1), two = pod_with("two", "veth2", 2, 2);
	CLEAN_FREE char *key = attachment_key(&one), *below = mem_printf("pods/%s", key);
	struct txn *t = txn_new();

	ck_assert_msg(podstore_put(&one, &err) == 0, "%s", err.text);
	rundir_write(below, "{");
	txn_add_table(t);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_msg(pod_close(&two, NULL, 0, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_check(&one, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(address_of_a_former_owner_brings_no_way_to_the_node)
{
	struct attachment a = pod_with("one", "veth1", 1, 1);
	struct txn *t = txn_new();

	put_ruleset();
	pod_open_node(t, &a, true);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_uint_eq(size_of("open_node"), 1);
	ck_assert_int_eq(pod_close(&a, NULL, 0, &err), 0);
	ck_assert_uint_eq(size_of("open_node"), 0);
}
END_TEST

START_TEST(withdrawn_pod_has_no_way_to_the_node)
{
	struct attachment a = pod_with("one", "veth1", 1, 1);
	struct txn *t = txn_new();

	ck_assert_int_eq(pod_close(&a, NULL, 0, &err), 0);
	pod_open_node(t, &a, true);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_int_eq(pod_withdraw(&a, &err), 0);
	ck_assert_uint_eq(size_of("open_node"), 0);
}
END_TEST

static void note_port(const void *key, size_t len, void *arg)
{
	const uint8_t *bytes = key;
	char *text = arg;

	ck_assert_uint_ge(len, 2);
	sprintf(text + strlen(text), "%u ", bytes[0] << 8 | bytes[1]);
}

/* Does the kernel's set hold exactly these? */
static void ck_tunnel_ports(size_t n, const char *first)
{
	char text[512] = "";

	ck_assert_int_eq(dump_elements(&nl, "tunnel_ports", note_port, text), 0);
	ck_assert_uint_eq(size_of("tunnel_ports"), n);
	ck_assert_msg(strstr(text, first), "%s", text);
}

START_TEST(add_brings_tunnel_ports_to_the_conflists_and_only_those)
{
	struct attachment a = pod_with("one", "veth1", 1, 1), b = pod_with("two", "veth2", 2, 2);
	struct txn *t;

	ck_assert_int_eq(pod_close(&a, NULL, 0, &err), 0);
	ck_tunnel_ports(4, "8472 ");
	a.tunnel_ports = (struct tunnel_ports){.port = {8472, 9000}, .n = 2};
	for (int round = 0; round < 2; round++) {
		ck_assert_msg(pod_close(&a, NULL, 0, &err) == 0, "%s", err.text);
		ck_tunnel_ports(2, "9000 ");
		ck_tunnel_ports(2, "8472 ");
	}
	ck_assert_int_eq(pod_close(&b, NULL, 0, &err), 0); /* no list: what stands */
	ck_tunnel_ports(2, "9000 ");
	t = txn_new();
	ruleset_put_tunnel_ports(t, &nl, &a.tunnel_ports, false);
	ck_assert(txn_is_empty(t)); /* nothing is sent for what stands */
	txn_free(t);
}
END_TEST

START_TEST(add_that_rewrites_remembers_the_tunnel_ports_of_the_store)
{
	struct attachment a = pod_with("one", "veth1", 1, 1), b = pod_with("two", "veth2", 2, 2);
	struct txn *t = txn_new();

	a.tunnel_ports = (struct tunnel_ports){.port = {9000}, .n = 1};
	ck_assert_msg(podstore_put(&a, &err) == 0, "%s", err.text);
	ck_assert_int_eq(pod_close(&a, NULL, 0, &err), 0); /* rewrites too: there is no table yet */
	ck_tunnel_ports(1, "9000 ");
	txn_delete_table(t);
	ck_assert_int_eq(commit(t), 0);
	ck_assert_msg(pod_close(&b, NULL, 0, &err) == 0, "%s", err.text);
	ck_tunnel_ports(1, "9000 ");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kernel");
	TCase *tcase = tcase_create("kernel");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, refused_batch_names_the_operation_and_leaves_nothing);
	tcase_add_test(tcase, adding_twice_and_discarding_what_is_not_there_succeed);
	tcase_add_test(tcase, one_batch_is_about_both_tables);
	tcase_add_test(tcase, mapping_is_kept_against_another_value_and_discarded_with_its_own);
	tcase_add_test(tcase, empty_transaction_does_not_ask_the_kernel);
	tcase_add_test(tcase, more_elements_than_one_message_holds_all_arrive);
	tcase_add_test(tcase, parts_arrive_and_a_refused_part_is_the_error_of_the_whole);
	tcase_add_test(tcase, ranges_end_where_they_say);
	tcase_add_test(tcase, ruleset_is_supported_and_leaves_no_trace_of_the_question);
	tcase_add_test(tcase, each_static_chain_is_proved);
	tcase_add_test(tcase, refusals_beyond_the_sockets_buffer_do_not_meet_the_next_batch);
	tcase_add_test(tcase, commits_of_others_do_not_disturb_the_proof);
	tcase_add_test(tcase, a_strangers_rule_is_noticed);
	tcase_add_test(tcase, pod_is_closed_checked_withdrawn_and_released);
	tcase_add_test(tcase, removal_without_a_table_succeeds_and_makes_none);
	tcase_add_test(tcase, new_owner_takes_the_address_from_one_that_the_store_forgot);
	tcase_add_test(tcase, late_withdrawal_of_a_former_owner_takes_nothing_from_the_new_one);
	tcase_add_test(tcase, owner_of_two_addresses_loses_one_and_then_the_other);
	tcase_add_test(tcase, chain_of_an_oddly_named_port_has_a_name_that_nft_can_read);
	tcase_add_test(tcase, late_swap_of_a_former_owners_policy_is_refused);
	tcase_add_test(tcase, add_after_a_flush_closes_every_pod_of_the_store_again);
	tcase_add_test(tcase, add_after_a_flush_closes_a_pod_whose_state_cannot_be_read);
	tcase_add_test(tcase, address_of_a_former_owner_brings_no_way_to_the_node);
	tcase_add_test(tcase, withdrawn_pod_has_no_way_to_the_node);
	tcase_add_test(tcase, add_brings_tunnel_ports_to_the_conflists_and_only_those);
	tcase_add_test(tcase, add_that_rewrites_remembers_the_tunnel_ports_of_the_store);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* namespaces are left by ending the process */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pods that are ports of a bridge: in the pod store, in table bridge moat, and the bridge itself, against the real kernel. */
#include <check.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moat/bridge.h"
#include "moat/link.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "tests/rundir.h"

#define KEY "net/a:eth0"
#define STATE "pods/" KEY

static const uint8_t bridge_mac[6] = {2, 0, 0, 0, 0, 1}, other_mac[6] = {2, 0, 0, 0, 0, 2};

static struct err err;
static struct nl nl;

static struct attachment *pod_at(const char *bridge, const char *id, const char *port, const char *address, uint8_t n)
{
	struct attachment *a = rundir_attachment(id, port, address);

	snprintf(a->bridge, sizeof(a->bridge), "%s", bridge);
	a->bridge_index = 5;
	memcpy(a->bridge_mac, bridge_mac, 6);
	memcpy(a->mac, (uint8_t[6]){2, 0, 0, 0, 1, n}, 6);
	a->created += n;
	return a;
}

static struct attachment *pod(const char *id, const char *port, const char *address, uint8_t n)
{
	return pod_at("cni0", id, port, address, n);
}

static void put(const struct attachment *a)
{
	ck_assert_msg(podstore_put(a, &err) == 0, "%s", err.text);
}

static void setup_store(void)
{
	rundir_make();
	ck_assert_int_eq(podstore_init(&err), 0);
}

/* ---- the pod store -------------------------------------------------------------------------------------------------------- */

START_TEST(port_of_a_bridge_is_read_back_whole)
{
	struct attachment *a = pod("a", "veth1", "10.1.0.11", 7), *b = NULL;
	CLEAN_FREE char *text = NULL;

	put(a);
	text = rundir_read(STATE);
	ck_assert_ptr_nonnull(strstr(text, "\"version\":2"));
	ck_assert_int_eq(podstore_get(KEY, &b, &err), 0);
	ck_assert_str_eq(b->bridge, "cni0");
	ck_assert_uint_eq(b->bridge_index, 5);
	ck_assert_mem_eq(b->bridge_mac, bridge_mac, 6);
	ck_assert_mem_eq(b->mac, a->mac, 6);
	ck_assert_str_eq(attachment_input(b), "cni0");
	attachment_free(a);
	attachment_free(b);
}
END_TEST

/* A node that goes back to an older moat keeps its routed pods. */
START_TEST(routed_pod_is_written_as_version_one)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11"), *b = NULL;
	CLEAN_FREE char *text = NULL;

	put(a);
	text = rundir_read(STATE);
	ck_assert_ptr_nonnull(strstr(text, "\"version\":1"));
	ck_assert(!rundir_has("macs"));
	ck_assert_int_eq(podstore_get(KEY, &b, &err), 0);
	ck_assert_str_eq(b->bridge, "");
	ck_assert_str_eq(attachment_input(b), "veth1");
	attachment_free(a);
	attachment_free(b);
}
END_TEST

static const struct {
	const char *from, *to;
} wrong[] = {
	{"\"bridge\":\"cni0\"", "\"bridge\":\"a/b\""},
	{"\"bridge\":\"cni0\"", "\"bridge\":\"\""},
	{"\"bridgeIndex\":5", "\"bridgeIndex\":\"5\""},
	{"\"bridgeMAC\":\"02:00:00:00:00:01\"", "\"bridgeMAC\":\"02:00:00:00:00\""},
	{"\"bridgeMAC\":\"02:00:00:00:00:01\"", "\"bridgeMAC\":\"02:00:00:00:00:0g\""},
	{"\"MAC\":\"02:00:00:00:01:07\"", "\"MAC\":7"},
	{"\"version\":2", "\"version\":3"},
};

START_TEST(a_wrong_field_of_the_bridge_is_an_error)
{
	struct attachment *a = pod("a", "veth1", "10.1.0.11", 7), *b = NULL;
	CLEAN_FREE char *good = NULL, *bad = NULL;
	const char *at;

	put(a);
	good = rundir_read(STATE);
	at = strstr(good, wrong[_i].from);
	ck_assert_ptr_nonnull(at);
	bad = mem_printf("%.*s%s%s", (int)(at - good), good, wrong[_i].to, at + strlen(wrong[_i].from));
	rundir_write(STATE, bad);
	ck_assert_int_eq(podstore_get(KEY, &b, &err), -EBADMSG);
	attachment_free(a);
}
END_TEST

static void ck_owner_of_mac(const struct attachment *a, const char *expected)
{
	CLEAN_FREE char *owner = podstore_owner_of_mac(a->mac);

	ck_assert_pstr_eq(owner, expected);
}

START_TEST(bridge_is_in_use_while_a_port_of_it_is_not_closing)
{
	struct attachment *a = pod("a", "veth1", "10.1.0.11", 7), *b = pod_at("br1", "b", "veth2", "10.1.0.12", 8);
	struct attachment *routed = rundir_attachment("c", "veth3", "10.1.0.13");

	put(routed);
	ck_assert(!podstore_bridge_in_use(NULL));
	put(a);
	put(b);
	ck_assert(podstore_bridge_in_use("cni0") && podstore_bridge_in_use("br1") && podstore_bridge_in_use(NULL));
	ck_assert(!podstore_bridge_in_use("br2"));
	ck_owner_of_mac(a, KEY);
	ck_assert_int_eq(podstore_mark_closing(a, &err), 0);
	ck_owner_of_mac(a, NULL);
	ck_assert(!podstore_bridge_in_use("cni0") && podstore_bridge_in_use("br1"));
	ck_assert_int_eq(podstore_remove(b, &err), 0);
	ck_assert(!podstore_bridge_in_use(NULL));
	attachment_free(a);
	attachment_free(b);
	attachment_free(routed);
}
END_TEST

START_TEST(attachment_put_again_gives_up_its_old_mac)
{
	struct attachment *old = pod("a", "veth1", "10.1.0.11", 7), *new = pod("a", "veth1", "10.1.0.11", 8);

	put(old);
	put(new);
	ck_owner_of_mac(old, NULL);
	ck_owner_of_mac(new, KEY);
	put(new);
	ck_owner_of_mac(new, KEY);
	attachment_free(old);
	attachment_free(new);
}
END_TEST

static struct bridge_record record_of(const char *name)
{
	struct bridge_record r = {.bridge.index = 5, .bridge.n_addrs = 2};

	snprintf(r.bridge.name, sizeof(r.bridge.name), "%s", name);
	memcpy(r.bridge.mac, bridge_mac, 6);
	addr_parse("10.1.0.1", &r.bridge.addrs[0], NULL);
	addr_parse("fd00:1::1", &r.bridge.addrs[1], NULL);
	r.before.has[BRIDGE_SEND_REDIRECTS] = r.before.has[BRIDGE_ARP_PROXY_DELAY] = true;
	r.before.v[BRIDGE_SEND_REDIRECTS] = 1;
	r.before.v[BRIDGE_ARP_PROXY_DELAY] = 800;
	return r;
}

START_TEST(record_of_a_bridge_is_read_back_whole)
{
	struct bridge_record r = record_of("cni0"), found;

	ck_assert_int_eq(bridge_record_get("cni0", &found, &err), -ENOENT);
	ck_assert_msg(bridge_record_put(&r, &err) == 0, "%s", err.text);
	ck_assert_msg(bridge_record_get("cni0", &found, &err) == 0, "%s", err.text);
	ck_assert_str_eq(found.bridge.name, "cni0");
	ck_assert_uint_eq(found.bridge.index, 5);
	ck_assert_mem_eq(found.bridge.mac, bridge_mac, 6);
	ck_assert_uint_eq(found.bridge.n_addrs, 2);
	ck_assert(addr_equal(&found.bridge.addrs[1], &r.bridge.addrs[1]));
	for (int s = 0; s < BRIDGE_SETTING_COUNT; s++) {
		ck_assert_int_eq(found.before.has[s], r.before.has[s]);
		ck_assert_uint_eq(found.before.v[s], r.before.v[s]);
	}
	bridge_record_remove("cni0");
	ck_assert_int_eq(bridge_record_get("cni0", &found, &err), -ENOENT);
}
END_TEST

START_TEST(damaged_record_is_an_error_and_no_record)
{
	static const char *const texts[] = {"", "{", "[]", "{\"version\":2}", "{\"version\":1,\"bridge\":\"br1\"}"};
	struct bridge_record r = record_of("cni0"), found;

	ck_assert_int_eq(bridge_record_put(&r, &err), 0);
	rundir_write("bridges/cni0", texts[_i]);
	ck_assert_int_eq(bridge_record_get("cni0", &found, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "cni0"));
	ck_assert_int_eq(bridge_record_get("../lock", &found, &err), -EINVAL);
}
END_TEST

START_TEST(unreadable_port_of_a_bridge_is_recovered_from_the_index)
{
	struct attachment *a = pod("a", "veth1", "10.1.0.11", 7), *b = NULL;
	struct bridge_record r = record_of("cni0");

	put(a);
	ck_assert_int_eq(bridge_record_put(&r, &err), 0);
	rundir_write(STATE, "{");
	ck_assert_int_eq(podstore_recover(KEY, &b, &err), 0);
	ck_assert_str_eq(b->bridge, "cni0");
	ck_assert_uint_eq(b->bridge_index, 5);
	ck_assert_mem_eq(b->bridge_mac, bridge_mac, 6);
	ck_assert_mem_eq(b->mac, a->mac, 6);
	ck_assert_str_eq(b->port, "veth1");
	attachment_free(a);
	attachment_free(b);
}
END_TEST

/* ---- table bridge moat ------------------------------------------------------------------------------------------------------ */

static void setup_kernel(void)
{
	rundir_leave_host();
	setup_store();
	ck_assert_int_eq(nl_open(&nl, NETLINK_NETFILTER, &err), 0);
}

static void teardown_kernel(void)
{
	nl_close(&nl);
	rundir_remove();
}

static void close_pod(const struct attachment *a, const struct attachment *former)
{
	put(a);
	ck_assert_msg(pod_close(a, former ? &former : NULL, former != NULL, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_check(a, &err) == 0, "%s", err.text);
}

static bool has(const struct set_spec *set, struct key key)
{
	struct key value;

	return txn_read_mapping(&nl, set, key, &value) == 0;
}

START_TEST(pod_is_closed_in_both_tables_withdrawn_and_released)
{
	struct attachment *a = pod("a", "veth1", "10.1.0.11", 7);
	struct bridge_record r = record_of("cni0");

	ck_assert_int_eq(bridge_record_put(&r, &err), 0);
	for (int round = 0; round < 2; round++)
		close_pod(a, NULL);
	ck_assert(has(&link_bridges, key_of_ether(bridge_mac)));
	ck_assert(has(&link_node[1], key_of_addr(&r.bridge.addrs[1])));
	for (int round = 0; round < 2; round++) {
		ck_assert_msg(pod_withdraw(a, &err) == 0, "%s", err.text);
		ck_assert(has(&link_ports, key_of_port("veth1")));
		ck_assert(!has(&link_addrs[0], key_with_addr(key_of_port("veth1"), &a->addrs[0])));
		ck_assert(!has(&link_pods[0], key_of_addr(&a->addrs[0])));
		ck_assert(has(&set_pods[0], key_of_addr(&a->addrs[0]))); /* lost, until the link is gone */
		ck_assert(!has(&link_pod_macs, key_of_ether(a->mac)));
		ck_assert_int_eq(pod_check(a, &err), -ENOENT);
	}
	for (int round = 0; round < 2; round++) {
		ck_assert_msg(pod_release_port(a, &err) == 0, "%s", err.text);
		ck_assert(!has(&link_ports, key_of_port("veth1")) && !has(&set_bridge_ports, key_of_port("veth1")));
		ck_assert(!has(&link_bridge_of_port, key_of_port("veth1")));
		ck_assert(!has(&set_pods[0], key_of_addr(&a->addrs[0])));
	}
	attachment_free(a);
}
END_TEST

START_TEST(each_element_is_missed_by_check)
{
	struct attachment *a = pod("a", "veth1", "fd00:1::11", 7);
	const struct {
		const struct set_spec *set;
		struct key key;
	} elements[] = {
		{&set_bridge_ports, key_of_port("veth1")},
		{&link_ports, key_of_port("veth1")},
		{&link_bridge_of_port, key_of_port("veth1")},
		{&link_macs, key_with_ether(key_of_port("veth1"), a->mac)},
		{&link_pod_macs, key_of_ether(a->mac)},
		{&link_plain[1], key_with_addr(key_with_ether(key_with_ether(key_of_port("veth1"), bridge_mac), a->mac), &a->addrs[0])},
		{&link_addrs[1], key_with_addr(key_of_port("veth1"), &a->addrs[0])},
		{&link_pods[1], key_of_addr(&a->addrs[0])},
		{&link_bridge_of[1], key_of_addr(&a->addrs[0])},
	};
	struct txn *t = txn_new();

	close_pod(a, NULL);
	txn_delete_element(t, elements[_i].set, elements[_i].key);
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
	ck_assert_int_eq(pod_check(a, &err), -ENOENT);
	ck_assert_msg(strstr(err.text, elements[_i].set->name), "%s", err.text);
	close_pod(a, NULL);
	attachment_free(a);
}
END_TEST

START_TEST(routed_pod_makes_no_table_for_bridges)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11");

	close_pod(a, NULL);
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_BRIDGE, &err), -ENOENT);
	attachment_free(a);
}
END_TEST

static void delete_table(enum table table)
{
	struct txn *t = txn_new();

	txn_on(t, table);
	txn_delete_table(t);
	ck_assert_msg(txn_commit(t, &nl, &err) == 0, "%s", err.text);
	txn_free(t);
}

START_TEST(removal_without_the_table_succeeds_and_makes_none)
{
	struct attachment *a = pod("a", "veth1", "10.1.0.11", 7);

	close_pod(a, NULL);
	delete_table(TABLE_BRIDGE);
	ck_assert_msg(pod_withdraw(a, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_release_port(a, &err) == 0, "%s", err.text);
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_BRIDGE, &err), -ENOENT);
	ck_assert(!has(&set_ports, key_of_port("veth1")) && !has(&set_bridge_ports, key_of_port("veth1")) && !has(&set_pods[0], key_of_addr(&a->addrs[0])));
	attachment_free(a);
}
END_TEST

/* Whichever table is gone, a pod of whichever kind that is added brings back what the others had of it. */
START_TEST(add_after_a_flush_brings_both_tables_back)
{
	struct attachment *a = pod("a", "veth1", "10.1.0.11", 7), *b = pod("b", "veth2", "10.1.0.12", 8);
	struct attachment *routed = rundir_attachment("c", "veth3", "10.1.0.13");
	struct bridge_record r = record_of("cni0");

	ck_assert_int_eq(bridge_record_put(&r, &err), 0);
	close_pod(a, NULL);
	delete_table(TABLE_BRIDGE);
	close_pod(b, NULL);
	ck_assert_msg(pod_check(a, &err) == 0, "%s", err.text);
	delete_table(TABLE_BRIDGE);
	delete_table(TABLE_INET);
	close_pod(routed, NULL);
	ck_assert_msg(pod_check(a, &err) == 0, "%s", err.text);
	ck_assert_msg(pod_check(b, &err) == 0, "%s", err.text);
	ck_assert(has(&link_bridges, key_of_ether(bridge_mac)));
	attachment_free(a);
	attachment_free(b);
	attachment_free(routed);
}
END_TEST

/* From one port to another, from one bridge to another, from a bridge to a routed port and back; known to the store, or forgotten by it. */
START_TEST(address_goes_to_its_new_owner)
{
	bool known = _i & 1;
	struct attachment *one = pod("a", "veth1", "10.1.0.11", 7), *two = pod("b", "veth2", "10.1.0.11", 8);
	struct attachment *three = pod_at("br1", "c", "veth3", "10.1.0.11", 9), *routed = rundir_attachment("d", "veth4", "10.1.0.11");
	struct attachment *four = pod("e", "veth5", "10.1.0.11", 10);
	struct key addr = key_of_addr(&one->addrs[0]), value;

	memcpy(three->bridge_mac, other_mac, 6);
	close_pod(one, NULL);
	close_pod(two, known ? one : NULL);
	if (known)
		ck_assert(!has(&link_addrs[0], key_with_addr(key_of_port("veth1"), &one->addrs[0])));
	close_pod(three, known ? two : NULL);
	ck_assert_int_eq(txn_read_mapping(&nl, &link_bridge_of[0], addr, &value), 0);
	ck_assert_mem_eq(value.bytes, other_mac, 6);
	ck_assert_msg(pod_withdraw(two, &err) == 0, "%s", err.text); /* late: takes nothing of the new owner's */
	ck_assert_msg(pod_check(three, &err) == 0, "%s", err.text);
	close_pod(routed, known ? three : NULL);
	if (known)
		ck_assert(!has(&link_pods[0], addr) && !has(&link_bridge_of[0], addr));
	close_pod(four, known ? routed : NULL);
	attachment_free(one);
	attachment_free(two);
	attachment_free(three);
	attachment_free(routed);
	attachment_free(four);
}
END_TEST

/* A name that was a bridge's port is a routed port now: its link-local sources are not lost, and no rule of the bridge names it. */
START_TEST(port_name_of_a_bridges_port_is_given_to_a_routed_pod)
{
	struct attachment *one = pod("a", "veth1", "10.1.0.11", 7), *routed = rundir_attachment("b", "veth1", "10.1.0.12");

	close_pod(one, NULL);
	ck_assert_int_eq(pod_withdraw(one, &err), 0);
	one->closing = true;
	routed->created++;
	close_pod(routed, one);
	ck_assert(!has(&set_bridge_ports, key_of_port("veth1")) && !has(&link_ports, key_of_port("veth1")));
	attachment_free(one);
	attachment_free(routed);
}
END_TEST

START_TEST(mac_that_two_pods_had_stays_the_new_ones)
{
	struct attachment *one = pod("a", "veth1", "10.1.0.11", 7), *two = pod("b", "veth2", "10.1.0.12", 7);

	close_pod(one, NULL);
	two->created++;
	close_pod(two, one);
	ck_assert_int_eq(pod_withdraw(one, &err), 0);
	ck_assert_msg(pod_check(two, &err) == 0, "%s", err.text);
	attachment_free(one);
	attachment_free(two);
}
END_TEST

/* ---- a real bridge ------------------------------------------------------------------------------------------------------------ */

static void shell(const char *command)
{
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1); /* where Debian keeps ip, and does not show it to users */

	ck_assert_msg(system(command) == 0, "%s", command);
}

static void make_bridge(void)
{
	shell("ip link add cni0 type bridge && ip link set cni0 up && ip addr add 10.1.0.1/24 dev cni0 && ip addr add fd00:1::1/64 dev cni0 nodad"
	      " && ip link add veth1 type veth peer name peer1 && ip link set veth1 master cni0");
}

static uint32_t index_of(const char *name)
{
	return if_nametoindex(name);
}

static struct bridge look(void)
{
	struct bridge b;

	ck_assert_msg(bridge_look(index_of("cni0"), &b, &err) == 0, "%s", err.text);
	ck_assert_msg(bridge_read_delays(&b, &err) == 0, "%s", err.text);
	return b;
}

static struct attachment *dual_stack_pod(void)
{
	struct attachment *a = pod("a", "veth1", "10.1.0.11", 7);

	ck_assert_int_eq(addr_parse("fd00:1::11", &a->addrs[a->n_addrs++], NULL), 0);
	return a;
}

START_TEST(bridge_is_seen_as_it_is)
{
	struct bridge b;

	make_bridge();
	b = look();
	ck_assert_str_eq(b.name, "cni0");
	ck_assert_uint_eq(b.n_addrs, 2);
	ck_assert(!b.vlan_filtering);
	for (int s = 0; s < BRIDGE_SETTING_COUNT; s++)
		ck_assert_msg(b.now.has[s], "%s", bridge_setting_name((enum bridge_setting)s));
	ck_assert_uint_eq(b.now.v[BRIDGE_ARP_PROXY_DELAY], 800);
	ck_assert_int_eq(bridge_look(index_of("veth1"), &b, &err), -EMEDIUMTYPE);
	ck_assert_int_eq(bridge_look(4711, &b, &err), -ENODEV);
}
END_TEST

static const struct {
	const char *command, *says; /* NULL: fine */
} shapes[] = {
	{"true", NULL},
	{"ip addr del 10.1.0.1/24 dev cni0", "IPv4"},
	{"ip -6 addr flush dev cni0 scope global", "IPv6"},
	{"ip link add up0 type veth peer name up1 && ip link add mv0 link up0 type macvlan && ip link set mv0 master cni0", "mv0 (macvlan)"},
	{"ip tuntap add dev tap0 mode tap && ip link set tap0 master cni0", "tap0 (tun)"},
};

START_TEST(bridge_that_cannot_be_guarded_says_why)
{
	struct attachment *a = dual_stack_pod();
	struct bridge b;
	int code;

	make_bridge();
	shell(shapes[_i].command);
	b = look();
	code = bridge_check(&b, a, &err);
	ck_assert_msg(code == (shapes[_i].says ? -EOPNOTSUPP : 0), "%d: %s", code, err.text);
	ck_assert_msg(!shapes[_i].says || strstr(err.text, shapes[_i].says), "%s", err.text);
	attachment_free(a);
}
END_TEST

/* Not every kernel can make one; the question is the same. */
START_TEST(bridge_that_filters_vlans_says_why)
{
	struct attachment *a = dual_stack_pod();
	struct bridge b;

	make_bridge();
	if (system("ip link set cni0 type bridge vlan_filtering 1 2>/dev/null") == 0) {
		b = look();
		ck_assert(b.vlan_filtering);
	} else {
		b = look();
		b.vlan_filtering = true;
	}
	ck_assert_int_eq(bridge_check(&b, a, &err), -EOPNOTSUPP);
	ck_assert_msg(strstr(err.text, "VLAN"), "%s", err.text);
	attachment_free(a);
}
END_TEST

static void hold(struct attachment *a)
{
	struct bridge b = look();

	bridge_join(&b, a);
	put(a);
	ck_assert_msg(bridge_hold(&b, a, &err) == 0, "%s", err.text);
	b = look();
	ck_assert_msg(bridge_verify(&b, a, &err) == 0, "%s", err.text);
}

START_TEST(settings_are_made_and_given_back)
{
	struct attachment *a = dual_stack_pod(), *b = pod("b", "veth2", "fd00:1::12", 8);
	struct bridge before, after;

	make_bridge();
	shell("echo 1 > /proc/sys/net/ipv4/conf/cni0/send_redirects");
	before = look();
	hold(a);
	hold(b);
	ck_assert_int_eq(podstore_remove(b, &err), 0);
	ck_assert_msg(bridge_give_back("cni0", &err) == 0, "%s", err.text); /* a is there still */
	hold(a);
	bridge_let_go(b);
	bridge_let_go(a);
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	ck_assert_msg(bridge_give_back("cni0", &err) == 0, "%s", err.text);
	after = look();
	for (int s = 0; s < BRIDGE_SETTING_COUNT; s++)
		ck_assert_msg(after.now.v[s] == before.now.v[s], "%s", bridge_setting_name((enum bridge_setting)s));
	ck_assert_mem_eq(after.mac, before.mac, 6);
	shell("test -z \"$(ip -6 neigh show proxy)\"");
	ck_assert_uint_eq(rundir_count(), 0);
	attachment_free(a);
	attachment_free(b);
}
END_TEST

/* What concerns all interfaces goes back with the last bridge. */
START_TEST(setting_of_all_interfaces_is_handed_on)
{
	struct attachment *a = dual_stack_pod(), *b = pod_at("br1", "b", "veth2", "10.2.0.12", 8);
	struct bridge other;

	make_bridge();
	shell("echo 1 > /proc/sys/net/ipv4/conf/all/send_redirects");
	hold(a);
	shell("ip link add br1 type bridge && ip link set br1 up && ip addr add 10.2.0.1/24 dev br1 && test $(cat /proc/sys/net/ipv4/conf/all/send_redirects) = 0");
	ck_assert_int_eq(bridge_look(index_of("br1"), &other, &err), 0);
	bridge_join(&other, b);
	put(b);
	ck_assert_msg(bridge_hold(&other, b, &err) == 0, "%s", err.text);
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	ck_assert_msg(bridge_give_back("cni0", &err) == 0, "%s", err.text);
	shell("test $(cat /proc/sys/net/ipv4/conf/all/send_redirects) = 0");
	ck_assert_int_eq(podstore_remove(b, &err), 0);
	ck_assert_msg(bridge_give_back("br1", &err) == 0, "%s", err.text);
	shell("test $(cat /proc/sys/net/ipv4/conf/all/send_redirects) = 1");
	attachment_free(a);
	attachment_free(b);
}
END_TEST

/* One that somebody sets otherwise while pods are there stays so; one that was as moat wants it is no news. */
START_TEST(only_what_is_still_moats_is_given_back)
{
	struct attachment *a = dual_stack_pod();
	struct bridge b;

	make_bridge();
	shell("echo 1 > /proc/sys/net/ipv4/conf/cni0/proxy_arp_pvlan");
	hold(a);
	shell("ip ntable change name arp_cache dev cni0 proxy_delay 300");
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	ck_assert_int_eq(bridge_give_back("cni0", &err), 0);
	b = look();
	ck_assert_uint_eq(b.now.v[BRIDGE_PROXY_ARP_PVLAN], 1);
	ck_assert_uint_eq(b.now.v[BRIDGE_ARP_PROXY_DELAY], 300);
	ck_assert_uint_eq(b.now.v[BRIDGE_ND_PROXY_DELAY], 800);
	attachment_free(a);
}
END_TEST

START_TEST(each_setting_is_missed_and_made_again)
{
	static const char *const commands[] = {
		"echo 0 > /proc/sys/net/ipv4/conf/cni0/proxy_arp_pvlan",
		"echo 1 > /proc/sys/net/ipv4/conf/cni0/send_redirects",
		"echo 1 > /proc/sys/net/ipv4/conf/all/send_redirects",
		"ip ntable change name arp_cache dev cni0 proxy_delay 800",
		"ip ntable change name ndisc_cache dev cni0 proxy_delay 800",
		"echo 0 > /proc/sys/net/ipv6/conf/cni0/proxy_ndp",
		"ip link set cni0 type bridge no_linklocal_learn 0",
		"ip link set cni0 address 02:11:22:33:44:55",
		"ip -6 neigh del proxy fd00:1::11 dev cni0",
	};
	struct attachment *a = dual_stack_pod();
	struct bridge b;

	make_bridge();
	hold(a);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		shell(commands[i]);
		b = look();
		ck_assert_msg(bridge_verify(&b, a, &err) == -ENOENT, "%s", commands[i]);
		hold(a);
	}
	attachment_free(a);
}
END_TEST

/* The node would go on sending to the MAC of who had the address before. */
START_TEST(node_asks_again_who_has_the_address)
{
	struct attachment *a = dual_stack_pod();

	make_bridge();
	hold(a);
	shell("ip neigh replace 10.1.0.11 lladdr 02:00:00:00:09:09 dev cni0 nud reachable && "
	      "ip neigh replace fd00:1::11 lladdr 02:00:00:00:09:09 dev cni0 nud reachable && "
	      "ip neigh replace 10.1.0.12 lladdr 02:00:00:00:09:08 dev cni0 nud reachable");
	for (int round = 0; round < 2; round++)
		ck_assert_msg(bridge_forget_former(a, &err) == 0, "%s", err.text);
	shell("ip neigh show dev cni0 | grep -q 10.1.0.12 && ! ip neigh show dev cni0 | grep -q 09:09");
	attachment_free(a);
}
END_TEST

/* Without an address of its own a bridge has its smallest port's, which comes and goes. */
START_TEST(mac_of_the_bridge_stays_when_ports_come)
{
	struct attachment *a = dual_stack_pod();
	struct bridge before, after;

	make_bridge();
	hold(a);
	before = look();
	shell("ip link add veth9 address 02:00:00:00:00:01 type veth peer name peer9 && ip link set veth9 master cni0");
	after = look();
	ck_assert_mem_eq(after.mac, before.mac, 6);
	attachment_free(a);
}
END_TEST

START_TEST(new_bridge_of_an_old_name_inherits_nothing)
{
	struct attachment *a = dual_stack_pod(), *b = pod("b", "veth1", "10.1.0.12", 8);
	struct bridge_record r;

	make_bridge();
	hold(a);
	shell("ip link del cni0 && ip link del veth1");
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	make_bridge();
	hold(b);
	ck_assert_int_eq(bridge_record_get("cni0", &r, &err), 0);
	ck_assert_uint_eq(r.bridge.index, index_of("cni0"));
	ck_assert_mem_eq(r.bridge.mac, b->bridge_mac, 6);
	ck_assert_uint_eq(r.before.v[BRIDGE_ARP_PROXY_DELAY], 800);
	attachment_free(a);
	attachment_free(b);
}
END_TEST

START_TEST(table_goes_with_the_last_port_of_any_bridge)
{
	struct attachment *a = dual_stack_pod(), *closing = pod_at("br1", "b", "veth2", "10.1.0.12", 8);

	make_bridge();
	hold(a);
	close_pod(a, NULL);
	close_pod(closing, NULL);
	ck_assert_int_eq(podstore_mark_closing(closing, &err), 0);
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	ck_assert_int_eq(bridge_give_back("cni0", &err), 0);
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_BRIDGE, &err), 0); /* veth2 may still be there: it is closed by the table */
	ck_assert_int_eq(podstore_remove(closing, &err), 0);
	ck_assert_int_eq(bridge_give_back("br1", &err), 0);
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_BRIDGE, &err), -ENOENT);
	ck_assert_int_eq(ruleset_prove(&nl, TABLE_INET, &err), 0);
	attachment_free(a);
	attachment_free(closing);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bridge");
	TCase *store = tcase_create("store"), *table = tcase_create("table"), *real = tcase_create("real");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(store, setup_store, rundir_remove);
	tcase_add_test(store, port_of_a_bridge_is_read_back_whole);
	tcase_add_test(store, routed_pod_is_written_as_version_one);
	tcase_add_loop_test(store, a_wrong_field_of_the_bridge_is_an_error, 0, ARRAY_SIZE(wrong));
	tcase_add_test(store, bridge_is_in_use_while_a_port_of_it_is_not_closing);
	tcase_add_test(store, attachment_put_again_gives_up_its_old_mac);
	tcase_add_test(store, record_of_a_bridge_is_read_back_whole);
	tcase_add_loop_test(store, damaged_record_is_an_error_and_no_record, 0, 5);
	tcase_add_test(store, unreadable_port_of_a_bridge_is_recovered_from_the_index);
	tcase_add_checked_fixture(table, setup_kernel, teardown_kernel);
	tcase_set_timeout(table, 60);
	tcase_add_test(table, pod_is_closed_in_both_tables_withdrawn_and_released);
	tcase_add_loop_test(table, each_element_is_missed_by_check, 0, 9);
	tcase_add_test(table, routed_pod_makes_no_table_for_bridges);
	tcase_add_test(table, removal_without_the_table_succeeds_and_makes_none);
	tcase_add_test(table, add_after_a_flush_brings_both_tables_back);
	tcase_add_loop_test(table, address_goes_to_its_new_owner, 0, 2);
	tcase_add_test(table, port_name_of_a_bridges_port_is_given_to_a_routed_pod);
	tcase_add_test(table, mac_that_two_pods_had_stays_the_new_ones);
	tcase_add_checked_fixture(real, setup_kernel, teardown_kernel);
	tcase_set_timeout(real, 60);
	tcase_add_test(real, bridge_is_seen_as_it_is);
	tcase_add_loop_test(real, bridge_that_cannot_be_guarded_says_why, 0, ARRAY_SIZE(shapes));
	tcase_add_test(real, bridge_that_filters_vlans_says_why);
	tcase_add_test(real, settings_are_made_and_given_back);
	tcase_add_test(real, setting_of_all_interfaces_is_handed_on);
	tcase_add_test(real, only_what_is_still_moats_is_given_back);
	tcase_add_test(real, each_setting_is_missed_and_made_again);
	tcase_add_test(real, node_asks_again_who_has_the_address);
	tcase_add_test(real, mac_of_the_bridge_stays_when_ports_come);
	tcase_add_test(real, new_bridge_of_an_old_name_inherits_nothing);
	tcase_add_test(real, table_goes_with_the_last_port_of_any_bridge);
	suite_add_tcase(suite, store);
	suite_add_tcase(suite, table);
	suite_add_tcase(suite, real);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK); /* namespaces are left by ending the process */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

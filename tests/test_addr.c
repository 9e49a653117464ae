/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <check.h>
#include <string.h>

#include "moat/addr.h"

static struct addr addr(const char *text)
{
	struct addr a;
	struct err err = {0};

	ck_assert_msg(addr_parse(text, &a, &err) == 0, "%s", err.text);
	return a;
}

static struct block block(const char *text)
{
	struct block b;
	struct err err = {0};

	ck_assert_msg(addr_parse_block(text, &b, &err) == 0, "%s", err.text);
	return b;
}

static void ck_text(const char *written, const char *expected)
{
	struct addr a = addr(written);

	ck_assert_str_eq(addr_text(&a, (char[ADDR_TEXT_MAX]){0}), expected);
}

static void ck_block(const char *written, const char *expected)
{
	struct block b = block(written);

	ck_assert_str_eq(addr_block_text(&b, (char[BLOCK_TEXT_MAX]){0}), expected);
}

START_TEST(addresses_of_both_families_are_read)
{
	ck_text("10.0.0.1", "10.0.0.1");
	ck_text("255.255.255.255", "255.255.255.255");
	ck_text("2001:DB8:0:0::1", "2001:db8::1");
	ck_text("::", "::");
	ck_assert_uint_eq(addr_len(&(struct addr){.family = AF_INET}), 4);
	ck_assert_uint_eq(addr_bits(&(struct addr){.family = AF_INET6}), 128);
}
END_TEST

START_TEST(legacy_zeros_are_decimal)
{
	ck_text("010.001.000.0010", "10.1.0.10");
	ck_block("010.0.0.0/08", "10.0.0.0/8");
}
END_TEST

START_TEST(what_is_no_address_is_refused_by_name)
{
	static const char *const bad[] = {"", "10.0.0", "10.0.0.256", "10.0.0.1.2", "10.0.0.1 ", " 10.0.0.1", "10.0.0.-1",
					  "0x0a.0.0.1", "10.0.0.1/8", "fe80::1%eth0", ":::", "1:2:3:4:5:6:7:8:9", "host",
					  "10..0.1", "99999999999999999999.0.0.1", "::ffff:10.0.0.1", "10.0.0.1\n"};
	struct err err;
	struct addr a;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(addr_parse(bad[i], &a, &err) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(addr_parse(NULL, &a, &err), -EINVAL);
	addr_parse("\x1b[1m", &a, &err);
	ck_assert_ptr_nonnull(strstr(err.text, "\\x1b[1m"));
	addr_parse("::ffff:10.0.0.1", &a, &err);
	ck_assert_ptr_nonnull(strstr(err.text, "IPv4-mapped"));
}
END_TEST

START_TEST(blocks_are_masked)
{
	ck_block("10.1.2.3/8", "10.0.0.0/8");
	ck_block("10.1.255.3/17", "10.1.128.0/17");
	ck_block("10.1.2.3/32", "10.1.2.3/32");
	ck_block("10.1.2.3/0", "0.0.0.0/0");
	ck_block("2001:db8:ffff::1/33", "2001:db8:8000::/33");
	ck_block("::1/128", "::1/128");
	ck_block("::1/0", "::/0");
}
END_TEST

START_TEST(what_is_no_block_is_refused)
{
	static const char *const bad[] = {"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8",
					  "10.0.0.0/ 8", "::/129", "10.0.0.0/4294967304", "/8", "10.0.0.0/8\n", "x/8",
					  "000000000000000000000000000000000000000000000000000000000000000010.0.0.0/8"};
	struct block b;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(addr_parse_block(bad[i], &b, &err) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(addr_parse_block(NULL, &b, &err), -EINVAL);
}
END_TEST

START_TEST(membership_stops_at_the_borders)
{
	struct block b = block("10.0.4.0/22"), six = block("2001:db8::/33"), all = block("0.0.0.0/0");
	struct addr first = addr("10.0.4.0"), last = addr("10.0.7.255"), below = addr("10.0.3.255"), above = addr("10.0.8.0");
	struct addr in_six = addr("2001:db8:7fff::1"), out_six = addr("2001:db8:8000::"), zero = addr("::");
	struct addr end;

	ck_assert(addr_in_block(&first, &b) && addr_in_block(&last, &b));
	ck_assert(!addr_in_block(&below, &b) && !addr_in_block(&above, &b));
	ck_assert(addr_in_block(&in_six, &six) && !addr_in_block(&out_six, &six));
	ck_assert(addr_in_block(&above, &all) && !addr_in_block(&zero, &all));
	end = addr_block_last(&b);
	ck_assert(addr_equal(&end, &last));
	end = addr_block_last(&six);
	ck_assert_str_eq(addr_text(&end, (char[ADDR_TEXT_MAX]){0}), "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff");
}
END_TEST

START_TEST(neighbours_carry_and_end)
{
	struct addr a = addr("10.0.0.255"), top = addr("255.255.255.255"), six = addr("2001:db8::ffff:ffff"), zero = addr("::");

	ck_assert(addr_next(&a));
	ck_assert_str_eq(addr_text(&a, (char[ADDR_TEXT_MAX]){0}), "10.0.1.0");
	ck_assert(addr_prev(&a));
	ck_assert_str_eq(addr_text(&a, (char[ADDR_TEXT_MAX]){0}), "10.0.0.255");
	ck_assert(!addr_next(&top));
	ck_assert_str_eq(addr_text(&top, (char[ADDR_TEXT_MAX]){0}), "0.0.0.0");
	ck_assert(!addr_prev(&top));
	ck_assert(addr_next(&six));
	ck_assert_str_eq(addr_text(&six, (char[ADDR_TEXT_MAX]){0}), "2001:db8::1:0:0");
	ck_assert(!addr_prev(&zero));
}
END_TEST

START_TEST(order_is_family_then_bytes)
{
	struct addr a = addr("10.0.0.1"), b = addr("10.0.0.2"), six = addr("::1");

	ck_assert_int_lt(addr_cmp(&a, &b), 0);
	ck_assert_int_gt(addr_cmp(&b, &a), 0);
	ck_assert_int_eq(addr_cmp(&a, &a), 0);
	ck_assert(addr_cmp(&a, &six) == -addr_cmp(&six, &a) && addr_cmp(&a, &six) != 0);
	ck_assert(!addr_equal(&a, &six));
}
END_TEST

START_TEST(only_unicast_can_be_a_pods)
{
	static const char *const good[] = {"10.0.0.1", "192.168.1.1", "223.255.255.255", "169.253.0.1", "fd00::1", "2001:db8::1"};
	static const char *const bad[] = {"0.0.0.0", "0.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.1.1",
					  "::", "::1", "fe80::1", "febf::1", "ff02::1"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct addr a = addr(good[i]);

		ck_assert_msg(addr_is_pod_address(&a), "%s", good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct addr a = addr(bad[i]);

		ck_assert_msg(!addr_is_pod_address(&a), "%s", bad[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("addr");
	TCase *tc = tcase_create("addr");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, addresses_of_both_families_are_read);
	tcase_add_test(tc, legacy_zeros_are_decimal);
	tcase_add_test(tc, what_is_no_address_is_refused_by_name);
	tcase_add_test(tc, blocks_are_masked);
	tcase_add_test(tc, what_is_no_block_is_refused);
	tcase_add_test(tc, membership_stops_at_the_borders);
	tcase_add_test(tc, neighbours_carry_and_end);
	tcase_add_test(tc, order_is_family_then_bytes);
	tcase_add_test(tc, only_unicast_can_be_a_pods);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "moat/text.h"

START_TEST(only_printable_ascii_comes_through)
{
	char out[64];

	ck_assert_str_eq(text_escape("a b~!", out, sizeof(out)), "a b~!");
	ck_assert_str_eq(text_escape("\x1b[31m\r\n\x7f", out, sizeof(out)), "\\x1b[31m\\x0d\\x0a\\x7f");
	/* U+202E turns the text around on a terminal */
	ck_assert_str_eq(text_escape("\xe2\x80\xae", out, sizeof(out)), "\\xe2\\x80\\xae");
	ck_assert_str_eq(text_escape(NULL, out, sizeof(out)), "(none)");
	ck_assert_str_eq(text_escape("", out, sizeof(out)), "");
}
END_TEST

START_TEST(long_text_is_cut_with_dots_and_fits)
{
	for (size_t size = 4; size < 20; size++) {
		char out[32];

		memset(out, '#', sizeof(out));
		text_escape("abcdefgh\x01ijk\x02lmn", out, size);
		ck_assert_uint_lt(strlen(out), size);
		ck_assert_str_eq(out + strlen(out) - 3, "...");
		ck_assert_int_eq(out[size], '#');
	}
	ck_assert_str_eq(text_escape("abcd", (char[4]){0}, 4), "...");
}
END_TEST

START_TEST(errors_are_escaped_and_wrapped)
{
	struct err err;

	ck_assert_int_eq(err_set(&err, EINVAL, "pod %s", "x\ny"), -EINVAL);
	ck_assert_str_eq(err.text, "pod x\\x0ay");
	ck_assert_int_eq(err_wrap(&err, "file %s", "\x1b"), -EINVAL);
	ck_assert_str_eq(err.text, "file \\x1b: pod x\\x0ay");
	ck_assert_int_eq(err_set(NULL, ENOENT, "nothing"), -ENOENT);
}
END_TEST

static const char *const x63 = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

START_TEST(dns_labels_and_subdomains)
{
	static const char *const bad[] = {"", "-a", "a-", "A", "a_b", "a b", "a/b", "\n", "\xc3\xa4", "a\x1b"};
	CLEAN_FREE char *x64 = mem_printf("%sx", x63);
	CLEAN_FREE char *x253 = mem_printf("%s.%s.%s.%.61s", x63, x63, x63, x63);
	CLEAN_FREE char *x254 = mem_printf("%sx", x253);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(!text_is_dns1123_label(bad[i]), "%s", bad[i]);
		ck_assert_msg(!text_is_dns1123_subdomain(bad[i]), "%s", bad[i]);
	}
	ck_assert(text_is_dns1123_label("a-1") && text_is_dns1123_label("0") && text_is_dns1123_label(x63));
	ck_assert(!text_is_dns1123_label(x64) && !text_is_dns1123_label("a.b") && !text_is_dns1123_label(NULL));
	ck_assert(text_is_dns1123_subdomain("a.b-c.0") && text_is_dns1123_subdomain(x253));
	ck_assert(!text_is_dns1123_subdomain(x254) && !text_is_dns1123_subdomain("a..b"));
	ck_assert(!text_is_dns1123_subdomain(".a") && !text_is_dns1123_subdomain("a.") && !text_is_dns1123_subdomain("a.-b"));
	ck_assert(!text_is_dns1123_subdomain(NULL));
}
END_TEST

START_TEST(label_keys_and_values)
{
	CLEAN_FREE char *x64 = mem_printf("%sx", x63);
	CLEAN_FREE char *prefixed = mem_printf("example.com/%s", x63);

	ck_assert(text_is_label_key("app") && text_is_label_key("A_b.c-D") && text_is_label_key(prefixed));
	ck_assert(text_is_label_key("kubernetes.io/metadata.name") && text_is_label_key(x63));
	ck_assert(!text_is_label_key("") && !text_is_label_key("/a") && !text_is_label_key("a/") && !text_is_label_key("a/b/c"));
	ck_assert(!text_is_label_key("A/b") && !text_is_label_key("-a") && !text_is_label_key("a b") && !text_is_label_key(x64));
	ck_assert(!text_is_label_key(NULL));
	ck_assert(text_is_label_value("") && text_is_label_value("V1.2_3-x") && text_is_label_value(x63));
	ck_assert(!text_is_label_value("a/b") && !text_is_label_value(".") && !text_is_label_value("a,b"));
	ck_assert(!text_is_label_value(x64) && !text_is_label_value("a\n") && !text_is_label_value(NULL));
}
END_TEST

START_TEST(port_names)
{
	ck_assert(text_is_port_name("http") && text_is_port_name("p-8080") && text_is_port_name("123456789012-ab"));
	ck_assert(!text_is_port_name("") && !text_is_port_name("80") && !text_is_port_name("8-0") && !text_is_port_name("a--b"));
	ck_assert(!text_is_port_name("HTTP") && !text_is_port_name("-a") && !text_is_port_name("a-"));
	ck_assert(!text_is_port_name("abcdefghijklmnop") && !text_is_port_name("a.b") && !text_is_port_name(NULL));
}
END_TEST

START_TEST(cni_and_interface_names)
{
	ck_assert(text_is_cni_name("net_1.a-B", 64) && text_is_cni_name("abc", 3));
	ck_assert(!text_is_cni_name("abcd", 3) && !text_is_cni_name("", 64) && !text_is_cni_name(".a", 64));
	ck_assert(!text_is_cni_name("a/b", 64) && !text_is_cni_name("a:b", 64) && !text_is_cni_name(NULL, 64));
	ck_assert(text_is_ifname("eth0") && text_is_ifname("123456789012345") && text_is_ifname("a.b"));
	ck_assert(!text_is_ifname("1234567890123456") && !text_is_ifname("") && !text_is_ifname(".") && !text_is_ifname(".."));
	ck_assert(!text_is_ifname("a/b") && !text_is_ifname("a:b") && !text_is_ifname("a b") && !text_is_ifname("a\n"));
	ck_assert(!text_is_ifname(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *tc = tcase_create("text");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, only_printable_ascii_comes_through);
	tcase_add_test(tc, long_text_is_cut_with_dots_and_fits);
	tcase_add_test(tc, errors_are_escaped_and_wrapped);
	tcase_add_test(tc, dns_labels_and_subdomains);
	tcase_add_test(tc, label_keys_and_values);
	tcase_add_test(tc, port_names);
	tcase_add_test(tc, cni_and_interface_names);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

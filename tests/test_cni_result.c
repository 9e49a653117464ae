/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin/cni_result.h"

#define IFS "\"interfaces\":[{\"name\":\"veth1\"},{\"name\":\"eth0\",\"sandbox\":\"/ns/a\"},{\"name\":\"eth1\",\"sandbox\":\"/ns/a\"}," \
	    "{\"name\":\"eth0\",\"sandbox\":\"/ns/b\"}]"

static struct cni_error e;
static struct addr addrs[ATTACHMENT_ADDRS_MAX];
static size_t n;

static void parse(const char *prev, struct cni_config *c)
{
	char *text = mem_printf("{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"prevResult\":%s}", prev);

	ck_assert_msg(cni_config_parse(text, strlen(text), true, c, &e) == 0, "%s", e.msg);
}

static int read_prev(const char *prev)
{
	struct cni_config c;
	int code;

	memset(&e, 0, sizeof(e));
	n = 0;
	parse(prev, &c);
	code = cni_result_read_addrs(&c, "eth0", "/ns/a", addrs, &n, &e);
	cni_config_done(&c);
	return code;
}

static const struct {
	const char *prev;
	const char *addrs; /* joined by spaces */
} readable[] = {
	{"{" IFS ",\"ips\":[{\"interface\":1,\"address\":\"10.1.0.11/24\"}]}", "10.1.0.11"},
	{"{" IFS ",\"ips\":[{\"version\":\"4\",\"interface\":1,\"address\":\"10.1.0.11/32\",\"gateway\":\"10.1.0.1\"},"
	 "{\"version\":\"6\",\"interface\":1,\"address\":\"fd00::11/64\"}]}",
	 "10.1.0.11 fd00::11"},
	/* other interfaces of the container, the host's, and the same name in another sandbox */
	{"{" IFS ",\"ips\":[{\"interface\":2,\"address\":\"10.1.0.12/24\"},{\"interface\":0,\"address\":\"10.1.0.1/24\"},"
	 "{\"interface\":3,\"address\":\"10.1.0.13/24\"}]}",
	 ""},
	/* without an index it is the container's interface */
	{"{\"ips\":[{\"address\":\"10.1.0.11/24\"},{\"interface\":null,\"address\":\"10.1.0.12/24\"}]}", "10.1.0.11 10.1.0.12"},
	{"{" IFS ",\"ips\":[{\"interface\":1,\"address\":\"10.1.0.11/24\"},{\"interface\":1,\"address\":\"10.1.0.11/32\"}]}", "10.1.0.11"},
	{"{" IFS ",\"ips\":[{\"interface\":1,\"address\":\"fe80::1/64\"},{\"interface\":1,\"address\":\"169.254.1.7/16\"},"
	 "{\"interface\":1,\"address\":\"fd00::11/64\"}]}",
	 "fd00::11"},
	{"{}", ""},
	{"{\"ips\":[]}", ""},
	{"{\"ips\":null,\"interfaces\":null,\"cniVersion\":\"0.3.0\"}", ""},
};

START_TEST(the_addresses_of_the_interface_in_its_sandbox_are_read)
{
	char text[1024] = "", buf[ADDR_TEXT_MAX];

	ck_assert_msg(read_prev(readable[_i].prev) == 0, "%s: %s", e.msg, e.details);
	for (size_t i = 0; i < n; i++) {
		strcat(text, i ? " " : "");
		strcat(text, addr_text(&addrs[i], buf));
	}
	ck_assert_str_eq(text, readable[_i].addrs);
}
END_TEST

static const struct {
	const char *prev, *why;
} malformed[] = {
	{"{\"ips\":{}}", "ips must be a list"},
	{"{\"interfaces\":\"eth0\"}", "interfaces must be a list"},
	{"{\"ips\":[7]}", "not an object"},
	{"{\"ips\":[{}]}", "has no address"},
	{"{\"ips\":[{\"address\":7}]}", "has no address"},
	{"{\"ips\":[{\"address\":\"10.1.0.11\"}]}", "malformed address"},
	{"{\"ips\":[{\"address\":\"10.1.0.11/33\"}]}", "malformed address"},
	{"{\"ips\":[{\"address\":\"::ffff:10.1.0.11/120\"}]}", "IPv4-mapped"},
	{"{\"ips\":[{\"address\":\"\\u001b[31m/8\"}]}", "\\x1b[31m"},
	{"{\"ips\":[{\"address\":\"127.0.0.1/8\"}]}", "not a unicast"},
	{"{\"ips\":[{\"address\":\"0.0.0.0/0\"}]}", "not a unicast"},
	{"{\"ips\":[{\"address\":\"ff02::1/64\"}]}", "not a unicast"},
	{"{" IFS ",\"ips\":[{\"interface\":4,\"address\":\"10.1.0.11/24\"}]}", "interfaces has 4"},
	{"{\"ips\":[{\"interface\":0,\"address\":\"10.1.0.11/24\"}]}", "interfaces has 0"},
	{"{" IFS ",\"ips\":[{\"interface\":-1,\"address\":\"10.1.0.11/24\"}]}", "index"},
	{"{" IFS ",\"ips\":[{\"interface\":1.5,\"address\":\"10.1.0.11/24\"}]}", "index"},
	{"{" IFS ",\"ips\":[{\"interface\":\"1\",\"address\":\"10.1.0.11/24\"}]}", "index"},
	{"{" IFS ",\"ips\":[{\"interface\":1e300,\"address\":\"10.1.0.11/24\"}]}", "index"},
	{"{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.1.0.11/24\"}}", "0.2.0"},
	{"{\"cniVersion\":7}", "not a string"},
};

START_TEST(a_malformed_result_is_refused)
{
	CLEAN_FREE char *said = NULL;

	ck_assert_int_eq(read_prev(malformed[_i].prev), CNI_INVALID_CONFIG);
	said = mem_printf("%s: %s", e.msg, e.details);
	ck_assert_msg(strstr(said, malformed[_i].why), "\"%s\" does not say \"%s\"", said, malformed[_i].why);
	for (const char *p = said; *p; p++)
		ck_assert(*p >= ' ' && *p < 0x7f);
}
END_TEST

/* `count` addresses */
static int read_many(int count)
{
	char text[65536] = "{\"ips\":[";

	for (int i = 0; i < count; i++)
		sprintf(text + strlen(text), "%s{\"address\":\"10.1.%d.%d/24\"}", i ? "," : "", i / 200, i % 200 + 1);
	strcat(text, "]}");
	return read_prev(text);
}

START_TEST(as_many_addresses_as_the_state_holds)
{
	ck_assert_int_eq(read_many(ATTACHMENT_ADDRS_MAX), 0);
	ck_assert_uint_eq(n, ATTACHMENT_ADDRS_MAX);
	ck_assert_int_eq(read_many(ATTACHMENT_ADDRS_MAX + 1), CNI_INVALID_CONFIG);
	ck_assert_int_eq(read_many(1000), CNI_INVALID_CONFIG);
}
END_TEST

START_TEST(two_paths_of_one_namespace_are_one_sandbox)
{
	char dir[] = "/tmp/moat-test-XXXXXX";
	CLEAN_FREE char *link = NULL, *prev = NULL;
	struct cni_config c;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	link = mem_printf("%s.link", dir);
	ck_assert_int_eq(symlink(dir, link), 0);
	prev = mem_printf("{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"%s\"}],\"ips\":[{\"interface\":0,\"address\":\"10.1.0.11/24\"}]}",
			  link);
	parse(prev, &c);
	ck_assert_int_eq(cni_result_read_addrs(&c, "eth0", dir, addrs, &n, &e), 0);
	ck_assert_uint_eq(n, 1);
	cni_config_done(&c);
	unlink(link);
	rmdir(dir);
}
END_TEST

static const struct {
	const char *prev, *echo; /* NULL: the same bytes */
} echoes[] = {
	{"{ \"cniVersion\" : \"1.0.0\", \"big\":9007199254740993, \"e\":1e2, \"s\":\"\\u00e9\\/\" }", NULL},
	{"{\"a\":[{\"cniVersion\":\"0.3.0\"}],\"cniVersion\":\"1.0.0\"}", NULL},
	{"{\"cniVersion\":\"0.4.0\",\"big\":18446744073709551615}", "{\"cniVersion\":\"1.0.0\",\"big\":18446744073709551615}"},
	{"{\"x\":\"\\\"cniVersion\\\":\",\"cniVersion\" : \"0.4.0\" }", "{\"x\":\"\\\"cniVersion\\\":\",\"cniVersion\" : \"1.0.0\" }"},
	{"{ \"ips\":[] }", "{\"cniVersion\":\"1.0.0\", \"ips\":[] }"},
	{"{\n}", "{\"cniVersion\":\"1.0.0\"\n}"},
	{"{}", "{\"cniVersion\":\"1.0.0\"}"},
};

START_TEST(the_result_is_passed_on_with_its_own_bytes)
{
	CLEAN_FREE char *echo = NULL;
	struct cni_config c;

	parse(echoes[_i].prev, &c);
	echo = cni_result_echo(&c);
	ck_assert_str_eq(echo, echoes[_i].echo ? echoes[_i].echo : echoes[_i].prev);
	cni_config_done(&c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cni_result");
	TCase *tc = tcase_create("cni_result");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, the_addresses_of_the_interface_in_its_sandbox_are_read, 0, ARRAY_SIZE(readable));
	tcase_add_loop_test(tc, a_malformed_result_is_refused, 0, ARRAY_SIZE(malformed));
	tcase_add_test(tc, as_many_addresses_as_the_state_holds);
	tcase_add_test(tc, two_paths_of_one_namespace_are_one_sandbox);
	tcase_add_loop_test(tc, the_result_is_passed_on_with_its_own_bytes, 0, ARRAY_SIZE(echoes));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin/cni_config.h"

#define HEAD "\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"type\":\"moat\""

static struct cni_error e;

static int parse(const char *text, struct cni_config *ret)
{
	memset(&e, 0, sizeof(e));
	return cni_config_parse(mem_strdup(text), strlen(text), true, ret, &e);
}

/* Parsing fails with the code, and the message says why. */
static void ck_refused(const char *text, int code, const char *why)
{
	struct cni_config c;

	ck_assert_msg(parse(text, &c) == code, "%s: code %d (%s), expected %d", text, e.code, e.msg, code);
	ck_assert_msg(strstr(e.msg, why), "\"%s\" does not say \"%s\"", e.msg, why);
	for (const char *p = e.msg; *p; p++)
		ck_assert(*p >= ' ' && *p < 0x7f);
	cni_config_done(&c);
}

START_TEST(defaults_are_strict_drop_and_one_second)
{
	struct cni_config c;

	ck_assert_int_eq(parse("{" HEAD "}", &c), 0);
	ck_assert_str_eq(c.version, "1.0.0");
	ck_assert_str_eq(c.name, "net");
	ck_assert_int_eq(c.mode, MODE_STRICT);
	ck_assert_int_eq(c.deny, DENY_DROP);
	ck_assert_uint_eq(c.wait_ms, 1000);
	ck_assert_ptr_null(c.prev_result);
	cni_config_done(&c);
}
END_TEST

START_TEST(settings_are_read)
{
	struct cni_config c;

	ck_assert_int_eq(parse("\n {" HEAD ",\"mode\":\"audit\",\"deny\":\"reject\",\"waitForPolicy\":\"500ms\"} \n", &c), 0);
	ck_assert_int_eq(c.mode, MODE_AUDIT);
	ck_assert_int_eq(c.deny, DENY_REJECT);
	ck_assert_uint_eq(c.wait_ms, 500);
	cni_config_done(&c);
}
END_TEST

START_TEST(tunnel_ports_are_a_short_list_of_ports)
{
	struct cni_config c;

	ck_assert_int_eq(parse("{" HEAD "}", &c), 0);
	ck_assert_uint_eq(c.tunnel_ports.n, 0);
	cni_config_done(&c);
	ck_assert_int_eq(parse("{" HEAD ",\"tunnelPorts\":[65535,1,8472,1]}", &c), 0);
	ck_assert_uint_eq(c.tunnel_ports.n, 3);
	ck_assert_uint_eq(c.tunnel_ports.port[0], 1);
	ck_assert_uint_eq(c.tunnel_ports.port[1], 8472);
	ck_assert_uint_eq(c.tunnel_ports.port[2], 65535);
	cni_config_done(&c);
	ck_refused("{" HEAD ",\"tunnelPorts\":[]}", CNI_INVALID_CONFIG, "list of 1 to 32");
	ck_refused("{" HEAD ",\"tunnelPorts\":8472}", CNI_INVALID_CONFIG, "list of 1 to 32");
	ck_refused("{" HEAD ",\"tunnelPorts\":null}", CNI_INVALID_CONFIG, "list of 1 to 32");
	ck_refused("{" HEAD ",\"tunnelPorts\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", CNI_INVALID_CONFIG,
		   "list of 1 to 32");
	ck_refused("{" HEAD ",\"tunnelPorts\":[1,65536]}", CNI_INVALID_CONFIG, "tunnelPorts[1] is not a UDP port");
	ck_refused("{" HEAD ",\"tunnelPorts\":[0]}", CNI_INVALID_CONFIG, "tunnelPorts[0] is not");
	ck_refused("{" HEAD ",\"tunnelPorts\":[80.5]}", CNI_INVALID_CONFIG, "tunnelPorts[0] is not");
	ck_refused("{" HEAD ",\"tunnelPorts\":[\"8472\"]}", CNI_INVALID_CONFIG, "tunnelPorts[0] is not");
}
END_TEST

START_TEST(what_runtimes_and_other_plugins_put_is_tolerated)
{
	struct cni_config c;

	ck_assert_int_eq(parse("{" HEAD ",\"runtimeConfig\":{\"x\":1},\"capabilities\":{},\"args\":{\"cni\":{}},\"ipam\":{},\"dns\":{},"
			       "\"ipMasq\":true,\"cni.dev/valid-attachments\":[],\"cni.dev/whatever\":1,\"prevResult\":null}",
			       &c),
			 0);
	cni_config_done(&c);
}
END_TEST

START_TEST(an_unknown_key_is_named_with_its_value_where_it_matters)
{
	static const char text[] = "{" HEAD ",\"mod\\u001be\":{\"a\":[1]}}";
	struct cni_config c;

	ck_refused(text, CNI_UNSUPPORTED_FIELD, "\"mod\\x1be\" with value {\"a\":[1]}");
	ck_refused("{" HEAD ",\"Mode\":\"audit\"}", CNI_UNSUPPORTED_FIELD, "Mode");
	ck_assert_int_eq(cni_config_parse(mem_strdup(text), strlen(text), false, &c, &e), 0);
	cni_config_done(&c);
}
END_TEST

static const struct {
	const char *text;
	int code;
	const char *why;
} refused[] = {
	{"", CNI_DECODE_FAILURE, "not JSON"},
	{"{", CNI_DECODE_FAILURE, "not JSON"},
	{"{" HEAD "} x", CNI_DECODE_FAILURE, "not JSON"},
	{"{" HEAD "}{}", CNI_DECODE_FAILURE, "not JSON"},
	{"[]", CNI_DECODE_FAILURE, "not an object"},
	{"\"net\"", CNI_DECODE_FAILURE, "not an object"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\\u0000b\"}", CNI_DECODE_FAILURE, "NUL"},
	{"{\"name\":\"net\"}", CNI_INCOMPATIBLE_VERSION, "0.1.0"},
	{"{\"name\":\"net\",\"cniVersion\":\"0.2.0\"}", CNI_INCOMPATIBLE_VERSION, "0.2.0"},
	{"{\"name\":\"net\",\"cniVersion\":\"1.2.0\"}", CNI_INCOMPATIBLE_VERSION, "1.2.0"},
	{"{\"name\":\"net\",\"cniVersion\":1}", CNI_INVALID_CONFIG, "cniVersion"},
	{"{\"cniVersion\":\"1.0.0\"}", CNI_INVALID_CONFIG, "name is missing"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":7}", CNI_INVALID_CONFIG, "name is missing or not a string"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"../etc\"}", CNI_INVALID_CONFIG, "../etc"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"a\\nb\"}", CNI_INVALID_CONFIG, "a\\x0ab"},
	{"{\"cniVersion\":\"1.0.0\",\"name\":\"\\u001b[31m\"}", CNI_INVALID_CONFIG, "\\x1b[31m"},
	{"{" HEAD ",\"name\":\"other\"}", CNI_INVALID_CONFIG, "\"name\" twice"},
	{"{" HEAD ",\"n\\u0061me\":\"other\"}", CNI_INVALID_CONFIG, "\"name\" twice"},
	{"{" HEAD ",\"mode\":\"open\"}", CNI_INVALID_CONFIG, "strict, standard, preview or audit"},
	{"{" HEAD ",\"mode\":true}", CNI_INVALID_CONFIG, "mode must be a string"},
	{"{" HEAD ",\"deny\":\"allow\"}", CNI_INVALID_CONFIG, "drop or reject"},
	{"{" HEAD ",\"deny\":null}", CNI_INVALID_CONFIG, "deny must be a string"},
	{"{" HEAD ",\"waitForPolicy\":\"31s\"}", CNI_INVALID_CONFIG, "at most 30s"},
	{"{" HEAD ",\"waitForPolicy\":1}", CNI_INVALID_CONFIG, "waitForPolicy must be a string"},
	{"{" HEAD ",\"prevResult\":[]}", CNI_INVALID_CONFIG, "prevResult must be an object"},
	{"{" HEAD ",\"prevResult\":{\"ips\":[],\"ips\":[]}}", CNI_INVALID_CONFIG, "\"ips\" twice"},
};

START_TEST(a_bad_configuration_is_refused_with_its_code)
{
	ck_refused(refused[_i].text, refused[_i].code, refused[_i].why);
}
END_TEST

START_TEST(a_name_of_300_characters_is_refused)
{
	char name[301];
	CLEAN_FREE char *text = NULL;

	memset(name, 'n', 300);
	name[300] = '\0';
	text = mem_printf("{\"cniVersion\":\"1.0.0\",\"name\":\"%s\"}", name);
	ck_refused(text, CNI_INVALID_CONFIG, "at most 255");
}
END_TEST

START_TEST(a_nul_byte_hides_nothing)
{
	static const char text[] = "{" HEAD "}\0{\"mode\":\"audit\"}";
	char *copy = mem_alloc(sizeof(text));
	struct cni_config c;

	memcpy(copy, text, sizeof(text));
	ck_assert_int_eq(cni_config_parse(copy, sizeof(text) - 1, true, &c, &e), CNI_DECODE_FAILURE);
	cni_config_done(&c);
}
END_TEST

START_TEST(deep_nesting_and_many_keys_end_quickly)
{
	char *deep = mem_alloc(CNI_CONFIG_MAX + 1), *many = mem_alloc(CNI_CONFIG_MAX + 1);
	size_t len = 1;

	memset(deep, '[', CNI_CONFIG_MAX);
	deep[CNI_CONFIG_MAX] = '\0';
	ck_refused(deep, CNI_DECODE_FAILURE, "not JSON");
	many[0] = '{';
	for (unsigned i = 0; len < CNI_CONFIG_MAX - 40; i++)
		len += (size_t)sprintf(many + len, "\"%u\":1,", i);
	strcpy(many + len, "\"x\":1}");
	ck_refused(many, CNI_INVALID_CONFIG, "more than 256 keys");
	free(deep);
	free(many);
}
END_TEST

/* A file descriptor with `len` bytes: a head, then spaces, then "}". */
static int input_of(size_t len)
{
	int fd = memfd_create("input", 0);
	char *text = mem_alloc(len);

	memset(text, ' ', len);
	memcpy(text, "{" HEAD, strlen("{" HEAD));
	text[len - 1] = '}';
	ck_assert_int_eq(write(fd, text, len), (int)len);
	lseek(fd, 0, SEEK_SET);
	free(text);
	return fd;
}

static int read_and_parse(size_t len)
{
	CLEAN_CLOSE int fd = input_of(len);
	struct cni_config c;
	char *text;
	size_t got;
	int code;

	ck_assert_int_eq(cni_config_read(fd, &text, &got, &e), 0);
	ck_assert_uint_le(got, CNI_CONFIG_MAX + 1);
	code = cni_config_parse(text, got, true, &c, &e);
	cni_config_done(&c);
	return code;
}

START_TEST(reading_is_bounded)
{
	ck_assert_int_eq(read_and_parse(CNI_CONFIG_MAX), 0);
	ck_assert_int_eq(read_and_parse(CNI_CONFIG_MAX + 1), CNI_INVALID_CONFIG);
	ck_assert_int_eq(read_and_parse(3 * CNI_CONFIG_MAX), CNI_INVALID_CONFIG);
}
END_TEST

START_TEST(an_unreadable_input_is_an_io_failure)
{
	char *text;
	size_t len;

	ck_assert_int_eq(cni_config_read(-1, &text, &len, &e), CNI_IO_FAILURE);
}
END_TEST

static const struct {
	const char *text, *name; /* name NULL: code 6; "": impossible */
	const char *version;
} deletable[] = {
	{"{" HEAD "}", "net", "1.0.0"},
	{"{\"name\":\"net\"}", "net", "1.1.0"},
	{"{\"cniVersion\":17,\"mode\":{},\"name\":\"net\",\"name\":\"other\"}", "net", "1.1.0"},
	{"{\"cniVersion\":\"9.9.9\",\"name\":\"net\",\"mode\":17,broken", "net", "1.1.0"},
	{"{\"n\\u0061me\":\"net\",", "net", "1.1.0"},
	{"\xef\xbb\xbf{\"name\":\"net\"}", "net", "1.1.0"},
	{"{\"prevResult\":{\"a\":[\"}]\\\"\",{}]},\"name\":\"net\"}", "net", "1.1.0"},
	{"{\"name\":\"../x\"}", "", "1.1.0"},
	{"{\"name\":\"net\\u0000\"}", "", "1.1.0"},
	{"{\"name\":7}", "", "1.1.0"},
	{"{\"nam", NULL, "1.1.0"},
	{"{\"prevResult\":{,\"name\":\"net\"}", NULL, "1.1.0"},
	{"", NULL, "1.1.0"},
	{"[\"name\"]", NULL, "1.1.0"},
};

START_TEST(deleting_needs_the_name_and_nothing_else)
{
	const char *expected = deletable[_i].name;
	struct cni_config c;
	int code;

	code = cni_config_parse_name(mem_strdup(deletable[_i].text), strlen(deletable[_i].text), &c, &e);
	ck_assert_int_eq(code, expected ? 0 : CNI_DECODE_FAILURE);
	ck_assert_pstr_eq(c.name, expected && *expected ? expected : NULL);
	ck_assert_str_eq(c.version, deletable[_i].version);
	cni_config_done(&c);
}
END_TEST

static const struct {
	const char *text;
	int ms; /* -1: refused */
} waits[] = {
	{"1s", 1000}, {"500ms", 500}, {"0s", 0}, {"0", 0},	{"1.5s", 1500}, {"1s500ms", 1500}, {"30s", 30000}, {"0.5m", 30000},
	{"999us", 0}, {"30.001s", -1}, {"1h", -1}, {"", -1},	{"1", -1},	{"s", -1},	   {"-1s", -1},	   {"+1s", -1},
	{"1 s", -1},  {"1s ", -1},     {".5s", -1}, {"1.s", -1}, {"1d", -1}, {"99999999999999999999s", -1}, {"1s\n", -1},
	{"1000000h", -1}, {"0.00000000000000000000000000001s", 0},
};

START_TEST(durations_are_those_of_go_up_to_30_seconds)
{
	unsigned ms = 77;
	bool accepted = cni_config_parse_wait(waits[_i].text, &ms);

	ck_assert_msg(accepted == (waits[_i].ms >= 0), "%s", waits[_i].text);
	if (accepted)
		ck_assert_msg(ms == (unsigned)waits[_i].ms, "%s: %u", waits[_i].text, ms);
}
END_TEST

START_TEST(versions_are_ordered)
{
	ck_assert(cni_version_at_least("1.1.0", "1.1.0"));
	ck_assert(cni_version_at_least("0.4.0", "0.3.1"));
	ck_assert(!cni_version_at_least("0.3.1", "0.4.0"));
	ck_assert(!cni_version_at_least("1.0.0", "1.1.0"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cni_config");
	TCase *tc = tcase_create("cni_config");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, defaults_are_strict_drop_and_one_second);
	tcase_add_test(tc, settings_are_read);
	tcase_add_test(tc, tunnel_ports_are_a_short_list_of_ports);
	tcase_add_test(tc, what_runtimes_and_other_plugins_put_is_tolerated);
	tcase_add_test(tc, an_unknown_key_is_named_with_its_value_where_it_matters);
	tcase_add_loop_test(tc, a_bad_configuration_is_refused_with_its_code, 0, ARRAY_SIZE(refused));
	tcase_add_test(tc, a_name_of_300_characters_is_refused);
	tcase_add_test(tc, a_nul_byte_hides_nothing);
	tcase_add_test(tc, deep_nesting_and_many_keys_end_quickly);
	tcase_add_test(tc, reading_is_bounded);
	tcase_add_test(tc, an_unreadable_input_is_an_io_failure);
	tcase_add_loop_test(tc, deleting_needs_the_name_and_nothing_else, 0, ARRAY_SIZE(deletable));
	tcase_add_loop_test(tc, durations_are_those_of_go_up_to_30_seconds, 0, ARRAY_SIZE(waits));
	tcase_add_test(tc, versions_are_ordered);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs from outside, as far as they go without a kernel: what is refused before anything is touched, and what must succeed. */
#include <cjson/cJSON.h>
#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "moat/podstore.h"
#include "plugin/cni.h"
#include "tests/rundir.h"

#define CONF(version) "{\"cniVersion\":\"" version "\",\"name\":\"net\",\"type\":\"moat\"}"

static char *output; /* of the last run */

static void setup(void)
{
	rundir_make();
	setenv("CNI_CONTAINERID", "c1", 1);
	setenv("CNI_NETNS", "/nowhere/c1", 1);
	setenv("CNI_IFNAME", "eth0", 1);
	unsetenv("CNI_ARGS");
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); /* warnings for the runtime's log */
}

static int run(const char *command, const char *config)
{
	CLEAN_CLOSE int input = memfd_create("config", 0);
	size_t len;
	FILE *out;
	int status;

	if (command)
		setenv("CNI_COMMAND", command, 1);
	else
		unsetenv("CNI_COMMAND");
	ck_assert_int_eq(write(input, config, strlen(config)), (int)strlen(config));
	lseek(input, 0, SEEK_SET);
	free(output);
	out = open_memstream(&output, &len);
	status = cni_run(input, out);
	fclose(out);
	return status;
}

/* The run fails with an error object of this code and version. */
static void ck_fails(const char *command, const char *config, int code, const char *version, const char *why)
{
	cJSON *json;

	ck_assert_int_eq(run(command, config), 1);
	json = cJSON_Parse(output);
	ck_assert_msg(cJSON_IsObject(json), "%s", output);
	ck_assert_int_eq(cJSON_GetObjectItem(json, "code")->valueint, code);
	ck_assert_str_eq(cJSON_GetObjectItem(json, "cniVersion")->valuestring, version);
	ck_assert_msg(strstr(output, why), "%s does not say \"%s\"", output, why);
	cJSON_Delete(json);
	ck_assert_uint_eq(rundir_count(), 0);
}

START_TEST(version_answers_with_what_it_was_asked_in)
{
	ck_assert_int_eq(run("VERSION", "{\"cniVersion\":\"0.4.0\"}"), 0);
	ck_assert_str_eq(output, "{\"cniVersion\":\"0.4.0\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
	ck_assert_int_eq(run("VERSION", ""), 0);
	ck_assert_ptr_nonnull(strstr(output, "\"cniVersion\":\"1.1.0\""));
}
END_TEST

START_TEST(an_unknown_or_missing_command_is_code_4)
{
	ck_fails(NULL, CONF("1.0.0"), CNI_INVALID_ENVIRONMENT, "1.1.0", "CNI_COMMAND");
	ck_fails("", CONF("1.0.0"), CNI_INVALID_ENVIRONMENT, "1.1.0", "CNI_COMMAND");
	ck_fails("add\033", CONF("1.0.0"), CNI_INVALID_ENVIRONMENT, "1.1.0", "add\\\\x1b");
}
END_TEST

START_TEST(verbs_are_refused_below_the_version_that_has_them)
{
	ck_fails("CHECK", CONF("0.3.1"), CNI_INCOMPATIBLE_VERSION, "0.3.1", "CHECK needs cniVersion 0.4.0");
	ck_fails("GC", CONF("1.0.0"), CNI_INCOMPATIBLE_VERSION, "1.0.0", "GC needs cniVersion 1.1.0");
	ck_fails("STATUS", CONF("1.0.0"), CNI_INCOMPATIBLE_VERSION, "1.0.0", "STATUS needs cniVersion 1.1.0");
	ck_fails("ADD", CONF("0.2.0"), CNI_INCOMPATIBLE_VERSION, "1.1.0", "0.2.0");
}
END_TEST

START_TEST(add_refuses_before_it_touches_anything)
{
	ck_fails("ADD", "{", CNI_DECODE_FAILURE, "1.1.0", "not JSON");
	ck_fails("ADD", CONF("1.0.0"), CNI_INVALID_CONFIG, "1.0.0", "moat must be chained after a primary plugin");
	ck_fails("ADD", "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"prevResult\":{}}", CNI_UNSUPPORTED_PRIMARY, "1.0.0", "no address");
	ck_fails("ADD", "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"prevResult\":{\"ips\":[{\"address\":\"10.1.0.1/8\"}]}}", CNI_NO_NETNS,
		 "1.0.0", "/nowhere/c1");
	ck_fails("ADD", "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"extra\":1}", CNI_UNSUPPORTED_FIELD, "1.0.0", "extra");
	unsetenv("CNI_CONTAINERID");
	unsetenv("CNI_NETNS");
	ck_fails("ADD", CONF("1.0.0"), CNI_INVALID_ENVIRONMENT, "1.0.0", "CNI_CONTAINERID CNI_NETNS");
}
END_TEST

START_TEST(observing_modes_pass_on_what_they_cannot_guard)
{
	ck_assert_int_eq(run("ADD", "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"mode\":\"audit\",\"prevResult\":{\"x\":9007199254740993}}"), 0);
	ck_assert_str_eq(output, "{\"cniVersion\":\"1.0.0\",\"x\":9007199254740993}\n");
	ck_assert_uint_eq(rundir_count(), 0);
	ck_assert_int_eq(run("CHECK", "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"mode\":\"audit\",\"prevResult\":{}}"), 0);
	ck_fails("ADD", "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"mode\":\"standard\",\"prevResult\":{}}", CNI_UNSUPPORTED_PRIMARY, "1.0.0",
		 "no address");
}
END_TEST

static const char *const deletions[] = {
	CONF("1.0.0"),
	CONF("9.9.9"),
	"{\"name\":\"net\",\"mode\":17,\"extra\":[",
	"{\"name\":\"../net\"}",
};

START_TEST(delete_succeeds_where_nothing_is)
{
	unsetenv("CNI_NETNS");
	setenv("CNI_ARGS", "garbage", 1);
	ck_assert_int_eq(run("DEL", deletions[_i]), 0);
	ck_assert_str_eq(output, "");
	setenv("CNI_CONTAINERID", "../x", 1);
	ck_assert_int_eq(run("DEL", deletions[_i]), 0);
}
END_TEST

START_TEST(delete_needs_to_know_what)
{
	ck_fails("DEL", "{\"na", CNI_DECODE_FAILURE, "1.1.0", "name");
	unsetenv("CNI_IFNAME");
	ck_fails("DEL", CONF("1.0.0"), CNI_INVALID_ENVIRONMENT, "1.0.0", "CNI_IFNAME");
}
END_TEST

START_TEST(check_tells_what_is_missing)
{
	ck_fails("CHECK", CONF("1.0.0"), CNI_INVALID_CONFIG, "1.0.0", "prevResult");
	ck_fails("CHECK", "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"prevResult\":{}}", CNI_NOT_AS_ADDED, "1.0.0", "net/c1:eth0");
}
END_TEST

START_TEST(collecting_garbage_needs_a_whole_list)
{
	ck_fails("GC", CONF("1.1.0"), CNI_INVALID_CONFIG, "1.1.0", "cni.dev/valid-attachments is missing");
	ck_fails("GC", "{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"cni.dev/valid-attachments\":{}}", CNI_INVALID_CONFIG, "1.1.0", "not a list");
	ck_fails("GC", "{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"cni.dev/valid-attachments\":[{\"containerID\":\"a\"}]}",
		 CNI_INVALID_CONFIG, "1.1.0", "without containerID or ifname");
	ck_assert_int_eq(run("GC", "{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"cni.dev/valid-attachments\":[]}"), 0);
	ck_assert_str_eq(output, "");
}
END_TEST

START_TEST(collecting_garbage_keeps_what_is_listed_and_what_is_of_other_networks)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11");
	struct err err;

	ck_assert_int_eq(podstore_init(&err), 0);
	ck_assert_int_eq(podstore_put(a, &err), 0);
	ck_assert_int_eq(run("GC", "{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"cni.dev/valid-attachments\":"
				   "[{\"containerID\":\"b\",\"ifname\":\"eth0\"},{\"containerID\":\"a\",\"ifname\":\"eth0\"}]}"),
			 0);
	ck_assert(rundir_has("pods/net/a:eth0"));
	ck_assert_int_eq(run("GC", "{\"cniVersion\":\"1.1.0\",\"name\":\"ne\",\"cni.dev/valid-attachments\":[]}"), 0);
	ck_assert(rundir_has("pods/net/a:eth0"));
	attachment_free(a);
}
END_TEST

START_TEST(permission_and_pressure_have_their_own_codes)
{
	struct cni_error e;
	struct err err;

	err_set(&err, EPERM, "no");
	ck_assert_int_eq(cni_fail_cause(&e, CNI_RULESET, &err, "x"), CNI_NOT_PERMITTED);
	err_set(&err, ENOBUFS, "full");
	ck_assert_int_eq(cni_fail_cause(&e, CNI_RULESET, &err, "x"), CNI_TRY_AGAIN);
	err_set(&err, EOPNOTSUPP, "never");
	ck_assert_int_eq(cni_fail_cause(&e, CNI_RULESET, &err, "x"), CNI_RULESET);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cni_run");
	TCase *tc = tcase_create("cni_run");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, rundir_remove);
	tcase_add_test(tc, version_answers_with_what_it_was_asked_in);
	tcase_add_test(tc, an_unknown_or_missing_command_is_code_4);
	tcase_add_test(tc, verbs_are_refused_below_the_version_that_has_them);
	tcase_add_test(tc, add_refuses_before_it_touches_anything);
	tcase_add_test(tc, observing_modes_pass_on_what_they_cannot_guard);
	tcase_add_loop_test(tc, delete_succeeds_where_nothing_is, 0, ARRAY_SIZE(deletions));
	tcase_add_test(tc, delete_needs_to_know_what);
	tcase_add_test(tc, check_tells_what_is_missing);
	tcase_add_test(tc, collecting_garbage_needs_a_whole_list);
	tcase_add_test(tc, collecting_garbage_keeps_what_is_listed_and_what_is_of_other_networks);
	tcase_add_test(tc, permission_and_pressure_have_their_own_codes);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

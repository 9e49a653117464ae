/* SPDX-License-Identifier: Apache-2.0 */
/* The installer's list: the primary's bytes with moat behind them, what is refused, and the list of its own for standalone nodes. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "install/file.h"
#include "install/primary.h"
#include "install/standalone.h"
#include "tests/rundir.h"

static struct err err;

static int parse(const char *text, struct primary *p)
{
	return primary_parse("10-x.conflist", mem_strdup(text), strlen(text), p, &err);
}

static char *chain(const char *text, const char *settings)
{
	struct primary p;
	char *list = NULL;

	ck_assert_msg(parse(text, &p) == 0, "%s", err.text);
	if (primary_chain(&p, settings, &list, &err) < 0)
		list = NULL;
	primary_done(&p);
	return list;
}

START_TEST(list_keeps_its_bytes)
{
	static const char before[] = "{\"name\":\"n\" ,\"big\": 12345678901234567890,\"cniVersion\":\"1.0.0\", \"plugins\":[{\"type\":\"ptp\",\"s\":\"] }\\\"\"}]";
	CLEAN_FREE char *text = mem_printf("%s, \"after\": [1.0e2]}", before), *list = chain(text, "{\"mode\": \"audit\"}");

	ck_assert_msg(list, "%s", err.text);
	ck_assert_int_eq(strncmp(list, before, sizeof(before) - 2), 0);
	ck_assert_str_eq(list + sizeof(before) - 2, ", {\"type\":\"moat\",\"mode\": \"audit\"} ], \"after\": [1.0e2]}");
}
END_TEST

START_TEST(single_plugin_becomes_a_list)
{
	CLEAN_FREE char *list = chain("{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"type\":\"ptp\",\"mtu\":1400}", "{}");
	cJSON *json = cJSON_Parse(list);
	const cJSON *plugins = cJSON_GetObjectItem(json, "plugins");

	ck_assert_int_eq(cJSON_GetArraySize(plugins), 2);
	ck_assert_str_eq(cJSON_GetObjectItem(json, "cniVersion")->valuestring, "0.3.1");
	ck_assert_str_eq(cJSON_GetObjectItem(json, "name")->valuestring, "n");
	ck_assert_int_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(plugins, 0), "mtu")->valueint, 1400);
	ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(plugins, 1), "type")->valuestring, "moat");
	cJSON_Delete(json);
}
END_TEST

START_TEST(settings_are_what_the_plugin_takes)
{
	static const char list[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"ptp\"}]}";
	static const char *const wrong[] = {"{\"mod\":\"strict\"}", "{\"mode\":\"lax\"}", "{\"waitForPolicy\":\"1h\"}", "{\"tunnelPorts\":[0]}",
					    "{\"mode\":\"strict\",\"mode\":\"audit\"}", "{\"prevResult\":{}}"};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_msg(!chain(list, wrong[i]), "%s", wrong[i]);
	for (int i = 0; i < 2; i++) {
		CLEAN_FREE char *good = chain(list, i ? "{\"mode\":\"standard\",\"tunnelPorts\":[8472]}" : "{\"type\":\"other\"}");

		ck_assert_msg(good && strstr(good, "\"type\":\"moat\""), "%s", good);
	}
}
END_TEST

START_TEST(what_is_no_list_is_refused)
{
	static const char *const wrong[] = {
		"", "{", "[]", "\"x\"", "{}", "\xef\xbb\xbf{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"ptp\"}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\"}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[]}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":{}}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{}]}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[7]}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"../n\",\"plugins\":[{\"type\":\"ptp\"}]}",
		"{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"ptp\"}]}",
		"{\"cniVersion\":\"0.2.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"ptp\"}]}",
		"{\"name\":\"n\",\"plugins\":[{\"type\":\"ptp\"}]}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"ptp\"}],\"plugins\":[{\"type\":\"macvlan\"}]}",
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\\u0000\",\"plugins\":[{\"type\":\"ptp\"}]}",
	};
	struct primary p;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_msg(parse(wrong[i], &p) < 0, "%s", wrong[i]);
		primary_done(&p);
	}
}
END_TEST

static int judge(const char *plugin, const char *accepted)
{
	CLEAN_FREE char *text = mem_printf("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[%s]}", plugin);
	struct install_options options = {0};
	struct primary p;
	int code;

	if (accepted)
		VEC_PUSH(&options.accepted, accepted);
	ck_assert_msg(parse(text, &p) == 0, "%s", err.text);
	code = primary_judge(&p, &options, &err);
	primary_done(&p);
	VEC_DONE(&options.accepted);
	return code;
}

START_TEST(primaries_are_judged_by_what_they_make)
{
	static const struct {
		const char *plugin, *accepted;
		int code;
	} cases[] = {
		{"{\"type\":\"ptp\"}", NULL, 0},
		{"{\"type\":\"bridge\",\"bridge\":\"no-such-br\",\"isGateway\":true}", NULL, 0},
		{"{\"type\":\"bridge\",\"bridge\":\"no-such-br\"}", NULL, -EOPNOTSUPP},
		{"{\"type\":\"bridge\",\"bridge\":\"no-such-br\",\"isGateway\":true,\"vlan\":3}", NULL, -EOPNOTSUPP},
		{"{\"type\":\"bridge\",\"bridge\":\"no-such-br\",\"isGateway\":true,\"vlanTrunk\":[{\"id\":3}]}", NULL, -EOPNOTSUPP},
		{"{\"type\":\"flannel\",\"delegate\":{\"bridge\":\"no-such-br\"}}", NULL, 0},
		{"{\"type\":\"flannel\",\"delegate\":{\"bridge\":\"no-such-br\",\"isGateway\":false}}", NULL, -EOPNOTSUPP},
		{"{\"type\":\"flannel\",\"delegate\":{\"type\":\"macvlan\"}}", NULL, -EOPNOTSUPP},
		{"{\"type\":\"flannel\",\"delegate\":{\"type\":\"flannel\"}}", NULL, -EOPNOTSUPP}, /* and no recursion */
		{"{\"type\":\"macvlan\"}", "macvlan", -EOPNOTSUPP},
		{"{\"type\":\"calico\"}", NULL, -EOPNOTSUPP},
		{"{\"type\":\"calico\"}", "calico", 0},
		{"{\"type\":\"ptp\"},{\"type\":\"moat\"}", NULL, -EOPNOTSUPP},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_msg(judge(cases[i].plugin, cases[i].accepted) == cases[i].code, "%s: %s", cases[i].plugin, err.text);
}
END_TEST

START_TEST(standalone_has_a_range_of_each_family)
{
	cJSON *status = cJSON_Parse("{\"podRanges\":{\"ranges\":[\"10.244.1.0/24\",\"10.9.0.0/24\",\"fd00:244:0:1::/64\"]}}");
	CLEAN_FREE char *list = NULL;
	struct primary p;

	ck_assert_msg(standalone_of_status(status, &p, &err) == 0, "%s", err.text);
	ck_assert_int_eq(primary_chain(&p, "{\"mode\":\"strict\"}", &list, &err), 0);
	primary_done(&p);
	cJSON_Delete(status);
	status = cJSON_Parse(list); /* without its white space */
	free(list);
	list = cJSON_PrintUnformatted(status);
	ck_assert_ptr_nonnull(strstr(list, "\"ranges\":[[{\"subnet\":\"10.244.1.0/24\"}],[{\"subnet\":\"fd00:244:0:1::/64\"}]],"
					   "\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"::/0\"}]"));
	ck_assert_ptr_nonnull(strstr(list, "\"ipMasq\":false"));
	ck_assert_ptr_nonnull(strstr(list, "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}},{\"type\":\"moat\",\"mode\":\"strict\"}]"));
	cJSON_Delete(status);
}
END_TEST

START_TEST(standalone_waits_for_ranges)
{
	static const char *const answers[] = {"{}", "{\"podRanges\":{}}", "{\"podRanges\":{\"ranges\":[]}}"};
	cJSON *status;
	struct primary p;

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		status = cJSON_Parse(answers[i]);
		ck_assert_int_eq(standalone_of_status(status, &p, &err), -EAGAIN);
		primary_done(&p);
		cJSON_Delete(status);
	}
	status = cJSON_Parse("{\"podRanges\":{\"ranges\":[\"10.0.0.0/33\"]}}");
	ck_assert_int_eq(standalone_of_status(status, &p, &err), -EBADMSG);
	primary_done(&p);
	cJSON_Delete(status);
}
END_TEST

START_TEST(files_are_put_whole_and_only_when_they_differ)
{
	CLEAN_CLOSE int dir = file_open_dir(getenv("MOAT_RUN_DIR"), &err);
	bool changed;
	struct stat st;

	ck_assert_int_eq(file_put(dir, "f", "one", 3, 0755, &changed, &err), 0);
	ck_assert(changed);
	ck_assert_int_eq(file_put(dir, "f", "one", 3, 0755, &changed, &err), 0);
	ck_assert(!changed);
	ck_assert_int_eq(fchmodat(dir, "f", 0644, 0), 0);
	ck_assert_int_eq(file_put(dir, "f", "one", 3, 0755, &changed, &err), 0);
	ck_assert(changed);
	ck_assert_int_eq(symlinkat("f", dir, "link"), 0); /* replaced, not written through */
	ck_assert_int_eq(file_put(dir, "link", "two", 3, 0644, &changed, &err), 0);
	ck_assert_int_eq(fstatat(dir, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISREG(st.st_mode));
	CLEAN_FREE char *text = rundir_read("f");
	ck_assert_str_eq(text, "one");
	ck_assert_int_eq(mkdirat(dir, "d", 0755), 0);
	ck_assert_int_lt(file_put(dir, "d", "three", 5, 0644, &changed, &err), 0);
	ck_assert_uint_eq(rundir_count(), 2); /* no temporary */
	ck_assert_int_eq(file_remove(dir, "f", &changed, &err), 0);
	ck_assert(changed);
	ck_assert_int_eq(file_remove(dir, "f", &changed, &err), 0);
	ck_assert(!changed);
}
END_TEST

START_TEST(files_are_read_bounded)
{
	CLEAN_CLOSE int dir = file_open_dir(getenv("MOAT_RUN_DIR"), &err);
	char *text;
	size_t len;

	rundir_write("f", "12345");
	ck_assert_int_eq(file_read(dir, "f", 5, &text, &len, &err), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_str_eq(text, "12345");
	free(text);
	ck_assert_int_eq(file_read(dir, "f", 4, &text, &len, &err), -EFBIG);
	ck_assert_int_eq(file_read(dir, "none", 4, &text, &len, &err), -ENOENT);
	ck_assert_int_eq(mkfifoat(dir, "fifo", 0600), 0);
	ck_assert_int_eq(file_read(dir, "fifo", 4, &text, &len, &err), -EINVAL);
}
END_TEST

START_TEST(first_in_the_order_of_bytes_that_is_not_ours)
{
	static const char list[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"ptp\"}";
	CLEAN_CLOSE int dir = file_open_dir(getenv("MOAT_RUN_DIR"), &err);
	struct primary p;

	ck_assert_int_eq(primary_find(dir, &p, &err), -ENOENT);
	rundir_write("00-moat.conflist", list);
	rundir_write("05-x.conf.disabled", list);
	rundir_write("no-dot", list);
	ck_assert_int_eq(primary_find(dir, &p, &err), -ENOENT);
	rundir_write("9-x.conf", list);
	rundir_write("20-x.json", list);
	rundir_write("a.conflist", list);
	ck_assert_int_eq(primary_find(dir, &p, &err), 0);
	ck_assert_str_eq(p.file, "20-x.json");
	primary_done(&p);
	rundir_write("0-x.conf", list);
	ck_assert_int_eq(primary_find(dir, &p, &err), -EEXIST);
	primary_done(&p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("install");
	TCase *lists = tcase_create("lists"), *files = tcase_create("files");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(lists, list_keeps_its_bytes);
	tcase_add_test(lists, single_plugin_becomes_a_list);
	tcase_add_test(lists, settings_are_what_the_plugin_takes);
	tcase_add_test(lists, what_is_no_list_is_refused);
	tcase_add_test(lists, primaries_are_judged_by_what_they_make);
	tcase_add_test(lists, standalone_has_a_range_of_each_family);
	tcase_add_test(lists, standalone_waits_for_ranges);
	suite_add_tcase(suite, lists);
	tcase_add_checked_fixture(files, rundir_make, rundir_remove);
	tcase_add_test(files, files_are_put_whole_and_only_when_they_differ);
	tcase_add_test(files, files_are_read_bounded);
	tcase_add_test(files, first_in_the_order_of_bytes_that_is_not_ours);
	suite_add_tcase(suite, files);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

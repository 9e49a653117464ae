/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "moat/podstore.h"
#include "plugin/cni_env.h"

#define ADD_NEEDS (CNI_ENV_CONTAINER | CNI_ENV_NETNS | CNI_ENV_ARGS)

static struct cni_error e;
static struct cni_env env;

static void setup(void)
{
	setenv("CNI_CONTAINERID", "c1", 1);
	setenv("CNI_NETNS", "/run/netns/c1", 1);
	setenv("CNI_IFNAME", "eth0", 1);
	unsetenv("CNI_ARGS");
}

static void ck_refused(unsigned need, const char *why)
{
	ck_assert_int_eq(cni_env_read(need, &env, &e), CNI_INVALID_ENVIRONMENT);
	ck_assert_msg(strstr(e.msg, why), "\"%s\" does not say \"%s\"", e.msg, why);
	for (const char *p = e.msg; *p; p++)
		ck_assert(*p >= ' ' && *p < 0x7f);
	cni_env_done(&env);
}

START_TEST(all_missing_variables_are_named)
{
	unsetenv("CNI_CONTAINERID");
	setenv("CNI_NETNS", "", 1);
	unsetenv("CNI_IFNAME");
	ck_refused(ADD_NEEDS, "CNI_CONTAINERID CNI_NETNS CNI_IFNAME");
	ck_refused(CNI_ENV_CONTAINER, "CNI_CONTAINERID CNI_IFNAME");
	ck_assert_ptr_null(strstr(e.msg, "CNI_NETNS"));
	ck_assert_int_eq(cni_env_read(CNI_ENV_NOTHING, &env, &e), 0);
}
END_TEST

static const char *const bad_ids[] = {"../x", "a/b", "a\nb", "\033[2J", "-a", ".", "a:b", "a b", "\xe2\x80\xae"};

START_TEST(a_container_id_that_is_no_file_name_is_refused)
{
	setenv("CNI_CONTAINERID", bad_ids[_i], 1);
	ck_refused(ADD_NEEDS, "CNI_CONTAINERID");
	ck_assert(!cni_env_is_possible(&(struct cni_env){.container_id = bad_ids[_i], .ifname = "eth0"}));
}
END_TEST

START_TEST(a_container_id_of_300_characters_is_refused)
{
	char id[301];

	memset(id, 'c', 300);
	id[300] = '\0';
	setenv("CNI_CONTAINERID", id, 1);
	ck_refused(ADD_NEEDS, "at most 239");
	id[PODSTORE_CONTAINER_ID_MAX] = '\0';
	setenv("CNI_CONTAINERID", id, 1);
	ck_assert_int_eq(cni_env_read(ADD_NEEDS, &env, &e), 0);
}
END_TEST

static const char *const bad_ifnames[] = {"..", "a/b", "eth:0", "eth 0", "sixteen-letters-", "eth\n0"};

START_TEST(an_interface_name_the_kernel_would_not_take_is_refused)
{
	setenv("CNI_IFNAME", bad_ifnames[_i], 1);
	ck_refused(ADD_NEEDS, "CNI_IFNAME");
}
END_TEST

START_TEST(a_kubernetes_pod_is_read)
{
	setenv("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=6f5902ac;X=y;", 1);
	ck_assert_int_eq(cni_env_read(ADD_NEEDS, &env, &e), 0);
	ck_assert_str_eq(env.container_id, "c1");
	ck_assert_str_eq(env.pod_namespace, "shop");
	ck_assert_str_eq(env.pod_name, "web-0");
	ck_assert_str_eq(env.pod_uid, "6f5902ac");
	cni_env_done(&env);
}
END_TEST

START_TEST(podman_has_a_name_but_no_namespace)
{
	setenv("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=My_Pod;K8S_POD_UID=", 1);
	ck_assert_int_eq(cni_env_read(ADD_NEEDS, &env, &e), 0);
	ck_assert_ptr_null(env.pod_namespace);
	ck_assert_str_eq(env.pod_name, "My_Pod");
	ck_assert_ptr_null(env.pod_uid);
	cni_env_done(&env);
}
END_TEST

START_TEST(a_name_that_a_pod_may_have_is_of_the_namespace_default)
{
	setenv("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=my-pod", 1);
	ck_assert_int_eq(cni_env_read(ADD_NEEDS, &env, &e), 0);
	ck_assert_str_eq(env.pod_namespace, "default");
	ck_assert_str_eq(env.pod_name, "my-pod");
	cni_env_done(&env);
}
END_TEST

static const struct {
	const char *args, *why;
} bad_args[] = {
	{"K8S_POD_NAME", "KEY=VALUE"},
	{"=x", "KEY=VALUE"},
	{"IP=10.0.0.1", "unknown key IP"},
	{"IgnoreUnknown=0;IP=10.0.0.1", "unknown key IP"},
	{"IgnoreUnknown=maybe", "IgnoreUnknown=maybe"},
	{"K8S_POD_NAME=a;K8S_POD_NAME=b", "K8S_POD_NAME twice"},
	{"K8S_POD_NAMESPACE=shop", "no K8S_POD_NAME"},
	{"K8S_POD_NAMESPACE=../x;K8S_POD_NAME=a", "K8S_POD_NAMESPACE=../x"},
	{"K8S_POD_NAMESPACE=Shop;K8S_POD_NAME=a", "K8S_POD_NAMESPACE=Shop"},
	{"K8S_POD_NAMESPACE=shop;K8S_POD_NAME=My_Pod", "K8S_POD_NAME=My_Pod"},
	{"K8S_POD_NAME=a\nb", "a\\x0ab"},
	{"K8S_POD_NAME=\033]0x", "\\x1b]0"},
	{"K8S_POD_UID=a/b", "K8S_POD_UID=a/b"},
};

START_TEST(bad_args_are_refused)
{
	setenv("CNI_ARGS", bad_args[_i].args, 1);
	ck_refused(ADD_NEEDS, bad_args[_i].why);
	ck_assert_int_eq(cni_env_read(CNI_ENV_CONTAINER, &env, &e), 0); /* a verb that does not need them does not look */
}
END_TEST

START_TEST(huge_args_are_refused)
{
	char args[8192];

	memset(args, 'x', sizeof(args) - 1);
	args[sizeof(args) - 1] = '\0';
	setenv("CNI_ARGS", args, 1);
	ck_refused(ADD_NEEDS, "longer than");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cni_env");
	TCase *tc = tcase_create("cni_env");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, all_missing_variables_are_named);
	tcase_add_loop_test(tc, a_container_id_that_is_no_file_name_is_refused, 0, ARRAY_SIZE(bad_ids));
	tcase_add_test(tc, a_container_id_of_300_characters_is_refused);
	tcase_add_loop_test(tc, an_interface_name_the_kernel_would_not_take_is_refused, 0, ARRAY_SIZE(bad_ifnames));
	tcase_add_test(tc, a_kubernetes_pod_is_read);
	tcase_add_test(tc, podman_has_a_name_but_no_namespace);
	tcase_add_test(tc, a_name_that_a_pod_may_have_is_of_the_namespace_default);
	tcase_add_loop_test(tc, bad_args_are_refused, 0, ARRAY_SIZE(bad_args));
	tcase_add_test(tc, huge_args_are_refused);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

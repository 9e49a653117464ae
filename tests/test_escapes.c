/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "policyd/source/node.h"
#include "tests/build.h"

static struct cluster *c;

static void setup(void)
{
	c = cluster_new();
	cluster_set_node(c, "here");
	cluster_upsert(c, build_namespace("shop", NULL));
}

static void teardown(void)
{
	cluster_free(c);
}

static struct object *running(const char *name, const char *uid)
{
	struct object *o = build_pod("shop", name, NULL, NULL, NULL);

	o->pod.node = mem_strdup("here");
	o->pod.running = true;
	o->uid = mem_strdup(uid);
	return o;
}

static void attach(const char *container, const char *name, const char *uid, bool closing)
{
	struct attachment *a = build_attachment(container, "shop", name, "10.0.0.1");

	a->pod_uid = mem_strdup(uid);
	a->closing = closing;
	cluster_attach(c, a);
	attachment_free(a);
}

static void add_name(const struct object *pod, void *arg)
{
	char *text = arg;

	strcat(strcat(text, pod->name), " ");
}

/* The names of all escapes, in the order they were found. */
static const char *escapes(char buf[256])
{
	buf[0] = '\0';
	cluster_each_escape(c, add_name, buf);
	return buf;
}

static const char *new_escapes(char buf[256])
{
	buf[0] = '\0';
	cluster_take_new_escapes(c, add_name, buf);
	return buf;
}

#define ESCAPES() escapes((char[256]){0})
#define NEW_ESCAPES() new_escapes((char[256]){0})

START_TEST(pod_that_runs_here_without_attachment_is_one_until_it_is_attached)
{
	cluster_upsert(c, running("a", "u1"));
	ck_assert_str_eq(ESCAPES(), "a ");
	attach("x", "a", "u1", false);
	ck_assert_str_eq(ESCAPES(), "");
	cluster_upsert(c, running("b", "u2"));
	cluster_delete(c, KIND_POD, "shop", "b");
	ck_assert_str_eq(ESCAPES(), "");
}
END_TEST

START_TEST(attachment_of_another_uid_is_none)
{
	attach("x", "a", "former", false);
	cluster_upsert(c, running("a", "u1"));
	ck_assert_str_eq(ESCAPES(), "a ");
}
END_TEST

START_TEST(address_says_started_before_the_phase_does)
{
	struct object *o = running("a", "u1"); /* init containers run in phase Pending */

	o->pod.running = false;
	cluster_upsert(c, o);
	ck_assert_str_eq(ESCAPES(), "");
	o = running("a", "u1");
	o->pod.running = false;
	VEC_PUSH(&o->pod.addrs, build_addr("10.0.0.1"));
	cluster_upsert(c, o);
	ck_assert_str_eq(ESCAPES(), "a ");
}
END_TEST

START_TEST(who_is_elsewhere_finished_or_the_node_itself_is_none)
{
	struct object *o = running("elsewhere", NULL);

	strcpy(o->pod.node, "ther");
	cluster_upsert(c, o);
	o = running("unscheduled", NULL);
	free(o->pod.node);
	o->pod.node = NULL;
	cluster_upsert(c, o);
	o = running("host", NULL);
	o->pod.host_network = true;
	cluster_upsert(c, o);
	o = running("finished", NULL);
	o->pod.running = false;
	o->pod.finished = true;
	VEC_PUSH(&o->pod.addrs, build_addr("10.0.0.1"));
	cluster_upsert(c, o);
	ck_assert_str_eq(ESCAPES(), "");
}
END_TEST

START_TEST(after_del_the_object_may_stay_a_while)
{
	cluster_upsert(c, running("a", "u1"));
	attach("x", "a", "u1", false);
	attach("x", "a", "u1", true);
	ck_assert_str_eq(ESCAPES(), "");
	cluster_detach(c, "net/x:eth0");
	ck_assert_str_eq(ESCAPES(), "");
	cluster_upsert(c, running("a", "u1"));
	ck_assert_str_eq(ESCAPES(), "");
	cluster_upsert(c, running("a", "u2"));
	ck_assert_str_eq(ESCAPES(), "a ");
}
END_TEST

START_TEST(attachment_that_the_store_lost_leaves_an_escape)
{
	cluster_upsert(c, running("a", "u1"));
	attach("x", "a", "u1", false);
	cluster_lose(c, "net/x:eth0");
	ck_assert_str_eq(ESCAPES(), "a ");
	attach("x", "a", "u1", false);
	cluster_detach(c, "net/x:eth0");
	ck_assert_str_eq(ESCAPES(), "");
}
END_TEST

START_TEST(each_is_told_once_and_again_when_it_comes_back)
{
	cluster_upsert(c, running("a", "u1"));
	ck_assert_str_eq(NEW_ESCAPES(), "a ");
	cluster_upsert(c, running("b", "u2"));
	ck_assert_str_eq(NEW_ESCAPES(), "b ");
	ck_assert_str_eq(NEW_ESCAPES(), "");
	attach("x", "a", "u1", false);
	cluster_lose(c, "net/x:eth0");
	ck_assert_str_eq(NEW_ESCAPES(), "a ");
}
END_TEST

START_TEST(without_a_node_name_none_is_told)
{
	cluster_set_node(c, NULL);
	cluster_upsert(c, running("a", "u1"));
	ck_assert_str_eq(ESCAPES(), "");
}
END_TEST

static void assert_name(const char *option, const char *environment, const char *expected)
{
	char *name;
	struct err err;
	int code;

	if (environment)
		setenv("NODE_NAME", environment, 1);
	else
		unsetenv("NODE_NAME");
	code = node_name(option, &name, &err);
	if (expected) {
		ck_assert_int_eq(code, 0);
		ck_assert_str_eq(name, expected);
	} else {
		ck_assert_int_eq(code, -EINVAL);
	}
	free(name);
}

START_TEST(node_name_by_option_then_environment)
{
	assert_name("a.example", "b", "a.example");
	assert_name(NULL, "b", "b");
	assert_name("A", "b", NULL);
	assert_name(NULL, "b_", NULL);
	assert_name("", "b", NULL);
}
END_TEST

START_TEST(node_name_of_a_host_is_as_the_kubelet_makes_it)
{
	static const char *const cases[][2] = {{"Worker-1.Example", "worker-1.example"}, {" n1\n", "n1"}, {"n", "n"},
					       {"under_score", NULL},			 {"", NULL},	  {" ", NULL}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEAN_FREE char *name = node_name_of_host(cases[i][0]);

		ck_assert_pstr_eq(name, cases[i][1]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("escapes");
	TCase *t = tcase_create("escapes");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, pod_that_runs_here_without_attachment_is_one_until_it_is_attached);
	tcase_add_test(t, attachment_of_another_uid_is_none);
	tcase_add_test(t, address_says_started_before_the_phase_does);
	tcase_add_test(t, who_is_elsewhere_finished_or_the_node_itself_is_none);
	tcase_add_test(t, after_del_the_object_may_stay_a_while);
	tcase_add_test(t, attachment_that_the_store_lost_leaves_an_escape);
	tcase_add_test(t, each_is_told_once_and_again_when_it_comes_back);
	tcase_add_test(t, without_a_node_name_none_is_told);
	tcase_add_test(t, node_name_by_option_then_environment);
	tcase_add_test(t, node_name_of_a_host_is_as_the_kubelet_makes_it);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}

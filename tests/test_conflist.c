/* SPDX-License-Identifier: Apache-2.0 */
/* The conflist that the daemon follows: its modes hold for the attachments of its network, a wrong one changes nothing. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policyd/model/compile.h"
#include "policyd/source/conflist.h"
#include "tests/build.h"

static char path[32];
static struct cluster *c;
static struct conflist conflist;

static void setup(void)
{
	struct attachment *a = build_attachment("db", "default", "db", "10.0.0.1");
	int fd;

	strcpy(path, "/tmp/moat-test-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	c = cluster_new();
	cluster_upsert(c, build_namespace("default", NULL));
	cluster_upsert(c, build_pod("default", "db", NULL, NULL, NULL));
	cluster_attach(c, a); /* of network "net", strict */
	attachment_free(a);
	conflist_init(&conflist, path);
}

static void teardown(void)
{
	conflist_done(&conflist);
	cluster_free(c);
	unlink(path);
}

static void put(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* A conflist whose moat entry has these members too. */
static void put_entry(const char *network, const char *members)
{
	CLEAN_FREE char *text = mem_printf("{ \"cniVersion\": \"1.0.0\", \"name\": \"%s\", \"plugins\": [ { \"type\": \"ptp\" }, "
					   "{ \"type\": \"moat\"%s } ] }", network, members);

	put(text);
}

static const struct local_pod *pod(void)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
	return build_local(c, "db");
}

static enum mode mode(void)
{
	return pod()->mode;
}

START_TEST(mode_of_the_conflist_holds_for_its_network)
{
	put_entry("net", ", \"mode\": \"preview\"");
	ck_assert(conflist_read(&conflist, c));
	ck_assert_int_eq(mode(), MODE_PREVIEW);
	ck_assert(!conflist_read(&conflist, c)); /* the same text is no change */
	put_entry("net", ", \"mode\": \"audit\"");
	ck_assert(conflist_read(&conflist, c));
	ck_assert_int_eq(mode(), MODE_AUDIT);
	put_entry("net", "");
	ck_assert(conflist_read(&conflist, c));
	ck_assert_int_eq(mode(), MODE_STRICT);
}
END_TEST

START_TEST(mode_of_another_network_is_not_ours)
{
	put_entry("other", ", \"mode\": \"audit\"");
	ck_assert(conflist_read(&conflist, c));
	ck_assert_int_eq(mode(), MODE_STRICT);
}
END_TEST

START_TEST(deny_of_the_conflist_holds)
{
	put_entry("net", ", \"deny\": \"reject\"");
	ck_assert(conflist_read(&conflist, c));
	ck_assert_int_eq(pod()->profile[INGRESS]->end, END_REJECT);
	put_entry("net", ", \"deny\": \"drop\"");
	ck_assert(conflist_read(&conflist, c));
	ck_assert_int_eq(pod()->profile[INGRESS]->end, END_DROP);
}
END_TEST

static bool is_tunnel_port(uint16_t port)
{
	return tunnel_ports_have(cluster_tunnel_ports(c), port);
}

START_TEST(tunnel_ports_of_the_conflist_hold_for_the_node)
{
	struct attachment *a = build_attachment("older", "default", "older", "10.0.0.2");

	a->tunnel_ports = (struct tunnel_ports){.port = {4000}, .n = 1};
	cluster_attach(c, a);
	a->created++;
	a->container_id[0] = 'O';
	a->tunnel_ports.port[0] = 5000;
	cluster_attach(c, a);
	attachment_free(a);
	ck_assert(is_tunnel_port(5000)); /* none followed: the newest attachment's */
	ck_assert(!is_tunnel_port(4000));
	put_entry("other", ", \"tunnelPorts\": [ 6000 ]");
	ck_assert(conflist_read(&conflist, c));
	ck_assert(cluster_take_tunnels_changed(c));
	ck_assert(!cluster_take_tunnels_changed(c));
	ck_assert(is_tunnel_port(6000));
	ck_assert(!is_tunnel_port(5000));
	put_entry("net", "");
	ck_assert(conflist_read(&conflist, c));
	ck_assert(cluster_take_tunnels_changed(c));
	ck_assert(is_tunnel_port(8472));
	ck_assert(!is_tunnel_port(6000));
}
END_TEST

static const char *const wrong[][2] = {
	{"", "not JSON"},
	{"{", "not JSON"},
	{"[]", "no name"},
	{"{ \"name\": 5 }", "no name"},
	{"{ \"name\": \"net\" }", "no plugin of type moat"},
	{"{ \"name\": \"net\", \"plugins\": [ { \"type\": \"ptp\" } ] }", "no plugin of type moat"},
	{"{ \"name\": \"net\", \"plugins\": [ { \"type\": \"moat\", \"mode\": \"open\" } ] }", "its mode is none of"},
	{"{ \"name\": \"net\", \"plugins\": [ { \"type\": \"moat\", \"mode\": 5 } ] }", "its mode is none of"},
	{"{ \"name\": \"net\", \"plugins\": [ { \"type\": \"moat\", \"mode\": null } ] }", "its mode is none of"},
	{"{ \"name\": \"net\", \"plugins\": [ { \"type\": \"moat\", \"deny\": \"maybe\" } ] }", "its deny is none of"},
	{"{ \"name\": \"net\", \"plugins\": [ { \"type\": \"moat\", \"tunnelPorts\": [ 8472, -1 ] } ] }", "tunnelPorts[1] is not"},
};

START_TEST(wrong_conflist_changes_nothing_and_is_told)
{
	put_entry("net", ", \"mode\": \"preview\"");
	conflist_read(&conflist, c);
	put(wrong[_i][0]);
	ck_assert(!conflist_read(&conflist, c));
	ck_assert_int_eq(mode(), MODE_PREVIEW);
	ck_assert_msg(strstr(conflist.trouble, wrong[_i][1]), "%s", conflist.trouble);
	put_entry("net", ", \"mode\": \"audit\"");
	conflist_read(&conflist, c);
	ck_assert_str_eq(conflist.trouble, "");
}
END_TEST

START_TEST(missing_conflist_changes_nothing_and_is_told)
{
	put_entry("net", ", \"mode\": \"preview\"");
	conflist_read(&conflist, c);
	unlink(path);
	ck_assert(!conflist_read(&conflist, c));
	ck_assert_int_eq(mode(), MODE_PREVIEW);
	ck_assert_ptr_nonnull(strstr(conflist.trouble, "No such file"));
}
END_TEST

START_TEST(conflist_too_large_is_refused)
{
	FILE *f = fopen(path, "w");

	for (unsigned i = 0; i <= CONFLIST_BYTES_MAX; i++)
		fputc(' ', f);
	fclose(f);
	ck_assert(!conflist_read(&conflist, c));
	ck_assert_ptr_nonnull(strstr(conflist.trouble, "larger than"));
}
END_TEST

START_TEST(fifo_in_its_place_hangs_nothing)
{
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert(!conflist_read(&conflist, c));
	ck_assert_ptr_nonnull(strstr(conflist.trouble, "not a regular file"));
}
END_TEST

START_TEST(without_a_path_none_is_followed)
{
	struct conflist none;

	conflist_init(&none, NULL);
	ck_assert(!conflist_read(&none, c));
	ck_assert_str_eq(none.trouble, "");
	conflist_done(&none);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("conflist");
	Suite *suite = suite_create("conflist");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, mode_of_the_conflist_holds_for_its_network);
	tcase_add_test(t, mode_of_another_network_is_not_ours);
	tcase_add_test(t, deny_of_the_conflist_holds);
	tcase_add_test(t, tunnel_ports_of_the_conflist_hold_for_the_node);
	tcase_add_loop_test(t, wrong_conflist_changes_nothing_and_is_told, 0, ARRAY_SIZE(wrong));
	tcase_add_test(t, missing_conflist_changes_nothing_and_is_told);
	tcase_add_test(t, conflist_too_large_is_refused);
	tcase_add_test(t, fifo_in_its_place_hangs_nothing);
	tcase_add_test(t, without_a_path_none_is_followed);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

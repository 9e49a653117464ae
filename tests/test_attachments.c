/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's view of the pod store: what it reads there comes to the model, what it cannot read stays as it was. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "moat/podstore.h"
#include "policyd/source/attachments.h"
#include "policyd/model/compile.h"
#include "tests/build.h"
#include "tests/rundir.h"

static struct cluster *c;
static struct attachments a;

static void setup(void)
{
	rundir_make();
	ck_assert_int_eq(podstore_init(NULL), 0);
	c = cluster_new();
}

static void teardown(void)
{
	attachments_done(&a);
	cluster_free(c);
	rundir_remove();
}

static void start(void)
{
	struct err err;

	ck_assert_int_eq(attachments_init(&a, c, &err), 0);
}

static void put(const char *id, const char *port, const char *address)
{
	struct attachment *at = rundir_attachment(id, port, address);
	struct err err;

	ck_assert_int_eq(podstore_put(at, &err), 0);
	attachment_free(at);
}

/* The model's attachment of this container, or NULL. */
static const struct attachment *known(const char *id)
{
	struct local_pod_list changed;
	struct local_pod *pod;

	cluster_compile(c, &changed);
	free(changed.v);
	pod = build_local(c, id);
	return pod ? pod->attachment : NULL;
}

/* A closing attachment has no policy, so it is none of the model's local pods. */
static bool is_closing(const char *key)
{
	struct known_attachment *k;

	HASH_FIND_STR(a.known, key, k);
	return k && k->closing;
}

START_TEST(store_is_read_at_start)
{
	put("one", "veth1", "10.0.0.1");
	put("two", "veth2", "10.0.0.2");
	start();
	ck_assert_ptr_nonnull(known("one"));
	ck_assert_ptr_nonnull(known("two"));
	ck_assert(!attachments_read_all(&a));
}
END_TEST

START_TEST(attachment_that_came_or_went_is_found)
{
	struct attachment *at;

	start();
	put("one", "veth1", "10.0.0.1");
	ck_assert(attachments_read_all(&a));
	ck_assert_ptr_nonnull(known("one"));
	at = rundir_attachment("one", "veth1", "10.0.0.1");
	ck_assert_int_eq(podstore_mark_closing(at, NULL), 0);
	ck_assert(attachments_read_all(&a));
	ck_assert(is_closing("net/one:eth0"));
	ck_assert_ptr_null(known("one"));
	ck_assert_int_eq(podstore_remove(at, NULL), 0);
	ck_assert(attachments_read_all(&a));
	ck_assert_ptr_null(a.known);
	attachment_free(at);
}
END_TEST

START_TEST(one_that_the_plugin_tells_of_is_read_alone)
{
	put("one", "veth1", "10.0.0.1");
	start();
	put("two", "veth2", "10.0.0.2");
	ck_assert(attachments_read(&a, "net/two:eth0", false));
	ck_assert_ptr_nonnull(known("two"));
	ck_assert(!attachments_read(&a, "net/two:eth0", false));
	ck_assert(attachments_read(&a, "net/two:eth0", true)); /* ADD put it in the kernel again, closed */
	ck_assert(!attachments_read(&a, "net/three:eth0", false));
	ck_assert(!attachments_read(&a, "../../etc/passwd", false));
}
END_TEST

START_TEST(address_lost_to_another_attachment_is_noticed)
{
	struct attachment *at;

	put("one", "veth1", "10.0.0.1");
	start();
	ck_assert_uint_eq(known("one")->n_addrs, 1);
	at = rundir_attachment("one", "veth1", NULL); /* as the plugin rewrites a former owner: created is the same */
	ck_assert_int_eq(podstore_rewrite(at, NULL), 0);
	ck_assert(attachments_read_all(&a));
	ck_assert_uint_eq(known("one")->n_addrs, 0);
	attachment_free(at);
}
END_TEST

START_TEST(unreadable_state_file_keeps_what_stands_and_is_told)
{
	put("one", "veth1", "10.0.0.1");
	put("two", "veth2", "10.0.0.2");
	start();
	rundir_write("pods/net/one:eth0", "{ \"version\": 1, ");
	ck_assert(!attachments_read_all(&a));
	ck_assert_ptr_nonnull(known("one"));
	ck_assert_uint_eq(known("one")->n_addrs, 1);
	ck_assert_uint_eq(a.unreadable.n, 1);
	ck_assert_ptr_nonnull(strstr(a.unreadable.v[0].error, "one:eth0"));
	ck_assert(!attachments_read(&a, "net/one:eth0", false));
	ck_assert_ptr_nonnull(known("one"));
	put("one", "veth1", "10.0.0.1"); /* ADD again mends it */
	attachments_read_all(&a);
	ck_assert_uint_eq(a.unreadable.n, 0);
}
END_TEST

/* Its pod may run: what the index knows of it closes it. */
START_TEST(state_file_unreadable_from_the_first_names_no_pod)
{
	struct local_pod *pod;

	put("one", "veth1", "10.0.0.1");
	rundir_write("pods/net/one:eth0", "");
	start();
	ck_assert_uint_eq(a.unreadable.n, 1);
	HASH_FIND_STR(cluster_local_pods(c), "net/one:eth0", pod);
	ck_assert_ptr_nonnull(pod);
	ck_assert_str_eq(pod->attachment->port, "veth1");
	ck_assert_uint_eq(pod->attachment->n_addrs, 1);
	ck_assert_ptr_null(pod->attachment->pod_name);
	ck_assert(!attachments_read_all(&a));
}
END_TEST

START_TEST(unreadable_network_keeps_its_attachments)
{
	CLEAN_FREE char *net = rundir_path("pods/net"), *aside = rundir_path("aside");

	put("one", "veth1", "10.0.0.1");
	start();
	ck_assert_int_eq(rename(net, aside), 0);
	rundir_write("pods/net", "a stranger's file");
	ck_assert(!attachments_read_all(&a));
	ck_assert_ptr_nonnull(known("one"));
	ck_assert_uint_ge(a.unreadable.n, 1);
	ck_assert_int_eq(unlink(net), 0);
	ck_assert_int_eq(rename(aside, net), 0);
	ck_assert(!attachments_read_all(&a));
	ck_assert_uint_eq(a.unreadable.n, 0);
}
END_TEST

START_TEST(removed_store_keeps_what_stands)
{
	put("one", "veth1", "10.0.0.1");
	start();
	rundir_remove();
	ck_assert(!attachments_read_all(&a));
	ck_assert_ptr_nonnull(known("one"));
	ck_assert_uint_eq(a.unreadable.n, 1);
}
END_TEST

/* lo has index 1 in every network namespace. */
START_TEST(closing_attachment_stays_while_its_link_is_there)
{
	struct attachment *at = rundir_attachment("one", "lo", "10.0.0.1");

	at->port_index = 1;
	ck_assert_int_eq(podstore_put(at, NULL), 0);
	ck_assert_int_eq(podstore_mark_closing(at, NULL), 0);
	start();
	attachments_release_closed(&a);
	ck_assert(rundir_has("closing/net/one:eth0"));
	attachment_free(at);
}
END_TEST

/* Each second: files are read only if a directory says that something came or went, or something was wrong before. */
START_TEST(look_reads_what_may_have_been_missed_and_nothing_else)
{
	struct attachment *at;

	put("one", "veth1", "10.0.0.1");
	start();
	rundir_write("pods/net/one:eth0", "broken"); /* in place, and nobody tells: a look does not read it */
	ck_assert(!attachments_look(&a));
	ck_assert_uint_eq(a.unreadable.n, 0);
	put("two", "veth2", "10.0.0.2");
	ck_assert(attachments_look(&a));
	ck_assert_ptr_nonnull(known("two"));
	ck_assert_uint_eq(a.unreadable.n, 1);
	put("one", "veth1", "10.0.0.1");
	attachments_look(&a);
	ck_assert_uint_eq(a.unreadable.n, 0);
	at = rundir_attachment("two", "veth2", "10.0.0.2");
	ck_assert_int_eq(podstore_mark_closing(at, NULL), 0);
	ck_assert(attachments_look(&a));
	ck_assert(is_closing("net/two:eth0"));
	ck_assert_int_eq(podstore_remove(at, NULL), 0); /* of closing/ */
	ck_assert(attachments_look(&a));
	ck_assert(!is_closing("net/two:eth0"));
	ck_assert(!attachments_look(&a));
	attachment_free(at);
}
END_TEST

static bool is_recovered(const char *key)
{
	struct known_attachment *known;

	HASH_FIND_STR(a.known, key, known);
	return known && known->recovered;
}

START_TEST(look_goes_on_while_something_cannot_be_read)
{
	CLEAN_FREE char *good = NULL;

	put("one", "veth1", "10.0.0.1");
	good = rundir_read("pods/net/one:eth0");
	rundir_write("pods/net/one:eth0", "broken");
	start();
	ck_assert_uint_eq(a.unreadable.n, 1);
	ck_assert(is_recovered("net/one:eth0"));
	rundir_write("pods/net/one:eth0", good); /* mended in place */
	ck_assert(attachments_look(&a));
	ck_assert_uint_eq(a.unreadable.n, 0);
	ck_assert(!is_recovered("net/one:eth0"));
}
END_TEST

START_TEST(look_finds_a_network_whose_directory_was_exchanged)
{
	CLEAN_FREE char *net = rundir_path("pods/net"), *away = rundir_path("away");

	put("one", "veth1", "10.0.0.1");
	start();
	ck_assert_int_eq(rename(net, away), 0);
	put("two", "veth2", "10.0.0.2");
	ck_assert(attachments_look(&a));
	ck_assert_ptr_nonnull(known("two"));
	ck_assert_ptr_null(known("one"));
}
END_TEST

static void on_changed(void *arg)
{
	++*(unsigned *)arg;
}

static bool loop_until(uv_loop_t *loop, const unsigned *count, unsigned wanted)
{
	for (int i = 0; i < 500 && *count < wanted; i++) {
		uv_run(loop, UV_RUN_NOWAIT);
		if (*count < wanted)
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return *count >= wanted;
}

static void ignore(void *arg)
{
	(void)arg;
}

static const struct attachments_calls calls = {on_changed, ignore, ignore};

START_TEST(store_is_followed_on_the_loop)
{
	unsigned changes = 0;
	struct attachment *at;
	struct err err;
	uv_loop_t loop;

	put("one", "veth1", "10.0.0.1");
	start();
	uv_loop_init(&loop);
	ck_assert_int_eq(attachments_start(&a, &loop, &calls, &changes, &err), 0);
	put("two", "veth2", "10.0.0.2");
	ck_assert(loop_until(&loop, &changes, 1));
	ck_assert_ptr_nonnull(known("two"));
	at = rundir_attachment("one", "veth1", "10.0.0.1");
	ck_assert_int_eq(podstore_mark_closing(at, NULL), 0);
	ck_assert(loop_until(&loop, &changes, 2));
	ck_assert(is_closing("net/one:eth0"));
	ck_assert_ptr_null(known("one"));
	attachment_free(at);
	ck_assert(!attachments_look(&a)); /* events have told all of it */
	rundir_write("pods/net/two:eth0", "broken"); /* in place */
	for (int i = 0; i < 500 && !a.unsure; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	attachments_look(&a);
	ck_assert_uint_eq(a.unreadable.n, 1);
	attachments_close_handles(&a);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("attachments");
	Suite *suite = suite_create("attachments");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, store_is_read_at_start);
	tcase_add_test(t, attachment_that_came_or_went_is_found);
	tcase_add_test(t, one_that_the_plugin_tells_of_is_read_alone);
	tcase_add_test(t, address_lost_to_another_attachment_is_noticed);
	tcase_add_test(t, unreadable_state_file_keeps_what_stands_and_is_told);
	tcase_add_test(t, state_file_unreadable_from_the_first_names_no_pod);
	tcase_add_test(t, unreadable_network_keeps_its_attachments);
	tcase_add_test(t, removed_store_keeps_what_stands);
	tcase_add_test(t, closing_attachment_stays_while_its_link_is_there);
	tcase_add_test(t, look_reads_what_may_have_been_missed_and_nothing_else);
	tcase_add_test(t, look_goes_on_while_something_cannot_be_read);
	tcase_add_test(t, look_finds_a_network_whose_directory_was_exchanged);
	tcase_add_test(t, store_is_followed_on_the_loop);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

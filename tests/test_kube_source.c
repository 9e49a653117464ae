/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source `kube` against tests/apiserver over TLS, an API server that can be told to misbehave. What is in force is seen from where
 * objects go: policy "a" with port 80 allows tcp/80 to pod db from everyone.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policyd/source/kube_source.h"
#include "tests/build.h"

static char top[] = "/tmp/moat-test-XXXXXX"; /* certificates: for all tests */
static pid_t server;
static int server_input;
static uv_loop_t loop;
static struct cluster *c;
static struct kube_source s;
static struct turns turns;
static unsigned changes;

static char *path_of(const char *name)
{
	return mem_printf("%s/%s", top, name);
}

/* One command; what is answered is in a static buffer. */
static const char *ctl(const char *fmt, ...)
{
	static char answer[65536];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	CLEAN_FREE char *line = NULL;
	CLEAN_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t got;
	va_list args;

	va_start(args, fmt);
	ck_assert_int_ge(vasprintf(&line, fmt, args), 0);
	va_end(args);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ctl", top);
	ck_assert_msg(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, "%s: %s", line, strerror(errno));
	ck_assert_int_eq(write(fd, line, strlen(line)), (ssize_t)strlen(line));
	ck_assert_int_eq(write(fd, "\n", 1), 1);
	while ((got = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0)
		len += (size_t)got;
	answer[len] = '\0';
	ck_assert_msg(strncmp(answer, "failed", 6) != 0 && strncmp(answer, "unknown", 7) != 0, "%s: %s", line, answer);
	return answer;
}

static void put_policy(const char *name, unsigned port)
{
	ctl("put {\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"%s\"},\"spec\":{\"podSelector\":{},\"ingress\":[{\"ports\":[{\"port\":%u}]}]}}",
	    name, port);
}

static void put_broken_policy(const char *name)
{
	ctl("put {\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"%s\"},\"spec\":{\"podSelector\":{},\"ingress\":[{\"ports\":[{\"prot\":1}]}]}}",
	    name);
}

static bool allows(unsigned port)
{
	const struct addr peer = build_addr("192.0.2.1");
	struct local_pod_list changed;
	const struct local_pod *pod = build_local(c, "db");

	cluster_compile(c, &changed);
	free(changed.v);
	return pod->profile[INGRESS] && profile_allows(pod->profile[INGRESS], &peer, IPPROTO_TCP, (uint16_t)port);
}

static void on_changed(void *arg)
{
	(void)arg;
	changes++;
}

static void on_end(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* Runs the loop until it holds, at most ms (times four: machines are busy). */
static bool holds_within(unsigned ms, bool (*holds)(void))
{
	uv_timer_t end;
	bool over = false;
	bool held;

	uv_timer_init(&loop, &end);
	end.data = &over;
	uv_timer_start(&end, on_end, ms * 4, 0);
	while (!(held = holds()) && !over)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&end, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return held;
}

static bool never(void)
{
	return false;
}

static void run_for(unsigned ms)
{
	holds_within(ms / 4, never);
}

static bool synced(void)
{
	return s.synced;
}

static bool allows_80(void)
{
	return allows(80);
}

static bool allows_81(void)
{
	return allows(81);
}

static bool denies_80(void)
{
	return !allows(80);
}

static bool policies_failed_thrice(void)
{
	return s.reflectors[KIND_POLICY].failures >= 3;
}

static bool policies_failed(void)
{
	return s.reflectors[KIND_POLICY].failures > 0;
}

static bool all_watch(void)
{
	for (int k = 0; k < KIND_COUNT; k++)
		if (s.reflectors[k].state != KUBE_WATCHING || s.reflectors[k].needs_list)
			return false;
	return true;
}

/* The server's process; it ends with its standard input. */
static void start_server(void)
{
	CLEAN_FREE char *control = path_of("ctl");
	int input[2], output[2];
	char port[16];
	ssize_t got;

	unlink(control);
	ck_assert_int_eq(pipe2(input, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
	server = fork();
	if (server == 0) {
		dup2(input[0], 0);
		dup2(output[1], 1);
		execlp("python3", "python3", "tests/apiserver/apiserver.py", "serve", top, "--name", "localhost", (char *)NULL);
		_exit(127);
	}
	close(input[0]);
	close(output[1]);
	got = read(output[0], port, sizeof(port));
	ck_assert_msg(got > 1 && port[got - 1] == '\n', "tests/apiserver/apiserver.py does not start: %zd bytes, %s", got, strerror(errno));
	close(output[0]);
	server_input = input[1];
}

static void start_source(const char *kubeconfig)
{
	CLEAN_FREE char *path = path_of(kubeconfig);
	struct err err;

	ck_assert_msg(kube_source_init(&s, path, &err) == 0, "%s", err.text);
	s.turns = &turns;
	ck_assert_int_eq(kube_source_start(&s, c, &loop, on_changed, NULL, &err), 0);
	for (int k = 0; k < KIND_COUNT; k++)
		s.reflectors[k].retry_first_ms = 20;
	kube_source_go(&s);
}

static void setup(void)
{
	struct attachment *a = build_attachment("db", "default", "db", "10.0.0.1");
	CLEAN_FREE char *token = path_of("token");
	FILE *f = fopen(token, "w");

	fputs("first\n", f);
	fclose(f);
	start_server();
	uv_loop_init(&loop);
	changes = 0;
	turns_init(&turns);
	c = cluster_new();
	cluster_attach(c, a);
	attachment_free(a);
	ctl("put {\"kind\":\"Namespace\",\"metadata\":{\"name\":\"default\"}}");
	ctl("put {\"kind\":\"Pod\",\"metadata\":{\"name\":\"db\",\"labels\":{\"role\":\"db\"}}}");
	put_policy("a", 80);
}

static void teardown(void)
{
	kube_source_close_handles(&s);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	kube_source_done(&s);
	cluster_free(c);
	turns_done(&turns);
	close(server_input);
	waitpid(server, NULL, 0);
}

static void sync_source(void)
{
	start_source("kubeconfig");
	ck_assert(holds_within(3000, synced));
	ck_assert(holds_within(3000, all_watch));
	ck_assert(allows(80));
}

START_TEST(what_is_there_is_listed_as_a_stream_and_then_followed)
{
	const char *requests;

	sync_source();
	ck_assert_uint_eq(changes, 1); /* four kinds, one change */
	put_policy("a", 81);
	ck_assert(holds_within(2000, allows_81));
	ck_assert(!allows(80));
	ctl("delete networkpolicies default/a");
	put_policy("b", 80);
	ck_assert(holds_within(2000, allows_80));
	ck_assert(!allows(81));
	requests = ctl("requests");
	ck_assert_ptr_nonnull(strstr(requests, "watch networkpolicies watch=1&allowWatchBookmarks=true&sendInitialEvents=true&"
					       "resourceVersionMatch=NotOlderThan&resourceVersion=&"));
	ck_assert_ptr_nonnull(strstr(requests, "watch pods watch=1&allowWatchBookmarks=true&sendInitialEvents=true&"
					       "resourceVersionMatch=NotOlderThan&resourceVersion=0&"));
	ck_assert_ptr_null(strstr(requests, "list "));
}
END_TEST

START_TEST(without_streams_lists_come_in_pages_and_compressed)
{
	const char *requests;

	ctl("streams off");
	for (int i = 0; i < 1200; i++)
		ctl("put {\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n%d\"}}", i);
	sync_source();
	ck_assert_uint_eq(HASH_COUNT(s.reflectors[KIND_NAMESPACE].store.objects), 1201);
	ck_assert_int_ge(atoi(ctl("gzipped")), 3);
	requests = ctl("requests");
	ck_assert_ptr_nonnull(strstr(requests, "list namespaces limit=500\n"));
	ck_assert_ptr_nonnull(strstr(requests, "list namespaces limit=500&continue="));
	ck_assert_ptr_nonnull(strstr(requests, "list pods limit=500&resourceVersionMatch=NotOlderThan&resourceVersion=0\n"));
	put_policy("a", 81);
	ck_assert(holds_within(2000, allows_81));
}
END_TEST

START_TEST(page_that_expired_makes_it_one_list)
{
	ctl("streams off");
	for (int i = 0; i < 700; i++)
		ctl("put {\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n%d\"}}", i);
	ctl("fault list namespaces 1 oldtoken");
	sync_source();
	ck_assert_uint_eq(HASH_COUNT(s.reflectors[KIND_NAMESPACE].store.objects), 701);
	ck_assert_ptr_nonnull(strstr(ctl("requests"), "list namespaces \n"));
}
END_TEST

START_TEST(nothing_is_in_force_before_every_kind_is_listed)
{
	ctl("fault watch nodes 1000 status 500");
	start_source("kubeconfig");
	run_for(600);
	ck_assert(!s.synced && !allows(80));
	ck_assert_uint_eq(changes, 0);
	ck_assert(s.reflectors[KIND_POLICY].listed);
	put_policy("a", 81); /* goes into the list that waits */
	run_for(200);
	ctl("clear");
	ck_assert(holds_within(3000, synced));
	ck_assert(allows(81) && !allows(80));
}
END_TEST

static const char *const lies[] = {"truncate", "wrongkind", "giant", "noname", "noversion", "garbage", "noitems", "status 500", "status 404"};

/* What was in force stays, until a list comes whole. */
START_TEST(list_that_makes_no_sense_changes_nothing)
{
	ctl("streams off");
	sync_source();
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		ctl("fault list networkpolicies 1000 %s", lies[i]);
		ctl("compact");
		ck_assert(holds_within(3000, policies_failed_thrice));
		ctl("delete networkpolicies default/a");
		put_policy("b", 81);
		run_for(50);
		ck_assert_msg(s.synced && allows(80) && !allows(81), "%s", lies[i]);
		ctl("clear");
		ck_assert(holds_within(5000, allows_81));
		ck_assert(!allows(80));
		ctl("delete networkpolicies default/b");
		put_policy("a", 80);
		ck_assert(holds_within(3000, allows_80));
		ck_assert(holds_within(3000, all_watch));
	}
}
END_TEST

static bool policies_listing_failed(void)
{
	return s.reflectors[KIND_POLICY].failures >= 2;
}

/* While it has no complete list, the deletion that it missed is not in force, nor is anything else. */
START_TEST(expired_watch_is_listed_anew_without_a_change_meanwhile)
{
	sync_source();
	ctl("fault watch networkpolicies 1000 truncate");
	ctl("fault list networkpolicies 1000 truncate"); /* after some streams that did not end it asks for pages */
	ctl("compact");
	ck_assert(holds_within(3000, policies_listing_failed));
	changes = 0;
	ctl("delete networkpolicies default/a");
	put_policy("b", 81);
	run_for(300);
	ck_assert(allows(80) && !allows(81));
	ck_assert_uint_eq(changes, 0);
	ctl("clear");
	ck_assert(holds_within(5000, allows_81));
	ck_assert(!allows(80));
}
END_TEST

static const char *const false_events[] = {
	"{\"type\":\"ADDED\",\"object\":{\"kind\":\"NetworkPolicy\",\"metadata\":{\"namespace\":\"default\",\"resourceVersion\":\"9999\"}}}",
	"{\"type\":\"ADDED\",\"object\":{\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"9999\"}}}",
	"{\"type\":\"DELETED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"default\",\"resourceVersion\":\"9999\"}}}",
	"{\"type\":\"DELETED\",\"object\":{\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"a\",\"namespace\":\"default\"}}}",
	"{\"type\":\"DELETED\"}",
	"{\"type\":\"NONE\",\"object\":{\"metadata\":{\"name\":\"a\",\"namespace\":\"default\",\"resourceVersion\":\"9999\"}}}",
	"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"A/../b\",\"namespace\":\"default\",\"resourceVersion\":\"9999\"}}}",
	"<html>",
	"{\"type\":\"ADDED\",\"object\":{\"metadata\":{{}}}}",
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}",
};

START_TEST(event_that_makes_no_sense_changes_nothing)
{
	sync_source();
	for (size_t i = 0; i < ARRAY_SIZE(false_events); i++) {
		ctl("raw networkpolicies %s", false_events[i]);
		ck_assert_msg(holds_within(3000, policies_failed), "%s", false_events[i]);
		ck_assert_msg(allows(80), "%s", false_events[i]);
		ck_assert_ptr_nonnull(strstr(s.reflectors[KIND_POLICY].trouble.text, "makes no sense"));
		ck_assert(holds_within(3000, all_watch));
		ck_assert(allows(80));
		ck_assert_uint_eq(HASH_COUNT(s.reflectors[KIND_POLICY].store.objects), 1);
	}
}
END_TEST

static bool pods_rest(void)
{
	return s.reflectors[KIND_POD].state == KUBE_PAUSED;
}

START_TEST(server_that_asks_to_wait_is_not_asked_before)
{
	uint64_t began;

	ctl("fault watch pods 1 status 429 2");
	start_source("kubeconfig");
	ck_assert(holds_within(2000, pods_rest));
	began = uv_hrtime();
	ck_assert(holds_within(6000, synced));
	ck_assert_uint_ge((uv_hrtime() - began) / 1000000, 1900);
}
END_TEST

START_TEST(rotated_token_is_read_anew)
{
	CLEAN_FREE char *token = path_of("token");
	FILE *f;

	ctl("token first");
	sync_source();
	ctl("token second"); /* connections that are open go on, new requests are not accepted */
	put_policy("a", 81);
	ck_assert(holds_within(2000, allows_81));
	ctl("drop");
	ck_assert(holds_within(3000, policies_failed_thrice));
	ck_assert_ptr_nonnull(strstr(s.reflectors[KIND_POLICY].trouble.text, "unauthorized"));
	ck_assert(allows(81));
	f = fopen(token, "w");
	fputs("second", f);
	fclose(f);
	ck_assert(holds_within(4000, all_watch));
	put_policy("a", 80);
	ck_assert(holds_within(2000, allows_80));
}
END_TEST

START_TEST(what_rbac_lacks_is_told)
{
	ctl("fault watch networkpolicies 1000 status 403");
	start_source("kubeconfig");
	ck_assert(holds_within(3000, policies_failed));
	ck_assert_ptr_nonnull(strstr(s.reflectors[KIND_POLICY].trouble.text, "RBAC must let this user watch networkpolicies.networking.k8s.io"));
	ck_assert(!s.synced);
	ctl("clear");
	ck_assert(holds_within(3000, synced));
	ck_assert_int_eq(s.reflectors[KIND_POLICY].trouble.code, 0);
}
END_TEST

static bool pods_are_well(void)
{
	return all_watch() && !s.reflectors[KIND_POD].trouble.code;
}

/* A watch that is accepted is well, although it has nothing to tell yet. */
START_TEST(trouble_ends_with_an_accepted_watch)
{
	sync_source();
	ctl("fault list pods 3 status 500");
	ctl("drop");
	while (!s.reflectors[KIND_POD].trouble.code)
		uv_run(&loop, UV_RUN_ONCE);
	ck_assert(holds_within(3000, pods_are_well));
}
END_TEST

/* The backup has another policy and lower versions, and all four kinds are listed anew. */
static void restore(void)
{
	ctl("forget");
	ctl("version 50");
	ctl("put {\"kind\":\"Namespace\",\"metadata\":{\"name\":\"default\"}}");
	ctl("put {\"kind\":\"Pod\",\"metadata\":{\"name\":\"db\",\"labels\":{\"role\":\"db\"}}}");
	put_policy("b", 81);
	ctl("requests");
}

START_TEST(server_restored_from_a_backup_is_listed_anew_whole)
{
	sync_source();
	restore();
	ctl("drop");
	ck_assert(holds_within(5000, allows_81));
	ck_assert(!allows(80));
	ck_assert(holds_within(3000, all_watch));
	put_policy("b", 80);
	ck_assert(holds_within(2000, allows_80));
}
END_TEST

/* Until the last kind is there too, nothing of the restored server is in force. */
START_TEST(restored_server_counts_when_all_kinds_are_there)
{
	sync_source();
	ctl("fault watch namespaces 1000 status 503");
	restore();
	ctl("drop");
	run_for(1000);
	ck_assert(allows(80) && !allows(81));
	ctl("clear");
	ck_assert(holds_within(5000, allows_81));
	ck_assert(!allows(80));
}
END_TEST

START_TEST(server_that_forgot_and_is_older_is_read_consistently)
{
	sync_source();
	restore();
	ctl("compact");
	ck_assert(holds_within(5000, allows_81));
	ck_assert(holds_within(3000, all_watch));
	ck_assert(!allows(80));
	ck_assert_ptr_nonnull(strstr(ctl("requests"), "watch pods watch=1&allowWatchBookmarks=true&sendInitialEvents=true&"
						      "resourceVersionMatch=NotOlderThan&resourceVersion=&"));
}
END_TEST

START_TEST(server_that_is_down_changes_nothing_and_is_found_again)
{
	sync_source();
	ctl("bookmark");
	run_for(300);
	ctl("requests");
	ctl("drop");
	put_policy("a", 81);
	ck_assert(holds_within(3000, allows_81));
	ck_assert(holds_within(3000, all_watch));
	ck_assert_ptr_null(strstr(ctl("requests"), "sendInitialEvents")); /* continued, not listed */
}
END_TEST

static bool watch_broke_off(void)
{
	for (int k = 0; k < KIND_COUNT; k++)
		if (s.reflectors[k].state == KUBE_WATCHING)
			return false;
	return true;
}

/* Its kernel answers for it. */
START_TEST(server_that_hangs_is_found)
{
	sync_source();
	s.http.quiet_ms = 300;
	s.http.probe_s = 1;
	uv_timer_start(&s.http.watchdog, s.http.watchdog.timer_cb, 100, 100);
	run_for(1000);
	ck_assert(all_watch()); /* it was asked, and answered */
	ck_assert_ptr_nonnull(strstr(ctl("requests"), "get version"));
	kill(server, SIGSTOP);
	ck_assert(holds_within(4000, watch_broke_off));
	ck_assert(allows(80));
	kill(server, SIGCONT);
	put_policy("a", 81);
	ck_assert(holds_within(8000, allows_81));
}
END_TEST

START_TEST(policy_that_cannot_be_read_keeps_its_last_good_version_or_closes)
{
	sync_source();
	put_broken_policy("a");
	put_policy("b", 81);
	ck_assert(holds_within(2000, allows_81));
	ck_assert(allows(80));
	ck_assert_ptr_nonnull(s.reflectors[KIND_POLICY].store.objects->error);
	ctl("compact"); /* a new list says the same of it */
	run_for(600);
	ck_assert(all_watch() && allows(80));
	ctl("delete networkpolicies default/a");
	ck_assert(holds_within(2000, denies_80));
	put_policy("c", 80);
	ck_assert(holds_within(2000, allows_80));
	ctl("delete networkpolicies default/c");
	put_broken_policy("c"); /* another object of that name: it has no last good version */
	ck_assert(holds_within(2000, denies_80));
	ck_assert(allows(81));
}
END_TEST

static bool allows_82(void)
{
	return allows(82);
}

static bool knows_other(void)
{
	return HASH_COUNT(s.reflectors[KIND_NAMESPACE].store.objects) == 2;
}

START_TEST(namespace_that_owes_time_waits_and_others_do_not)
{
	sync_source();
	turns_charge(&turns, "default", 350000, uv_hrtime() / 1000); /* three seconds */
	put_policy("a", 81);
	ctl("put {\"kind\":\"Namespace\",\"metadata\":{\"name\":\"other\"}}");
	ck_assert(holds_within(500, knows_other));
	put_policy("a", 82);
	put_policy("b", 83);
	run_for(700);
	ck_assert(allows(80) && !allows(81) && !allows(82) && !allows(83));
	ck_assert_uint_eq(kube_store_count_waiting(&s.reflectors[KIND_POLICY].store), 2);
	ctl("delete networkpolicies default/b"); /* the newest of each object counts, once */
	ck_assert(holds_within(2000, allows_82));
	ck_assert(!allows(80) && !allows(81));
	run_for(300);
	ck_assert(!allows(83));
	ck_assert_uint_eq(kube_store_count_waiting(&s.reflectors[KIND_POLICY].store), 0);
}
END_TEST

static bool says_certificate(void)
{
	return strstr(s.reflectors[KIND_POLICY].trouble.text, "certificate") || strstr(s.reflectors[KIND_POLICY].trouble.text, "SSL");
}

static void write_kubeconfig(const char *name, const char *from, const char *old, const char *new)
{
	CLEAN_FREE char *source = path_of(from), *target = path_of(name), *command = NULL;

	command = mem_printf("sed 's|%s|%s|' %s > %s", old, new, source, target);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(server_that_does_not_prove_itself_is_not_believed)
{
	static const char *const changes_of[][2] = {
		{"certificate-authority: ca.crt", "certificate-authority: client.crt"}, /* another authority */
		{", certificate-authority: ca.crt", ""},				 /* those of the machine */
		{"certificate-authority: ca.crt", "certificate-authority: ca.crt, tls-server-name: other.example"},
	};

	write_kubeconfig("kubeconfig-wrong", "kubeconfig", changes_of[_i][0], changes_of[_i][1]);
	start_source("kubeconfig-wrong");
	ck_assert(holds_within(3000, policies_failed));
	ck_assert_msg(says_certificate(), "%s", s.reflectors[KIND_POLICY].trouble.text);
	ck_assert(!s.synced);
	ck_assert_str_eq(ctl("requests"), "\n");
}
END_TEST

START_TEST(server_is_reached_by_name_by_certificate_and_under_another_name)
{
	static const char *const files[] = {"kubeconfig-name", "kubeconfig-cert", "kubeconfig-tls-name"};

	start_source(files[_i]);
	ck_assert(holds_within(4000, synced));
	ck_assert(allows(80));
	ctl("drop");
	put_policy("a", 81);
	ck_assert(holds_within(4000, allows_81));
}
END_TEST

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int main(void)
{
	Suite *suite = suite_create("kube_source");
	TCase *t = tcase_create("kube_source");
	SRunner *r;
	int failed;

	if (!mkdtemp(top))
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_there_is_listed_as_a_stream_and_then_followed);
	tcase_add_test(t, without_streams_lists_come_in_pages_and_compressed);
	tcase_add_test(t, page_that_expired_makes_it_one_list);
	tcase_add_test(t, nothing_is_in_force_before_every_kind_is_listed);
	tcase_add_test(t, list_that_makes_no_sense_changes_nothing);
	tcase_add_test(t, expired_watch_is_listed_anew_without_a_change_meanwhile);
	tcase_add_test(t, event_that_makes_no_sense_changes_nothing);
	tcase_add_test(t, server_that_asks_to_wait_is_not_asked_before);
	tcase_add_test(t, rotated_token_is_read_anew);
	tcase_add_test(t, what_rbac_lacks_is_told);
	tcase_add_test(t, trouble_ends_with_an_accepted_watch);
	tcase_add_test(t, server_restored_from_a_backup_is_listed_anew_whole);
	tcase_add_test(t, restored_server_counts_when_all_kinds_are_there);
	tcase_add_test(t, server_that_forgot_and_is_older_is_read_consistently);
	tcase_add_test(t, server_that_is_down_changes_nothing_and_is_found_again);
	tcase_add_test(t, server_that_hangs_is_found);
	tcase_add_test(t, policy_that_cannot_be_read_keeps_its_last_good_version_or_closes);
	tcase_add_test(t, namespace_that_owes_time_waits_and_others_do_not);
	tcase_add_loop_test(t, server_that_does_not_prove_itself_is_not_believed, 0, 3);
	tcase_add_loop_test(t, server_is_reached_by_name_by_certificate_and_under_another_name, 0, 3);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return failed != 0;
}

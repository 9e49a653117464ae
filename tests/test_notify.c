/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plugin/notify.h"
#include "tests/rundir.h"

#define KEY "net/a:eth0"

static int listener = -1;

static struct sockaddr_un address(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	CLEAN_FREE char *path = rundir_path("policyd.sock");

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	return sun;
}

static void listen_here(int backlog)
{
	struct sockaddr_un sun = address();

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(listener, backlog), 0);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A daemon in a child: reads one line, waits, answers with `answer` in two parts; exits 0 if the line was as expected. */
static pid_t daemon_that_answers(const char *expected, const char *answer, useconds_t after)
{
	pid_t child = fork();
	char line[512] = "";
	size_t len = 0;
	int fd;

	if (child)
		return child;
	fd = accept(listener, NULL, NULL);
	while (len < sizeof(line) - 1 && !strchr(line, '\n')) {
		ssize_t got = read(fd, line + len, sizeof(line) - 1 - len);

		if (got <= 0)
			break;
		len += (size_t)got;
	}
	usleep(after);
	if (answer) {
		send(fd, answer, 1, MSG_NOSIGNAL);
		usleep(5000);
		send(fd, answer + 1, strlen(answer) - 1, MSG_NOSIGNAL);
	}
	_exit(strcmp(line, expected) != 0);
}

static void ck_got_its_line(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

START_TEST(an_absent_daemon_is_no_reason_to_wait)
{
	int64_t before = now_ms();

	ck_assert_int_eq(notify_attach(KEY, 5000), NOTIFY_ABSENT);
	ck_assert_int_eq(notify_detach(KEY), NOTIFY_ABSENT);
	rundir_write("policyd.sock", ""); /* not a socket */
	ck_assert_int_eq(notify_attach(KEY, 5000), NOTIFY_ABSENT);
	ck_assert_int_lt(now_ms() - before, 1000);
}
END_TEST

START_TEST(a_daemon_that_left_its_socket_behind_is_absent)
{
	listen_here(1);
	close(listener);
	ck_assert_int_eq(notify_attach(KEY, 5000), NOTIFY_ABSENT);
}
END_TEST

START_TEST(a_run_directory_too_long_for_a_socket_is_absence)
{
	char dir[200];

	memset(dir, 'x', sizeof(dir) - 1);
	dir[sizeof(dir) - 1] = '\0';
	setenv("MOAT_RUN_DIR", dir, 1);
	ck_assert_int_eq(notify_attach(KEY, 5000), NOTIFY_ABSENT);
}
END_TEST

START_TEST(an_answer_ends_the_wait)
{
	int64_t before = now_ms();
	pid_t child;

	listen_here(4);
	child = daemon_that_answers("{\"op\":\"attach\",\"key\":\"" KEY "\"}\n", "{\"ok\":true}\n", 20000);
	ck_assert_int_eq(notify_attach(KEY, 10000), NOTIFY_ANSWERED);
	ck_assert_int_lt(now_ms() - before, 5000);
	ck_got_its_line(child);
}
END_TEST

START_TEST(a_key_with_a_quote_stays_one_json_line)
{
	pid_t child;

	listen_here(4);
	child = daemon_that_answers("{\"op\":\"attach\",\"key\":\"net/a:e\\\"0\"}\n", "{}\n", 0);
	ck_assert_int_eq(notify_attach("net/a:e\"0", 10000), NOTIFY_ANSWERED);
	ck_got_its_line(child);
}
END_TEST

START_TEST(a_hung_daemon_is_waited_for_once_and_no_longer)
{
	int64_t before = now_ms();

	listen_here(4); /* takes the connection, reads nothing */
	ck_assert_int_eq(notify_attach(KEY, 100), NOTIFY_SENT);
	ck_assert_int_ge(now_ms() - before, 100);
	ck_assert_int_lt(now_ms() - before, 1000);
}
END_TEST

START_TEST(a_full_backlog_is_not_waited_for)
{
	struct sockaddr_un sun = address();
	int64_t before;

	listen_here(0);
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			break;
		}
	}
	before = now_ms();
	ck_assert_int_eq(notify_attach(KEY, 5000), NOTIFY_ABSENT);
	ck_assert_int_lt(now_ms() - before, 1000);
}
END_TEST

START_TEST(a_daemon_that_dies_ends_the_wait)
{
	int64_t before = now_ms();
	pid_t child;

	listen_here(4);
	child = daemon_that_answers("{\"op\":\"attach\",\"key\":\"" KEY "\"}\n", NULL, 20000);
	ck_assert_int_eq(notify_attach(KEY, 10000), NOTIFY_SENT);
	ck_assert_int_lt(now_ms() - before, 5000);
	ck_got_its_line(child);
}
END_TEST

START_TEST(an_answer_without_an_end_is_bounded)
{
	char flood[8192];
	pid_t child;

	memset(flood, 'x', sizeof(flood) - 1);
	flood[sizeof(flood) - 1] = '\0';
	listen_here(4);
	child = daemon_that_answers("{\"op\":\"attach\",\"key\":\"" KEY "\"}\n", flood, 0);
	ck_assert_int_eq(notify_attach(KEY, 10000), NOTIFY_SENT);
	ck_got_its_line(child);
}
END_TEST

START_TEST(deleting_tells_and_does_not_wait)
{
	int64_t before = now_ms();
	pid_t child;

	listen_here(4);
	ck_assert_int_eq(notify_detach(KEY), NOTIFY_SENT);
	ck_assert_int_eq(notify_attach(KEY, 0), NOTIFY_SENT);
	ck_assert_int_lt(now_ms() - before, 1000);
	child = daemon_that_answers("{\"op\":\"detach\",\"key\":\"" KEY "\"}\n", NULL, 0);
	ck_got_its_line(child);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("notify");
	TCase *tc = tcase_create("notify");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, rundir_make, rundir_remove);
	tcase_add_test(tc, an_absent_daemon_is_no_reason_to_wait);
	tcase_add_test(tc, a_daemon_that_left_its_socket_behind_is_absent);
	tcase_add_test(tc, a_run_directory_too_long_for_a_socket_is_absence);
	tcase_add_test(tc, an_answer_ends_the_wait);
	tcase_add_test(tc, a_key_with_a_quote_stays_one_json_line);
	tcase_add_test(tc, a_hung_daemon_is_waited_for_once_and_no_longer);
	tcase_add_test(tc, a_full_backlog_is_not_waited_for);
	tcase_add_test(tc, a_daemon_that_dies_ends_the_wait);
	tcase_add_test(tc, an_answer_without_an_end_is_bounded);
	tcase_add_test(tc, deleting_tells_and_does_not_wait);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

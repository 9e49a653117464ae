/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the daemon: what moatctl says where there is no answer. */
#include <cjson/cJSON.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moat/ask.h"
#include "tests/rundir.h"

static struct err err;
static int listener;

static void listen_here(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEAN_FREE char *path = rundir_path("policyd.sock");

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
}

/* A daemon in a child: says something to the next client, or (NULL) ends before it has read. */
static pid_t daemon_that_says(const char *answer)
{
	pid_t child = fork();
	char line[256];
	int fd;

	if (child)
		return child;
	fd = accept(listener, NULL, NULL);
	if (answer)
		_exit(read(fd, line, sizeof(line)) <= 0 || send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0);
	close(fd);
	_exit(0);
}

/* A question of so many bytes; what is wrong is in err. */
static cJSON *ask(size_t bytes)
{
	CLEAN_FREE char *text = mem_zalloc(bytes + 1);
	cJSON *request = cJSON_CreateObject();

	memset(text, 'x', bytes);
	cJSON_AddStringToObject(request, "op", text);
	return ask_daemon(request, &err);
}

static void ck_refused(int code, const char *why)
{
	ck_assert_int_eq(err.code, code);
	ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
}

START_TEST(an_answer_is_read)
{
	pid_t child;
	cJSON *answer;

	listen_here();
	child = daemon_that_says("{\"ok\": true, \"n\": 7}\n");
	answer = ask(10);
	ck_assert_msg(answer != NULL, "%s", err.text);
	ck_assert_int_eq(cJSON_GetObjectItem(answer, "n")->valueint, 7);
	cJSON_Delete(answer);
	waitpid(child, NULL, 0);
}
END_TEST

START_TEST(no_daemon_is_told)
{
	ck_assert_ptr_null(ask(10));
	ck_refused(ENOENT, "is it running?");
}
END_TEST

START_TEST(a_path_that_is_too_long_is_told)
{
	char dir[200];

	memset(dir, 'd', sizeof(dir) - 1);
	dir[0] = '/';
	dir[sizeof(dir) - 1] = '\0';
	setenv("MOAT_RUN_DIR", dir, 1);
	ck_assert_ptr_null(ask(10));
	ck_refused(ENAMETOOLONG, "too long for a socket, which may have 107 characters (MOAT_RUN_DIR)");
}
END_TEST

/* More than a socket holds: most of it is written when nobody reads any more. */
START_TEST(a_daemon_that_ends_is_an_error_and_no_signal)
{
	pid_t child;

	listen_here();
	child = daemon_that_says(NULL);
	ck_assert_ptr_null(ask(8 << 20));
	ck_assert_msg(err.code == EPIPE || err.code == ECONNRESET, "%s", err.text);
	ck_refused(err.code, "moat-policyd took no question: ");
	waitpid(child, NULL, 0);
}
END_TEST

START_TEST(half_an_answer_and_nonsense_are_errors)
{
	static const struct {
		const char *answer, *why;
	} bad[] = {
		{"{\"ok\": true", "ended the conversation"},
		{"\n", "not JSON"},
		{"{\"ok\": false}\n", "refused"},
		{"{\"error\": \"no such pod\"}\n", "no such pod"},
	};
	pid_t child;

	listen_here();
	child = daemon_that_says(bad[_i].answer);
	ck_assert_ptr_null(ask(10));
	ck_refused(err.code, bad[_i].why);
	waitpid(child, NULL, 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("ask");
	Suite *s = suite_create("ask");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, rundir_make, rundir_remove);
	tcase_add_test(t, an_answer_is_read);
	tcase_add_test(t, no_daemon_is_told);
	tcase_add_test(t, a_path_that_is_too_long_is_told);
	tcase_add_test(t, a_daemon_that_ends_is_an_error_and_no_signal);
	tcase_add_loop_test(t, half_an_answer_and_nonsense_are_errors, 0, 4);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

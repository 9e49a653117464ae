/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities that are given up, system calls that end the process, and who is at the other end of a socket. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moat/peer.h"
#include "moat/privilege.h"
#include "policyd/confine.h"
#include "tests/rundir.h"

static struct err err;

static unsigned long long status_field(const char *name)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");
	size_t len = strlen(name);
	unsigned long long value = ~0ULL;

	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ':')
			value = strtoull(line + len + 1, NULL, 16);
	fclose(f);
	return value;
}

START_TEST(what_is_not_kept_is_gone)
{
	uint64_t missing;

	rundir_leave_host();
	ck_assert_int_eq(privilege_keep(PRIVILEGE(CAP_NET_ADMIN) | PRIVILEGE(CAP_SYS_ADMIN), &missing, &err), 0);
	ck_assert_uint_eq(missing, 0);
	ck_assert_uint_eq(status_field("CapEff"), PRIVILEGE(CAP_NET_ADMIN) | PRIVILEGE(CAP_SYS_ADMIN));
	ck_assert_int_eq(privilege_keep(PRIVILEGE(CAP_NET_ADMIN) | PRIVILEGE(CAP_BPF), &missing, &err), 0);
	ck_assert_uint_eq(missing, PRIVILEGE(CAP_BPF));
	ck_assert_uint_eq(status_field("CapPrm"), PRIVILEGE(CAP_NET_ADMIN));
	ck_assert_uint_eq(status_field("CapInh"), 0);
	ck_assert_uint_eq(status_field("NoNewPrivs"), 1);
	ck_assert_uint_ne(status_field("CapBnd"), 0);
}
END_TEST

START_TEST(bounding_set_is_emptied)
{
	rundir_leave_host();
	privilege_unbound();
	ck_assert_uint_eq(status_field("CapBnd"), 0);
}
END_TEST

START_TEST(without_the_capability_it_needs_the_daemon_does_not_start)
{
	rundir_leave_host();
	ck_assert_int_eq(privilege_keep(PRIVILEGE(CAP_SYS_ADMIN), NULL, &err), 0);
	ck_assert_int_eq(confine_begin(&err), -EPERM);
	ck_assert_msg(strstr(err.text, "CAP_NET_ADMIN is missing"), "%s", err.text);
}
END_TEST

/* Each does one thing that the daemon never does. */
static void execute(void)
{
	execl("/bin/true", "true", NULL);
}

static void inet_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}

static void unix_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
}

static void make_thread(void)
{
	syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
}

static void enter_namespace(void)
{
	syscall(SYS_setns, STDIN_FILENO, 0);
}

static void change_user(void)
{
	syscall(SYS_setuid, 0);
}

static void mount_something(void)
{
	syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static void open_tty_control(void)
{
	syscall(SYS_ioctl, STDIN_FILENO, 0x5412 /* TIOCSTI */, "x");
}

static void executable_memory(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void own_violation_handler(void)
{
	signal(SIGSYS, SIG_IGN);
}

static void signal_another(void)
{
	syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static const struct {
	const char *name;
	void (*act)(void);
	bool sanitizers; /* need it themselves */
} violations[] = {
	{"execute", execute, false},
	{"inet_socket", inet_socket, false},
	{"unix_socket", unix_socket, false},
	{"enter_namespace", enter_namespace, false},
	{"change_user", change_user, false},
	{"mount_something", mount_something, false},
	{"open_tty_control", open_tty_control, false},
	{"make_thread", make_thread, true},
	{"executable_memory", executable_memory, true},
	{"own_violation_handler", own_violation_handler, true},
	{"signal_another", signal_another, true},
};

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* Ends by what act does, or with 7 if that is allowed; what it said in `said`. */
static int confined(void (*act)(void), char said[512])
{
	int out[2], status;
	ssize_t n;
	pid_t child;

	ck_assert_int_eq(pipe(out), 0);
	child = fork();
	if (child == 0) {
		rundir_leave_host();
		dup2(out[1], STDERR_FILENO);
		if (confine_begin(&err) < 0 || confine_calls(false, &err) < 0)
			syscall(SYS_exit_group, 8);
		act();
		syscall(SYS_exit_group, 7);
	}
	close(out[1]);
	n = read(out[0], said, 511);
	said[n > 0 ? n : 0] = '\0';
	close(out[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

START_TEST(what_is_not_known_ends_the_process_and_is_told)
{
	char said[512];
	int status;

	if (violations[_i].sanitizers && SANITIZED)
		return;
	status = confined(violations[_i].act, said);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %x", violations[_i].name, status);
	ck_assert_msg(strstr(said, "event=seccomp-violation syscall="), "%s: %s", violations[_i].name, said);
}
END_TEST

static void ordinary_work(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || open("/proc/self/status", O_RDONLY) < 0)
		syscall(SYS_exit_group, 9);
	free(mem_alloc(64 << 20));
}

static void abort_quietly(void)
{
	abort();
}

static void no_ring(void)
{
	/* glibc has no wrapper; the number is the same everywhere */
	if (syscall(425, 8, NULL) != -1 || errno != ENOSYS)
		syscall(SYS_exit_group, 9);
}

START_TEST(what_is_known_works)
{
	char said[512];
	int status = confined(ordinary_work, said);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x: %s", status, said);
	status = confined(abort_quietly, said);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x: %s", status, said);
}
END_TEST

START_TEST(io_uring_is_not_to_be_had)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		rundir_leave_host();
		if (confine_begin(&err) < 0)
			_exit(8);
		no_ring();
		_exit(7);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x", status);
}
END_TEST

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0)
		abort();
	return fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		abort();
	return fd;
}

START_TEST(own_user_is_trusted_on_both_sides)
{
	char dir[] = "/tmp/moat-test-XXXXXX";
	CLEAN_FREE char *path = NULL;
	CLEAN_CLOSE int server = -1, client = -1, accepted = -1;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = mem_printf("%s/s", dir);
	server = listen_at(path);
	client = connect_to(path);
	accepted = accept(server, NULL, NULL);
	ck_assert_msg(peer_check(client, &err) == 0, "%s", err.text);
	ck_assert_msg(peer_check(accepted, &err) == 0, "%s", err.text);
	ck_assert_int_lt(peer_check(STDIN_FILENO, &err), 0);
	unlink(path);
	rmdir(dir);
}
END_TEST

/* Only root can be another user; the story of least privilege forges one for whoever is not. */
START_TEST(another_user_is_not_trusted_on_either_side)
{
	char dir[] = "/tmp/moat-test-XXXXXX";
	CLEAN_FREE char *path = NULL;
	int server, client, accepted, status;
	pid_t child;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0777), 0);
	path = mem_printf("%s/s", dir);
	child = fork();
	if (child == 0) {
		if (syscall(SYS_setuid, 4242) < 0)
			_exit(77);
		server = listen_at(path);
		client = accept(server, NULL, NULL);
		_exit(peer_check(client, &err) == 0 ? 0 : 1); /* root */
	}
	while (access(path, F_OK) < 0 && waitpid(child, &status, WNOHANG) == 0)
		usleep(1000);
	if (access(path, F_OK) < 0) {
		ck_assert_int_eq(WEXITSTATUS(status), 77);
		rmdir(dir);
		return;
	}
	do { /* bound, but not listening yet */
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		strcpy(address.sun_path, path);
		client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		accepted = connect(client, (struct sockaddr *)&address, sizeof(address));
	} while (accepted < 0);
	ck_assert_int_eq(peer_check(client, &err), -EPERM);
	ck_assert_msg(strstr(err.text, "user 4242"), "%s", err.text);
	close(client);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "root is not trusted: status %x", status);
	unlink(path);
	server = listen_at(path);
	ck_assert_int_eq(chmod(path, 0777), 0);
	child = fork();
	if (child == 0) {
		if (syscall(SYS_setuid, 4242) < 0)
			_exit(77);
		client = connect_to(path);
		_exit(read(client, dir, 1) == 0 ? 0 : 1);
	}
	accepted = accept(server, NULL, NULL);
	ck_assert_int_eq(peer_check(accepted, &err), -EPERM);
	close(accepted);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	close(server);
	unlink(path);
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("privilege");
	TCase *t = tcase_create("privilege"), *filter = tcase_create("filter");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_test(t, what_is_not_kept_is_gone);
	tcase_add_test(t, bounding_set_is_emptied);
	tcase_add_test(t, without_the_capability_it_needs_the_daemon_does_not_start);
	tcase_add_test(t, own_user_is_trusted_on_both_sides);
	tcase_add_test(t, another_user_is_not_trusted_on_either_side);
	suite_add_tcase(s, t);
	tcase_set_timeout(filter, 30);
	tcase_set_tags(filter, "seccomp");
	tcase_add_loop_test(filter, what_is_not_known_ends_the_process_and_is_told, 0, ARRAY_SIZE(violations));
	tcase_add_test(filter, what_is_known_works);
	tcase_add_test(filter, io_uring_is_not_to_be_had);
	suite_add_tcase(s, filter);
	srunner_set_fork_status(r, CK_FORK); /* what is given up is gone for the process */
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}

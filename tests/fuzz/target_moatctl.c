/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What moatctl makes of a daemon's answer. The first byte chooses the command, the rest is all that comes over the socket. Whatever it
 * is, moatctl ends with one of its exit statuses. Its main is linked as moatctl_main, and its connect(2) ends here.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

int moatctl_main(int argc, char **argv);
int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);

static struct {
	bool answers;
	const uint8_t *data;
	size_t len;
	int peer;
} server;

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	int pair[2];

	if (!server.answers)
		return __real_connect(fd, address, len);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 && dup2(pair[0], fd) == fd);
	close(pair[0]);
	server.peer = pair[1];
	FUZZ_CHECK(!server.len || send(server.peer, server.data, server.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)server.len);
	shutdown(server.peer, SHUT_WR);
	return 0;
}

static void prepare(void)
{
	fuzz_rundir_make();
	stdout = fopen("/dev/null", "we");
	stderr = fopen("/dev/null", "we");
}

static void run(const uint8_t *data, size_t len)
{
	static char *const commands[][7] = {
		{"moatctl", "status"},
		{"moatctl", "status", "--json"},
		{"moatctl", "explain", "a/p", "10.0.0.1", "tcp/80"},
		{"moatctl", "explain", "--json", "a/p", "a/q", "icmp"},
	};
	char protocol[16] = "", *argv[7] = {NULL};
	int argc = 0, status;

	if (!len)
		return;
	for (; commands[data[0] % 4][argc]; argc++)
		argv[argc] = commands[data[0] % 4][argc];
	strcpy(protocol, argv[argc - 1]); /* it is cut in place */
	argv[argc - 1] = protocol;
	server.answers = true;
	server.data = data + 1;
	server.len = len - 1;
	server.peer = -1;
	status = moatctl_main(argc, argv);
	FUZZ_CHECK(status >= 0 && status <= 2);
	server.answers = false;
	if (server.peer >= 0)
		close(server.peer);
}

const struct fuzz_target fuzz_moatctl = {"moatctl", prepare, run};

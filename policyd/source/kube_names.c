/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name is resolved by the C library, which executes whatever the machine's nsswitch.conf names: it maps shared objects, speaks to
 * sockets, starts threads. None of that is to be had in the daemon (confine.c), nor on its loop, and the name's addresses change,
 * so that one answer before the system calls are confined would not do. So a process of its own does nothing else: it has no
 * capability and, where the daemon may give it one, a user of its own; it is asked by one byte, since it knows the name, and answers
 * with addresses, which are checked here like any text from outside. Where the server is given by its address, as in most pods,
 * there is none.
 *
 * It ends when the daemon does. Should it end before, the last addresses stay in use.
 */
#include "policyd/source/kube_names.h"

#include <grp.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moat/addr.h"
#include "moat/log.h"
#include "moat/privilege.h"

#define NOBODY 65534
#define ANSWER_MAX 1024

/* "192.0.2.1,2001:db8::1", or "!" and why. */
static size_t resolve(const char *host, char answer[ANSWER_MAX])
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	size_t len = 0;
	int code = getaddrinfo(host, NULL, &hints, &list), n = 0;

	if (code != 0)
		return (size_t)snprintf(answer, ANSWER_MAX, "!%s", gai_strerror(code));
	for (const struct addrinfo *a = list; a && n < KUBE_ADDRESSES_MAX; a = a->ai_next) {
		char text[NI_MAXHOST];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0 || strlen(text) > 64)
			continue;
		len += (size_t)snprintf(answer + len, ANSWER_MAX - len, "%s%s", n++ ? "," : "", text);
	}
	freeaddrinfo(list);
	return len;
}

static void serve(int fd, const char *host)
{
	char question, answer[ANSWER_MAX];

	while (recv(fd, &question, 1, 0) == 1) {
		size_t len = resolve(host, answer);

		if (send(fd, answer, len, MSG_NOSIGNAL) < 0)
			break;
	}
}

static void become_nobody(void)
{
	/* where these are not allowed, the process is as the daemon but for its capabilities */
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return;
}

static void run_child(int fd, const char *host, pid_t parent)
{
	struct err err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(fd, 3) < 0)
		_exit(1);
	closefrom(4);
	become_nobody();
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user is another process to it */
	if (privilege_keep(0, NULL, &err) < 0)
		_exit(1);
	serve(3, host);
	_exit(0);
}

int kube_names_start(struct kube_names *n, const char *host, struct err *err)
{
	pid_t self = getpid();
	struct addr literal;
	int ends[2];

	n->fd = -1;
	if (addr_parse(host, &literal, NULL) == 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(err, errno, "socket pair");
	n->pid = fork();
	if (n->pid == 0)
		run_child(ends[1], host, self);
	close(ends[1]);
	n->fd = ends[0];
	if (n->pid > 0)
		return 0;
	err_errno(err, errno, "fork");
	close(n->fd);
	n->fd = -1;
	return -err->code;
}

/* Each is an address, and written as curl wants it. Returns NULL if one is none. */
static char *check_answer(char *answer)
{
	char *out = NULL, *save = NULL;

	for (char *one = strtok_r(answer, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		CLEAN_FREE char *before = TAKE_PTR(out);
		struct addr addr;
		char text[ADDR_TEXT_MAX];

		if (addr_parse(one, &addr, NULL) < 0)
			return NULL;
		addr_text(&addr, text);
		out = mem_printf("%s%s%s%s%s", before ? before : "", before ? "," : "", strchr(text, ':') ? "[" : "", text,
				 strchr(text, ':') ? "]" : "");
	}
	return out;
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
	struct kube_names *n = poll->data;
	CLEAN_FREE char *addresses = NULL;
	char answer[ANSWER_MAX];
	ssize_t len = recv(n->fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);

	(void)status;
	(void)events;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	n->asked = false;
	if (len <= 0) {
		log_warn("resolver-gone reason=\"its process ended\" in-use=last-addresses");
		uv_poll_stop(&n->poll);
		n->fn(NULL, "the process that resolves it has ended: restart the daemon", n->arg);
		return;
	}
	answer[len] = '\0';
	if (answer[0] != '!')
		addresses = check_answer(answer);
	n->fn(addresses, addresses ? NULL : answer[0] == '!' ? answer + 1 : "what was answered is no address", n->arg);
}

int kube_names_follow(struct kube_names *n, uv_loop_t *loop, kube_names_fn fn, void *arg, struct err *err)
{
	int code;

	if (n->fd < 0)
		return 0;
	n->fn = fn;
	n->arg = arg;
	n->poll.data = n;
	code = uv_poll_init(loop, &n->poll, n->fd);
	if (code < 0)
		return err_set(err, -code, "poll: %s", uv_strerror(code));
	uv_poll_start(&n->poll, UV_READABLE, on_answer);
	return 0;
}

void kube_names_ask(struct kube_names *n)
{
	if (n->asked)
		return;
	n->asked = send(n->fd, "?", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
	if (!n->asked)
		n->fn(NULL, "the process that resolves it cannot be asked", n->arg);
}

static void on_closed(uv_handle_t *handle)
{
	struct kube_names *n = handle->data;

	close(n->fd); /* its process ends by that */
	n->fd = -1;
}

void kube_names_close(struct kube_names *n)
{
	if (n->fd >= 0)
		uv_close((uv_handle_t *)&n->poll, on_closed);
}

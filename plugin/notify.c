/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/notify.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "moat/peer.h"
#include "moat/podstore.h"
#include "plugin/cni_error.h"

#define ANSWER_MAX 4096 /* bytes without a newline: whoever sends more is not our daemon */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_trusted(int fd)
{
	struct err err;

	if (peer_check(fd, &err) == 0)
		return true;
	cni_warn("nobody is told: %s", err.text);
	return false;
}

/*
 * A local socket connects at once or not at all. With a full backlog (a daemon that hangs) a non-blocking connect gives EAGAIN: there is
 * nothing to wait for then.
 */
static int connect_daemon(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int len = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/policyd.sock", podstore_dir());
	int fd;

	if (len < 0 || (size_t)len >= sizeof(sun.sun_path))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0 || !is_trusted(fd))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The key is text of ours, but an interface name may have a quote. */
static char *make_line(const char *op, const char *key)
{
	cJSON *object = cJSON_CreateObject();
	char *text, *line;

	if (!cJSON_AddStringToObject(object, "op", op) || !cJSON_AddStringToObject(object, "key", key) ||
	    !(text = cJSON_PrintUnformatted(object)))
		abort();
	line = mem_printf("%s\n", text);
	cJSON_free(text);
	cJSON_Delete(object);
	return line;
}

static bool wait_for_answer(int fd, int64_t deadline)
{
	char answer[ANSWER_MAX];
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - now_ms();
		ssize_t n;

		if (left <= 0 || len == sizeof(answer))
			return false;
		n = poll(&p, 1, (int)left);
		if (n < 0 && errno != EINTR)
			return false;
		if (n <= 0)
			continue;
		n = recv(fd, answer + len, sizeof(answer) - len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return false;
		if (memchr(answer + len, '\n', (size_t)n))
			return true;
		len += (size_t)n;
	}
}

static enum notify_outcome notify(const char *op, const char *key, unsigned wait_ms)
{
	int64_t deadline = now_ms() + wait_ms;
	CLEAN_CLOSE int fd = connect_daemon();
	CLEAN_FREE char *line = NULL;
	size_t len;

	if (fd < 0)
		return NOTIFY_ABSENT;
	line = make_line(op, key);
	len = strlen(line);
	/* a fresh socket's buffer takes a line whole or nobody reads there */
	if (send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		return NOTIFY_ABSENT;
	if (wait_ms > 0 && wait_for_answer(fd, deadline))
		return NOTIFY_ANSWERED;
	return NOTIFY_SENT;
}

enum notify_outcome notify_attach(const char *key, unsigned wait_ms)
{
	return notify("attach", key, wait_ms);
}

enum notify_outcome notify_detach(const char *key)
{
	return notify("detach", key, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/ask.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "moat/peer.h"
#include "moat/podstore.h"
#include "moat/text.h"

#define ANSWER_MAX (64u << 20) /* a status of some thousand pods is a megabyte */
#define WAIT_MS 10000

static int open_socket(struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/policyd.sock", podstore_dir()) >= (int)sizeof(address.sun_path))
		return err_set(err, ENAMETOOLONG, "%s/policyd.sock is too long for a socket, which may have %zu characters (MOAT_RUN_DIR)",
			       TEXT(podstore_dir()), sizeof(address.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, errno, "socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int code = errno;

		close(fd);
		return err_errno(err, code, "moat-policyd does not answer on %s (is it running? pods stay as they are without it)",
				 TEXT(address.sun_path));
	}
	if (peer_check(fd, err) < 0) {
		close(fd);
		return -err->code;
	}
	return fd;
}

/* Reads one line, at most ANSWER_MAX bytes, waiting WAIT_MS for each piece. */
static char *read_answer(int fd, struct err *err)
{
	CLEAN_FREE char *text = NULL;
	size_t len = 0, cap = 0;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (poll(&pfd, 1, WAIT_MS) <= 0) {
			err_set(err, ETIMEDOUT, "moat-policyd does not answer within %d s (stopped?)", WAIT_MS / 1000);
			return NULL;
		}
		if (cap - len < 4096) {
			cap = cap ? 2 * cap : 65536;
			text = mem_realloc(text, cap, 1);
		}
		got = read(fd, text + len, cap - len - 1);
		if (got <= 0 || len + (size_t)got > ANSWER_MAX) {
			err_set(err, EIO, "moat-policyd ended the conversation");
			return NULL;
		}
		len += (size_t)got;
		text[len] = '\0';
		if (text[len - 1] == '\n')
			return TAKE_PTR(text);
	}
}

/* A daemon that ends just now is an error, no signal. */
static int write_line(int fd, const char *line, struct err *err)
{
	size_t len = strlen(line);

	while (len) {
		ssize_t sent = send(fd, line, len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return err_errno(err, errno, "moat-policyd took no question");
		line += sent;
		len -= (size_t)sent;
	}
	return 0;
}

cJSON *ask_daemon(cJSON *request, struct err *err)
{
	CLEAN_CLOSE int fd = open_socket(err);
	CLEAN_FREE char *printed = cJSON_PrintUnformatted(request), *line = NULL, *text = NULL;
	cJSON *answer;

	cJSON_Delete(request);
	if (fd < 0)
		return NULL;
	line = mem_printf("%s\n", printed);
	if (write_line(fd, line, err) < 0)
		return NULL;
	text = read_answer(fd, err);
	answer = text ? cJSON_Parse(text) : NULL;
	if (text && !answer)
		err_set(err, EBADMSG, "the answer of moat-policyd is not JSON");
	if (answer && !cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok"))) {
		const char *why = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "error"));

		err_set(err, EINVAL, "%s", why ? why : "refused");
		cJSON_Delete(answer);
		return NULL;
	}
	return answer;
}

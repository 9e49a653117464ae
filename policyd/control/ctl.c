/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket's connections: lines in, lines out, nothing about their meaning. One line of a client is answered at a time,
 * and nothing more is read from it until the answer is written: who asks without reading holds up neither others nor memory.
 */
#include "policyd/control/ctl.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "moat/log.h"
#include "moat/peer.h"
#include "moat/podstore.h"
#include "policyd/daemon.h"

#define BACKLOG 512 /* a stopped daemon must take many plugins' lines until it goes on: 50 ADDs at once and then some */

struct ctl_client {
	uv_pipe_t pipe;
	struct ctl *ctl;
	char line[CTL_LINE_MAX];
	size_t len;
	struct ctl_client *next;
};

struct answer {
	uv_write_t write;
	char *text;
};

static void take_connection(struct ctl *ctl);

static void on_client_closed(uv_handle_t *handle)
{
	struct ctl_client *client = handle->data;
	struct ctl *ctl = client->ctl;
	struct ctl_client **p = &ctl->clients;

	while (*p != client)
		p = &(*p)->next;
	*p = client->next;
	ctl->n_clients--;
	free(client);
	if (ctl->waiting && !uv_is_closing((uv_handle_t *)&ctl->listener)) {
		ctl->waiting = false;
		take_connection(ctl);
	}
}

static void client_close(struct ctl_client *client)
{
	if (!uv_is_closing((uv_handle_t *)&client->pipe))
		uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

static void answer_next(struct ctl_client *client);

static void on_answered(uv_write_t *write, int status)
{
	struct answer *a = (struct answer *)write;
	struct ctl_client *client = write->handle->data;

	free(a->text);
	free(a);
	if (uv_is_closing((uv_handle_t *)&client->pipe))
		return;
	if (status < 0)
		client_close(client);
	else
		answer_next(client);
}

static void answer_line(struct ctl_client *client, const char *line)
{
	struct cJSON *json = ctl_answer(client->ctl->daemon, line);
	struct answer *a = mem_zalloc(sizeof(*a));
	CLEAN_FREE char *printed = cJSON_PrintUnformatted(json);
	uv_buf_t buf;

	cJSON_Delete(json);
	if (!printed)
		abort();
	a->text = mem_printf("%s\n", printed);
	buf = uv_buf_init(a->text, (unsigned)strlen(a->text));
	if (uv_write(&a->write, (uv_stream_t *)&client->pipe, &buf, 1, on_answered) < 0) {
		free(a->text);
		free(a);
		client_close(client);
	}
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct ctl_client *client = handle->data;

	(void)suggested;
	*buf = uv_buf_init(client->line + client->len, (unsigned)(sizeof(client->line) - 1 - client->len));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct ctl_client *client = stream->data;

	(void)buf;
	if (got < 0) {
		client_close(client);
		return;
	}
	client->len += (size_t)got;
	answer_next(client);
}

/* The first line that is there whole, or waits for one. */
static void answer_next(struct ctl_client *client)
{
	char *end = memchr(client->line, '\n', client->len);
	size_t taken;

	if (!end && client->len == sizeof(client->line) - 1) {
		log_warn("control-line-too-long limit=%d", CTL_LINE_MAX);
		client_close(client);
		return;
	}
	if (!end) {
		uv_read_start((uv_stream_t *)&client->pipe, give_buffer, on_read);
		return;
	}
	uv_read_stop((uv_stream_t *)&client->pipe);
	*end = '\0';
	answer_line(client, client->line);
	taken = (size_t)(end + 1 - client->line);
	client->len -= taken;
	memmove(client->line, end + 1, client->len);
}

/* Whoever is connected longest without an end: a plugin's and moatctl's connections are short. */
static struct ctl_client *oldest(struct ctl *ctl)
{
	struct ctl_client *found = ctl->clients;

	for (struct ctl_client *client = ctl->clients; client; client = client->next)
		if (!uv_is_closing((uv_handle_t *)&client->pipe))
			found = client;
	return found;
}

static bool is_trusted(struct ctl_client *client)
{
	struct err err;
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&client->pipe, &fd) < 0)
		return false;
	if (peer_check(fd, &err) == 0)
		return true;
	if (client->ctl->strangers++ % CTL_CLIENTS_MAX == 0)
		log_warn("control-refused error=\"%s\" refused-so-far=%u", err.text, client->ctl->strangers);
	return false;
}

static void take_connection(struct ctl *ctl)
{
	struct ctl_client *client = mem_zalloc(sizeof(*client));

	client->ctl = ctl;
	uv_pipe_init(ctl->listener.loop, &client->pipe, 0);
	client->pipe.data = client;
	client->next = ctl->clients;
	ctl->clients = client;
	ctl->n_clients++;
	if (uv_accept((uv_stream_t *)&ctl->listener, (uv_stream_t *)&client->pipe) < 0 || !is_trusted(client))
		client_close(client);
	else
		uv_read_start((uv_stream_t *)&client->pipe, give_buffer, on_read);
}

/* libuv takes no further connection until this one is accepted: a flood of them waits in the backlog, not in memory. */
static void on_connection(uv_stream_t *listener, int status)
{
	struct ctl *ctl = listener->data;

	if (status < 0)
		return;
	if (ctl->n_clients < CTL_CLIENTS_MAX) {
		take_connection(ctl);
		return;
	}
	ctl->waiting = true;
	client_close(oldest(ctl));
}

/*
 * Two that start at once both find nobody on the socket, and each would delete what the other makes, for ever. The directory
 * itself is the lock: it ends with the process, and leaves no file.
 */
static int lock_directory(struct ctl *c, struct err *err)
{
	c->lock = open(podstore_dir(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->lock < 0)
		return err_errno(err, errno, "open %s", TEXT(podstore_dir()));
	if (flock(c->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	close(c->lock);
	return err_set(err, EADDRINUSE, "another moat-policyd holds %s; stop it first", TEXT(podstore_dir()));
}

/* Another daemon that lives keeps its socket; one that died leaves a file that is in the way. */
static bool is_taken(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEAN_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN);
}

int ctl_listen(struct ctl *c, struct daemon *d, struct err *err)
{
	mode_t mask;
	int code;

	c->daemon = d;
	if (snprintf(c->path, sizeof(c->path), "%s/policyd.sock", podstore_dir()) >= (int)sizeof(c->path))
		return err_set(err, ENAMETOOLONG, "the path of the control socket below %s is too long", TEXT(podstore_dir()));
	if (is_taken(c->path))
		return err_set(err, EADDRINUSE, "another moat-policyd answers on %s; stop it first", TEXT(c->path));
	if (lock_directory(c, err) < 0)
		return -err->code;
	unlink(c->path);
	uv_pipe_init(&d->loop, &c->listener, 0);
	c->listener.data = c;
	c->listening = true;
	mask = umask(0177);
	code = uv_pipe_bind(&c->listener, c->path);
	umask(mask);
	if (code == 0)
		code = uv_listen((uv_stream_t *)&c->listener, BACKLOG, on_connection);
	if (code < 0)
		return err_set(err, -code, "control socket %s: %s", TEXT(c->path), uv_strerror(code));
	return 0;
}

void ctl_close(struct ctl *c)
{
	if (!c->listening)
		return;
	for (struct ctl_client *client = c->clients; client; client = client->next)
		client_close(client);
	uv_close((uv_handle_t *)&c->listener, NULL); /* unlinks the path too */
	close(c->lock);
}

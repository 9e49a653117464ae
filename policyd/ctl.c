/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket's connections: lines in, lines out, nothing about their meaning. */
#include "policyd/ctl.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "moat/log.h"
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

static void on_client_closed(uv_handle_t *handle)
{
	struct ctl_client *client = handle->data;
	struct ctl_client **p = &client->ctl->clients;

	while (*p != client)
		p = &(*p)->next;
	*p = client->next;
	client->ctl->n_clients--;
	free(client);
}

static void client_close(struct ctl_client *client)
{
	if (!uv_is_closing((uv_handle_t *)&client->pipe))
		uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

static void on_answered(uv_write_t *write, int status)
{
	struct answer *a = (struct answer *)write;

	if (status < 0 && status != UV_ECANCELED)
		client_close(write->handle->data);
	free(a->text);
	free(a);
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
	char *start = client->line, *end;

	(void)buf;
	if (got < 0) {
		client_close(client);
		return;
	}
	client->len += (size_t)got;
	client->line[client->len] = '\0';
	while ((end = memchr(start, '\n', client->len - (size_t)(start - client->line)))) {
		*end = '\0';
		answer_line(client, start);
		start = end + 1;
	}
	client->len -= (size_t)(start - client->line);
	memmove(client->line, start, client->len);
	if (client->len == sizeof(client->line) - 1) {
		log_warn("control-line-too-long limit=%d", CTL_LINE_MAX);
		client_close(client);
	}
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct ctl *ctl = listener->data;
	struct ctl_client *client;

	if (status < 0)
		return;
	client = mem_zalloc(sizeof(*client));
	client->ctl = ctl;
	uv_pipe_init(listener->loop, &client->pipe, 0);
	client->pipe.data = client;
	client->next = ctl->clients;
	ctl->clients = client;
	ctl->n_clients++;
	if (uv_accept(listener, (uv_stream_t *)&client->pipe) < 0 || ctl->n_clients > CTL_CLIENTS_MAX)
		client_close(client);
	else
		uv_read_start((uv_stream_t *)&client->pipe, give_buffer, on_read);
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
}

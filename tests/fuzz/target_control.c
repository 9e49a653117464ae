/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client says on the control socket: the bytes, in pieces where they have a 0xff, then nothing more. Every line is answered by
 * one line of JSON with "ok", and the daemon is there for the next client. Its source is not synced, so nothing reaches the kernel.
 */
#include <cjson/cJSON.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "policyd/daemon.h"
#include "tests/build.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/kernel.h"

#define TURNS_MAX 1000

static struct daemon *d;

static void prepare(void)
{
	struct local_pod_list changed;
	struct attachment *a = build_attachment("c1", "a", "p", "10.0.0.1");
	struct object *policy = build_policy("a", "n", "role=db", INGRESS);
	struct policy_rule *rule = build_rule(policy, INGRESS);
	struct err err;

	fuzz_rundir_make();
	stderr = fopen("/dev/null", "we");
	fuzz_kernel_says(NULL, 0);
	build_peer(rule, "pods role=web");
	build_port(rule, "tcp/80");
	d = mem_zalloc(sizeof(*d));
	d->reconcile.nl.fd = d->reconcile.revoke.conntrack.finder.fd = d->reconcile.revoke.conntrack.deleter.fd = -1;
	d->watch.fd = -1;
	uv_loop_init(&d->loop);
	d->cluster = cluster_new();
	cluster_upsert(d->cluster, build_namespace("a", NULL));
	cluster_upsert(d->cluster, build_pod("a", "p", "role=db", NULL, NULL));
	cluster_upsert(d->cluster, build_pod("a", "q", "role=web", "10.0.0.2", NULL));
	cluster_upsert(d->cluster, policy);
	cluster_attach(d->cluster, a);
	cluster_compile(d->cluster, &changed);
	free(changed.v);
	FUZZ_CHECK(attachments_init(&d->attachments, d->cluster, &err) == 0);
	d->manifests.directory = mem_strdup("/manifests");
	conflist_init(&d->conflist, NULL);
	FUZZ_CHECK(reconcile_init(&d->reconcile, d->cluster, &err) == 0);
	FUZZ_CHECK(ctl_listen(&d->ctl, d, &err) == 0);
	attachment_free(a);
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEAN_FREE char *path = fuzz_rundir_path("policyd.sock");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	FUZZ_CHECK(fd >= 0 && snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) > 0);
	FUZZ_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static size_t count_lines(const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += data[i] == '\n';
	return n;
}

static void check_answer(char *line)
{
	cJSON *answer = cJSON_ParseWithOpts(line, NULL, true);
	const cJSON *ok = cJSON_GetObjectItemCaseSensitive(answer, "ok");

	FUZZ_CHECK(cJSON_IsObject(answer) && cJSON_IsBool(ok));
	FUZZ_CHECK(cJSON_IsTrue(ok) || cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error")));
	for (const char *p = line; *p; p++)
		FUZZ_CHECK(*p >= ' ' && *p < 0x7f);
	cJSON_Delete(answer);
}

/* All that the daemon says until it has nothing more to say to this client. */
static size_t read_answers(int fd, struct fuzz_input *answers, char *text, size_t size)
{
	ssize_t got = recv(fd, text + answers->left, size - answers->left, MSG_DONTWAIT);

	if (got > 0)
		answers->left += (size_t)got;
	return got < 0 && errno == EAGAIN ? 1 : (size_t)got;
}

static void say(int fd, const uint8_t *data, size_t len, struct fuzz_input *answers, char *text, size_t size)
{
	while (len) {
		const uint8_t *cut = memchr(data, 0xff, len);
		size_t piece = cut ? (size_t)(cut - data) : len;

		if (piece && send(fd, data, piece, MSG_NOSIGNAL) != (ssize_t)piece)
			break; /* it was refused: its line is too long */
		uv_run(&d->loop, UV_RUN_NOWAIT);
		read_answers(fd, answers, text, size);
		data += piece + (cut != NULL);
		len -= piece + (cut != NULL);
	}
	shutdown(fd, SHUT_WR);
}

static void run(const uint8_t *data, size_t len)
{
	static char text[1 << 20];
	struct fuzz_input answers = {(const uint8_t *)text, 0};
	int fd = connect_client();
	size_t lines = 0;

	uv_run(&d->loop, UV_RUN_NOWAIT);
	say(fd, data, len, &answers, text, sizeof(text) - 1);
	for (int turn = 0; turn < TURNS_MAX && read_answers(fd, &answers, text, sizeof(text) - 1); turn++)
		uv_run(&d->loop, UV_RUN_NOWAIT);
	close(fd);
	uv_run(&d->loop, UV_RUN_NOWAIT);
	uv_run(&d->loop, UV_RUN_NOWAIT);
	FUZZ_CHECK(d->ctl.n_clients == 0);
	while (memchr(answers.at, '\n', answers.left)) {
		CLEAN_FREE char *line = fuzz_text_until(&answers, '\n');

		check_answer(line);
		lines++;
	}
	FUZZ_CHECK(answers.left == 0 && lines <= count_lines(data, len));
	FUZZ_CHECK(lines == count_lines(data, len) || len >= CTL_LINE_MAX);
}

const struct fuzz_target fuzz_control = {"control", prepare, run};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket <run dir>/policyd.sock: one JSON object a line each way. The plugin tells of attachments, moatctl asks.
 *
 *	{"op":"attach","key":"<network>/<containerID>:<ifname>"}   reads it from the pod store, applies its policy, answers then
 *	{"op":"detach","key":…}
 *	{"op":"status"}
 *	{"op":"enforce","pod":"ns/pod"} or {"op":"enforce","all":true}   adopted pods are like any other from now on
 *	{"op":"explain","from":"ns/pod or address","to":…,"protocol":"tcp","port":80}
 *
 * The answer has "ok": true, or false with "error". The directory is 0700 and the socket 0600, and both sides
 * ask who the other is (SO_PEERCRED).
 */
#ifndef POLICYD_CTL_H
#define POLICYD_CTL_H

#include <uv.h>

#include "moat/err.h"

#define CTL_LINE_MAX 8192    /* bytes of a request: two names of 253 and their frame fit many times */
#define CTL_CLIENTS_MAX 256  /* open connections; beyond them the oldest is closed: every plugin has its own bound */

struct daemon;

struct ctl {
	struct daemon *daemon;
	uv_pipe_t listener;
	bool listening;
	int lock; /* on the run directory, while it listens */
	struct ctl_client *clients;
	unsigned n_clients;
	unsigned strangers; /* other users' connections, refused */
	bool waiting; /* a connection, for a place */
	char path[108];
};

int ctl_listen(struct ctl *c, struct daemon *d, struct err *err);
void ctl_close(struct ctl *c); /* closes handles: run the loop until they are */

struct cJSON;
struct cluster;
/* One request to its answer (caller deletes): ctl_requests.c. */
struct cJSON *ctl_answer(struct daemon *d, const char *line);
/* "explain": ctl_explain.c. */
struct cJSON *ctl_explain(struct cluster *c, const struct cJSON *request);
/* Status of the source `kube`: ctl_kube.c. */
struct kube_source;
struct cJSON *ctl_kube_status(const struct kube_source *s);
struct cJSON *ctl_refuse(const char *why);

#endif

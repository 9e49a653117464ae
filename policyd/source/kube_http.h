/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to one API server, in the daemon's loop. The only file that knows curl; kube_http.c has the theory. */
#ifndef POLICYD_KUBE_HTTP_H
#define POLICYD_KUBE_HTTP_H

#include <uv.h>

#include "policyd/source/kube_config.h"
#include "policyd/source/kube_names.h"

#define KUBE_MESSAGE_BYTES_MAX 8192 /* kept of an answer that is no success: a Status */

struct kube_reply {
	int status;           /* of HTTP; 0: none came */
	bool broken;          /* the answer did not come whole, or none did: err says why */
	unsigned retry_after; /* seconds that the server asks for, or 0 */
	const char *message;  /* body of a status that is not 200 */
	size_t message_len;
	struct err err;
};

struct kube_call {
	const char *target;    /* "/api/v1/pods?limit=500"; read before kube_http_get returns */
	unsigned timeout_s;    /* for the whole; 0: no end is set */
	unsigned silence_s;    /* without a byte; 0: it may be silent, and the server is asked now and then whether it lives */
	void (*begun)(void *arg); /* the answer begins, with status 200; may be NULL. Must not cancel */
	int (*body)(void *arg, const char *bytes, size_t n); /* of status 200; negative: the rest is not wanted. Must not cancel */
	void (*done)(void *arg, const struct kube_reply *reply); /* once, unless cancelled; the request is gone then */
	void *arg;
};

struct kube_request;

struct kube_http {
	uv_loop_t *loop;
	const struct kube_config *config;
	void *multi;
	char *url;     /* without target */
	char *connect; /* where curl is to connect, in its notation, if the URL has another name */
	char *host_header;
	struct kube_names *names; /* not owned; NULL, or with fd -1: the host is an address */
	char *addresses;          /* of its name, as they were at resolved_at (uv_now); NULL: not known yet */
	uint64_t resolved_at;
	struct watched_socket *sockets;
	unsigned quiet_ms, probe_s; /* how long nothing may come before the server is asked, and how long it may take to answer */
	uv_timer_t timer, later, watchdog;
	struct kube_request *requests;
	struct kube_request *probe; /* is asking whether a silent server lives */
	bool closing;
	unsigned version; /* of HTTP that was spoken last: 1 or 2; 0: none yet */
	void (*settled)(void *arg); /* all that one event of the loop brought was told */
	void *arg;
};

int kube_http_init(struct kube_http *h, uv_loop_t *loop, const struct kube_config *config, struct kube_names *names, struct err *err);
/* Ends every request without a word and closes the loop's handles. */
void kube_http_close(struct kube_http *h);

/* done comes from the loop, never from within. */
struct kube_request *kube_http_get(struct kube_http *h, const struct kube_call *call);
void kube_http_cancel(struct kube_request *r); /* accepts NULL */
void kube_http_let_be_silent(struct kube_request *r); /* from now on, as with silence_s 0; accepts NULL */

#endif

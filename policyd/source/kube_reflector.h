/* SPDX-License-Identifier: Apache-2.0 */
/* One kind of objects, as the API server has them. kube_reflector.c has the theory. */
#ifndef POLICYD_KUBE_REFLECTOR_H
#define POLICYD_KUBE_REFLECTOR_H

#include "policyd/source/kube_http.h"
#include "policyd/source/kube_store.h"
#include "policyd/source/kube_stream.h"

enum kube_state {
	KUBE_PAUSED,    /* waits before it tries again */
	KUBE_LISTING,   /* a list, page by page */
	KUBE_STREAMING, /* a watch that begins with what there is */
	KUBE_ASKING,    /* after a lost connection: is the server still as new as it was? */
	KUBE_WATCHING,
};

struct kube_reflector {
	enum object_kind kind;
	struct kube_http *http;
	enum kube_state state;
	struct kube_request *request;
	struct kube_stream stream;
	uv_timer_t timer;

	char version[KUBE_VERSION_MAX];  /* the newest that was seen; "" before the first list */
	char page_token[1024];           /* the next page of the list, or "" */
	char list_version[KUBE_VERSION_MAX];
	bool needs_list; /* what is in force cannot be continued by a watch */
	bool no_stream;  /* the server does not offer lists as a stream */
	bool no_pages;   /* pages expired on the way: everything at once */
	bool consistent; /* the next list must be the newest there is, whatever the kind */
	bool doubt;      /* the connection was lost: the server may have been restored meanwhile */
	bool went_back;  /* the server's newest is older than what was seen */
	bool listed;     /* a list is complete and waits to be taken */
	bool page_whole; /* this request's list came whole */
	bool abandoned;  /* nothing of this request is wanted any more */
	bool answered;   /* this request brought something good */
	unsigned stale_answers; /* lists as new as what was seen were refused so many times */
	unsigned failures;
	unsigned retry_first_ms; /* doubled with each failure */
	unsigned refusals; /* 401 in a row */
	unsigned unended_streams;
	uint64_t asked_at;  /* uv_now */
	struct err broken;  /* why the rest of this answer was not wanted; code 0: it was */
	int error_code;    /* of an ERROR event of this watch: as if the answer had been that status; 0: none */

	struct kube_store store;
	struct err trouble;         /* why the last attempt failed; code 0: it is well */
	uint64_t failed_at;         /* uv_now */

	void (*listed_fn)(struct kube_reflector *r, void *arg); /* a new list waits: kube_reflector_take when it is to be in force */
	void (*went_back_fn)(struct kube_reflector *r, void *arg); /* the server has less than was seen: all kinds are to be listed anew */
	void (*changed_fn)(void *arg);                          /* the cluster was changed */
	void *arg;
};

void kube_reflector_init(struct kube_reflector *r, enum object_kind kind, struct kube_http *http, struct cluster *cluster);
void kube_reflector_start(struct kube_reflector *r);
void kube_reflector_close(struct kube_reflector *r); /* its requests and handles; kube_reflector_done once these are closed */
void kube_reflector_done(struct kube_reflector *r);

/* The list that waits replaces what is in force. */
void kube_reflector_take(struct kube_reflector *r);
/* What is in force is no longer to be continued: the newest list there is, from the loop's next turn on. */
void kube_reflector_relist(struct kube_reflector *r);

const char *kube_resource_name(enum object_kind kind); /* "networkpolicies.networking.k8s.io" */
const char *kube_state_text(const struct kube_reflector *r);

#endif

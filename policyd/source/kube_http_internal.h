/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that know curl share: kube_http.c follows requests, kube_http_setup.c says what one is to be like. */
#ifndef POLICYD_KUBE_HTTP_INTERNAL_H
#define POLICYD_KUBE_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "policyd/source/kube_http.h"

struct kube_request {
	struct kube_http *http;
	struct kube_call call;
	CURL *easy;
	struct curl_slist *headers, *connect, *resolve;
	bool waits;     /* for the host's addresses */
	uint64_t heard; /* uv_now of the last byte, or of the start */
	bool unwanted;  /* the body's reader wants no more */
	const char *doomed; /* broken off with all the others, and why */
	struct err failure; /* it cannot be made */
	char *message;
	size_t message_len;
	char error[CURL_ERROR_SIZE];
	struct kube_request *next, **link;
};

/* How to connect, who the server must be and who we are. Fails if a credential cannot be read. */
int kube_http_set_up(struct kube_request *r, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of the API server's name, asked of a process of its own. kube_names.c says why. */
#ifndef POLICYD_KUBE_NAMES_H
#define POLICYD_KUBE_NAMES_H

#include <sys/types.h>
#include <uv.h>

#include "moat/err.h"

#define KUBE_ADDRESSES_MAX 8

/* addresses: "192.0.2.1,[2001:db8::1]", or NULL, and why is a sentence. */
typedef void (*kube_names_fn)(const char *addresses, const char *why, void *arg);

struct kube_names {
	int fd; /* -1: there is no name to be asked for */
	pid_t pid;
	bool asked;
	uv_poll_t poll;
	kube_names_fn fn;
	void *arg;
};

/* Starts the process; before capabilities are given up, threads are started and system calls are confined. */
int kube_names_start(struct kube_names *n, const char *host, struct err *err);
int kube_names_follow(struct kube_names *n, uv_loop_t *loop, kube_names_fn fn, void *arg, struct err *err);
void kube_names_ask(struct kube_names *n); /* the answer comes from the loop */
void kube_names_close(struct kube_names *n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs (CNI 1.1.0, section 2, "CNI operations"). Each is a process of its own: it reads, does one thing and answers. */
#ifndef MOAT_PLUGIN_CNI_H
#define MOAT_PLUGIN_CNI_H

#include "plugin/cni_config.h"
#include "plugin/cni_env.h"

struct cni_call {
	struct cni_config config;
	struct cni_env env;
	FILE *out; /* results; errors are printed by cni_run */
};

/* 0 or the code, with what is to be said in e. */
int cni_add(struct cni_call *call, struct cni_error *e);
int cni_del(struct cni_call *call, struct cni_error *e);
int cni_check(struct cni_call *call, struct cni_error *e);
int cni_gc(struct cni_call *call, struct cni_error *e);
int cni_status(struct cni_call *call, struct cni_error *e);
int cni_version(struct cni_call *call, struct cni_error *e);

/* Runs CNI_COMMAND with the configuration from `input`; prints the result or the error. Returns the exit status. */
int cni_run(int input, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime says in the environment (CNI 1.1.0, section 2, "Parameters"). */
#ifndef MOAT_PLUGIN_CNI_ENV_H
#define MOAT_PLUGIN_CNI_ENV_H

#include "plugin/cni_error.h"

/* Which variables a verb requires; others are not looked at. CNI_PATH is for plugins that run others: moat runs nothing. */
enum cni_env_need {
	CNI_ENV_NOTHING = 0,
	CNI_ENV_CONTAINER = 1, /* CNI_CONTAINERID and CNI_IFNAME */
	CNI_ENV_NETNS = 2,     /* CNI_NETNS */
	CNI_ENV_ARGS = 4,      /* CNI_ARGS, if it is there */
};

struct cni_env {
	const char *container_id;
	const char *ifname;
	const char *netns;
	char *pod_namespace; /* of CNI_ARGS; NULL without Kubernetes */
	char *pod_name;      /* podman gives this one alone */
	char *pod_uid;
};

/*
 * Reads and checks. Code 4 names all variables that are missing, else the first that is malformed. Strings without "char *" stay the
 * environment's. cni_env_done releases in any case.
 */
int cni_env_read(unsigned need, struct cni_env *ret, struct cni_error *e);

/* Of CNI_ARGS only the UID, if there is a possible one: DEL must work with arguments that nobody else can read. */
void cni_env_read_uid(struct cni_env *ret);

/* Are both names such as an ADD accepts? (DEL: else there is nothing to delete.) */
bool cni_env_is_possible(const struct cni_env *env);

/* Only whether they are there. */
int cni_env_require(unsigned need, struct cni_env *ret, struct cni_error *e);

void cni_env_done(struct cni_env *env);

#endif

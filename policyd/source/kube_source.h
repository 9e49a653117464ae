/* SPDX-License-Identifier: Apache-2.0 */
/* Source `kube`: Namespaces, Nodes, Pods, NetworkPolicies, and the EndpointSlices of its own Service, of an API server, followed as they change. */
#ifndef POLICYD_KUBE_SOURCE_H
#define POLICYD_KUBE_SOURCE_H

#include "policyd/source/kube_reflector.h"

struct kube_source {
	struct kube_config config;
	struct kube_names names;
	struct kube_http http;
	struct kube_reflector reflectors[KIND_COUNT];
	struct turns *turns; /* not owned; before kube_source_start; NULL: nobody's changes wait */
	uv_timer_t turn;     /* of those that wait */
	bool synced;  /* each kind was listed whole once */
	bool changed; /* the cluster was, since changed_fn */
	void (*changed_fn)(void *arg);
	void *arg;
};

/*
 * kubeconfig NULL: what every pod is given. Reads the configuration, and starts the process that resolves the server's name:
 * before anything else of the daemon.
 */
int kube_source_init(struct kube_source *s, const char *kubeconfig, struct err *err);
/* fn: the cluster may have changed, once for all that one event of the loop brought; not before the source is synced. */
int kube_source_start(struct kube_source *s, struct cluster *cluster, uv_loop_t *loop, void (*fn)(void *arg), void *arg, struct err *err);
void kube_source_go(struct kube_source *s); /* asks; once system calls are confined */
void kube_source_close_handles(struct kube_source *s);
void kube_source_done(struct kube_source *s);

#endif

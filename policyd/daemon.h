/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: one loop, and everything it owns in one struct. */
#ifndef POLICYD_DAEMON_H
#define POLICYD_DAEMON_H

#include <uv.h>

#include "policyd/source/adopt.h"
#include "policyd/source/attachments.h"
#include "policyd/source/baseline_file.h"
#include "policyd/source/conflist.h"
#include "policyd/control/ctl.h"
#include "policyd/source/kube_source.h"
#include "policyd/source/manifest.h"
#include "policyd/kernel/node_routes.h"
#include "policyd/kernel/others.h"
#include "policyd/kernel/reconcile.h"
#include "policyd/kernel/watch.h"
#include "policyd/model/windows.h"

struct daemon_options {
	const char *manifests; /* directory; NULL: the source is an API server */
	const char *kubeconfig; /* file; NULL: what every pod is given */
	const char *conflist;  /* file, or NULL */
	const char *baseline;  /* file, or NULL */
	const char *node;      /* name of the own node; NULL: the environment's NODE_NAME, else the host's */
	VEC(struct block) pod_ranges; /* freed by whoever made it */
	bool node_routes; /* routes to other nodes' pods, masquerading */
	bool adopt_enforces; /* what ran before moat did, too */
	bool loosen[MODE_COUNT]; /* modes that a namespace label may loosen to */
};

struct daemon {
	struct daemon_options options;
	char *node; /* NULL: not known */
	uv_loop_t loop;
	struct cluster *cluster;
	struct turns turns;
	struct manifest_source manifests; /* if ->options.manifests, else */
	struct kube_source kube;
	struct attachments attachments;
	struct adopt adopt;
	struct others others;
	struct windows windows;
	struct conflist conflist;
	struct baseline_file baseline;
	struct reconcile reconcile;
	struct watch watch;
	struct node_routes node_routes;
	struct ctl ctl;

	uv_poll_t manifest_events;
	uv_timer_t turn;      /* manifests that waited */
	uv_timer_t tick;      /* each second: what no event tells */
	unsigned ticks;
	uv_timer_t retry;     /* after a failed reconciliation */
	unsigned retry_ms;
	uv_signal_t terminate, interrupt;
	char trouble[ERR_TEXT_MAX]; /* of the last reconciliation; "" if it went well */
};

/* Runs until SIGTERM or SIGINT; then the kernel keeps what stands. */
int daemon_run(const struct daemon_options *options, struct err *err);

/* The cluster changed: bring the kernel after it, now. Before the source is synced nothing is touched. */
void daemon_apply(struct daemon *d);
bool daemon_is_synced(const struct daemon *d);

#endif

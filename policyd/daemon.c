/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop. Data flows one way: sources and the pod store change the cluster, and whoever changed it calls daemon_apply,
 * which compiles and reconciles at once: what one event brought is one change. Nothing here opens by failing: a source that
 * is not synced, a reconciliation that fails, a signal, all leave in the kernel what stands there.
 */
#include "policyd/daemon.h"

#include <stdio.h>
#include <string.h>

#include "moat/clock.h"
#include "moat/log.h"
#include "policyd/confine.h"
#include "policyd/kernel/health.h"
#include "policyd/source/node.h"

#define TICK_MS 1000
#define OTHERS_TICKS 60
#define HEALTH_TICKS 10 /* interfaces are looked at at their events; and now and then, for those that were lost */
#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS 5000

bool daemon_is_synced(const struct daemon *d)
{
	return d->options.manifests ? d->manifests.synced : d->kube.synced;
}

static void on_retry(uv_timer_t *timer)
{
	daemon_apply(timer->data);
}

/* Who wrote too much is told once, and again when it is something else. */
static void tell_excess(struct daemon *d)
{
	for (struct local_pod *pod = cluster_local_pods(d->cluster); pod; pod = pod->hh.next) {
		const char *excess = pod->excess[INGRESS] ? pod->excess[INGRESS] : pod->excess[EGRESS];

		if (excess && !pod->excess_told)
			log_warn("tenant-excess namespace=%s pod=%s action=closed reason=\"%s\"", TEXT(pod->attachment->pod_namespace),
				 TEXT(pod->attachment->pod_name), TEXT(excess));
		pod->excess_told = true;
	}
}

static void tell_escape(const struct object *pod, void *arg)
{
	(void)arg;
	log_warn("escape pod=%s/%s uid=%s reason=\"it runs on this node without an attachment: nothing is known to guard it\"", pod->ns,
		 pod->name, TEXT(pod->uid));
}

struct charge {
	struct turns *turns;
	uint64_t took_us, now_us, total;
};

static void add_work(const char *ns, uint64_t work, void *arg)
{
	struct charge *charge = arg;

	(void)ns;
	charge->total += work;
}

static void charge_namespace(const char *ns, uint64_t work, void *arg)
{
	const struct charge *charge = arg;

	turns_charge(charge->turns, ns, charge->took_us * work / charge->total, charge->now_us);
}

/* The time of a reconciliation is that of the namespaces that it was for, by their work; a rebuild is for none of them. */
static int reconcile_and_charge(struct daemon *d, struct err *err)
{
	uint64_t began_us = clock_monotonic_us(), processor_us = clock_processor_us(), rebuilds = d->reconcile.stats.rebuilds;
	int code = reconcile_run(&d->reconcile, err);
	struct charge charge = {
		.turns = &d->turns,
		.now_us = clock_monotonic_us(),
	};

	charge.took_us = turns_cost(charge.now_us - began_us, clock_processor_us() - processor_us);
	cluster_each_work(d->cluster, add_work, &charge);
	if (charge.total && d->reconcile.stats.rebuilds == rebuilds)
		cluster_each_work(d->cluster, charge_namespace, &charge);
	cluster_forget_work(d->cluster);
	return code;
}

void daemon_apply(struct daemon *d)
{
	struct err err;

	if (!daemon_is_synced(d))
		return;
	adopt_escapes(&d->adopt, false);
	if (reconcile_and_charge(d, &err) < 0) {
		snprintf(d->trouble, sizeof(d->trouble), "%s", err.text);
		log_warn("reconciliation-failed error=\"%s\" in-force=what-stands retry-ms=%u", err.text, d->retry_ms);
		uv_timer_start(&d->retry, on_retry, d->retry_ms, 0);
		d->retry_ms = d->retry_ms * 2 < RETRY_MAX_MS ? d->retry_ms * 2 : RETRY_MAX_MS;
		return;
	}
	watch_settled(&d->watch);
	windows_applied(&d->windows, d->cluster, clock_monotonic_us());
	tell_excess(d);
	cluster_take_new_escapes(d->cluster, tell_escape, NULL);
	d->trouble[0] = '\0';
	d->retry_ms = RETRY_FIRST_MS;
	uv_timer_stop(&d->retry);
}

static void on_turn(uv_timer_t *timer);

static void read_manifests(struct daemon *d)
{
	uint64_t now_us;

	if (manifest_read_events(&d->manifests))
		daemon_apply(d);
	now_us = clock_monotonic_us();
	if (d->manifests.next_us)
		uv_timer_start(&d->turn, on_turn, d->manifests.next_us > now_us ? (d->manifests.next_us - now_us) / 1000 + 1 : 0, 0);
}

static void on_turn(uv_timer_t *timer)
{
	read_manifests(timer->data);
}

static void on_manifests(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	read_manifests(handle->data);
}

static void on_changed(void *arg)
{
	daemon_apply(arg);
}

static void on_links_gone(void *arg)
{
	struct daemon *d = arg;

	if (adopt_release_gone(&d->adopt))
		daemon_apply(d);
	watch_links_gone(&d->watch);
}

static void on_bridge_changed(void *arg)
{
	struct daemon *d = arg;

	health_hold_bridges(d->cluster, &d->watch.tamper, false, clock_monotonic_us());
}

static bool refresh_attachments(void *arg)
{
	struct daemon *d = arg;

	return attachments_read_all(&d->attachments);
}

static const struct attachments_calls attachments_calls = {on_changed, on_links_gone, on_bridge_changed};

/* What no event tells: a directory that came back, a conflist that was rewritten, a lost notification. */
static void on_tick(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	bool changed = false, now_and_then;

	if (d->options.manifests && d->manifests.watch < 0)
		changed |= manifest_scan(&d->manifests);
	changed |= conflist_read(&d->conflist, d->cluster);
	changed |= baseline_file_read(&d->baseline, d->cluster);
	changed |= attachments_look(&d->attachments);
	attachments_release_closed(&d->attachments);
	if (d->ticks % OTHERS_TICKS == 0)
		others_look(&d->others);
	now_and_then = d->ticks++ % HEALTH_TICKS == 0;
	if (daemon_is_synced(d) && (d->attachments.links_changed || now_and_then)) {
		changed |= adopt_release_gone(&d->adopt);
		changed |= adopt_escapes(&d->adopt, true);
	}
	if (changed || d->reconcile.pending.n)
		daemon_apply(d);
	if (d->attachments.links_changed || changed || now_and_then) {
		d->attachments.links_changed = false;
		health_look(&d->attachments);
	}
	health_hold_bridges(d->cluster, &d->watch.tamper, now_and_then, 0);
	if (d->options.node_routes && daemon_is_synced(d))
		node_routes_look(&d->node_routes, d->cluster, d->node, &d->reconcile.nl, now_and_then);
	watch_look(&d->watch); /* the model has nothing by now that the kernel has not */
}

/* Without a source nobody knows what is allowed, but what must be closed is known. */
static void on_strangers(void *arg)
{
	struct daemon *d = arg;
	struct err err;

	if (daemon_is_synced(d))
		daemon_apply(d);
	else if (reconcile_guard(&d->reconcile, &err) < 0)
		log_warn("not-guarded error=\"%s\"", err.text);
	else
		watch_settled(&d->watch);
}

static void on_signal(uv_signal_t *handle, int number)
{
	log_info("stopping signal=%d in-force=what-stands", number);
	uv_stop(handle->loop);
}

static void start_handles(struct daemon *d)
{
	if (d->options.manifests) {
		uv_poll_init(&d->loop, &d->manifest_events, d->manifests.inotify);
		uv_poll_start(&d->manifest_events, UV_READABLE, on_manifests);
	}
	uv_timer_init(&d->loop, &d->tick);
	revoke_follow(&d->reconcile.revoke, &d->loop);
	uv_timer_init(&d->loop, &d->retry);
	uv_timer_init(&d->loop, &d->turn);
	uv_signal_init(&d->loop, &d->terminate);
	uv_signal_init(&d->loop, &d->interrupt);
	d->manifest_events.data = d->tick.data = d->retry.data = d->turn.data = d;

	uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
	uv_signal_start(&d->terminate, on_signal, SIGTERM);
	uv_signal_start(&d->interrupt, on_signal, SIGINT);
}

static void close_handles(struct daemon *d)
{
	uv_handle_t *handles[] = {
		(uv_handle_t *)&d->tick,      (uv_handle_t *)&d->retry,	    (uv_handle_t *)&d->turn,
		(uv_handle_t *)&d->terminate, (uv_handle_t *)&d->interrupt,
	};

	for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
		uv_close(handles[i], NULL);
	if (d->options.manifests)
		uv_close((uv_handle_t *)&d->manifest_events, NULL);
	else
		kube_source_close_handles(&d->kube);
	attachments_close_handles(&d->attachments);
	watch_close_handles(&d->watch);
	revoke_close_handles(&d->reconcile.revoke);
	ctl_close(&d->ctl);
	uv_run(&d->loop, UV_RUN_DEFAULT);
}

static int init(struct daemon *d, struct err *err)
{
	int code;

	code = node_name(d->options.node, &d->node, err);
	if (code < 0)
		return code;
	d->cluster = cluster_new();
	cluster_set_node(d->cluster, d->node);
	for (size_t i = 0; i < d->options.pod_ranges.n; i++)
		cluster_give_pod_range(d->cluster, &d->options.pod_ranges.v[i]);
	for (int m = 0; m < MODE_COUNT; m++)
		if (d->options.loosen[m])
			cluster_allow_loosening(d->cluster, (enum mode)m);
	conflist_init(&d->conflist, d->options.conflist);
	conflist_read(&d->conflist, d->cluster);
	baseline_file_init(&d->baseline, d->options.baseline);
	baseline_file_read(&d->baseline, d->cluster);
	adopt_init(&d->adopt, d->cluster, &d->attachments, &d->reconcile.nl, d->options.adopt_enforces);
	code = attachments_init(&d->attachments, d->cluster, err);
	if (code == 0 && d->options.manifests)
		code = manifest_init(&d->manifests, d->options.manifests, d->cluster, err);
	turns_init(&d->turns);
	d->manifests.turns = &d->turns;
	if (code == 0)
		code = reconcile_init(&d->reconcile, d->cluster, err);
	d->reconcile.refresh = refresh_attachments;
	d->reconcile.refresh_arg = d;
	return code;
}

static void done(struct daemon *d)
{
	watch_done(&d->watch);
	node_routes_done(&d->node_routes);
	reconcile_done(&d->reconcile);
	if (d->options.manifests)
		manifest_done(&d->manifests);
	else
		kube_source_done(&d->kube);
	turns_done(&d->turns);
	adopt_done(&d->adopt);
	others_done(&d->others);
	windows_done(&d->windows);
	attachments_done(&d->attachments);
	conflist_done(&d->conflist);
	baseline_file_done(&d->baseline);
	cluster_free(d->cluster);
	free(d->node);
}

static void begin(struct daemon *d)
{
	const struct kube_config *c = &d->kube.config;

	if (d->options.manifests) {
		log_info("started manifests=\"%s\" node=%s", TEXT(d->options.manifests), TEXT(d->node));
		manifest_scan(&d->manifests);
		daemon_apply(d);
	} else {
		log_info("started server=%s:%u credentials=\"%s\" node=%s", TEXT(c->host), c->port, TEXT(c->from), TEXT(d->node));
		kube_source_go(&d->kube);
	}
}

int daemon_run(const struct daemon_options *options, struct err *err)
{
	struct daemon *d = mem_zalloc(sizeof(*d));
	int code;

	d->options = *options;
	d->retry_ms = RETRY_FIRST_MS;
	d->reconcile.nl.fd = d->reconcile.revoke.conntrack.finder.fd = d->reconcile.revoke.conntrack.deleter.fd = -1;
	d->manifests.inotify = d->watch.fd = d->watch.survey_nl.fd = -1;
	setenv("UV_THREADPOOL_SIZE", "3", 1); /* revocation's: one looks, one waits for a grace period; the watch's */
	code = options->manifests ? 0 : kube_source_init(&d->kube, options->kubeconfig, err);
	if (code == 0)
		code = confine_begin(err);
	if (code < 0) {
		kube_source_done(&d->kube);
		free(d);
		return code;
	}
	uv_loop_init(&d->loop);
	uv_loop_configure(&d->loop, UV_METRICS_IDLE_TIME);
	code = init(d, err);
	if (code == 0)
		code = attachments_start(&d->attachments, &d->loop, &attachments_calls, d, err);
	if (code == 0)
		code = watch_start(&d->watch, &d->reconcile, &d->loop, on_strangers, d, err);
	d->kube.turns = &d->turns;
	if (code == 0 && !options->manifests)
		code = kube_source_start(&d->kube, d->cluster, &d->loop, on_changed, d, err);
	if (code == 0)
		code = ctl_listen(&d->ctl, d, err);
	if (code == 0) {
		start_handles(d);
		code = confine_calls(!options->manifests, err);
	}
	if (code == 0) {
		begin(d);
		uv_run(&d->loop, UV_RUN_DEFAULT);
		close_handles(d);
	}
	done(d);
	uv_loop_close(&d->loop);
	free(d);
	return code;
}

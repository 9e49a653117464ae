/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reflector for each kind, one model. What is in force stays until a complete new list of every kind that needs one says otherwise: policies
 * of a restored server with the namespaces of the lost one would be a cluster that never was. So a complete list waits for those
 * that are still read, and all are taken as one change.
 */
#include "policyd/source/kube_source.h"

#include <string.h>

#include "moat/log.h"

int kube_source_init(struct kube_source *s, const char *kubeconfig, struct err *err)
{
	int code;

	memset(s, 0, sizeof(*s));
	s->names.fd = -1;
	code = kubeconfig ? kube_config_read(kubeconfig, &s->config, err) : kube_config_from_pod(&s->config, err);
	return code < 0 ? code : kube_names_start(&s->names, s->config.host, err);
}

static void on_changed(void *arg)
{
	struct kube_source *s = arg;

	s->changed = true;
}

/* All kinds are listed anew; but not the one whose new, older list it was that told so. */
static void on_went_back(struct kube_reflector *r, void *arg)
{
	struct kube_source *s = arg;

	for (int k = 0; k < KIND_COUNT; k++)
		if (&s->reflectors[k] != r || !r->listed)
			kube_reflector_relist(&s->reflectors[k]);
}

static void on_listed(struct kube_reflector *r, void *arg)
{
	struct kube_source *s = arg;

	if (r->went_back)
		on_went_back(r, s);
	r->went_back = false;
	for (int k = 0; k < KIND_COUNT; k++)
		if (s->reflectors[k].needs_list)
			return;
	for (int k = 0; k < KIND_COUNT; k++)
		if (s->reflectors[k].listed)
			kube_reflector_take(&s->reflectors[k]);
	if (!s->synced)
		log_info("kube-synced server=%s:%u http=%u", TEXT(s->config.host), s->config.port, s->http.version);
	s->synced = s->changed = true;
}

static void on_turn(uv_timer_t *timer);

/* Those whose turn has come; and when the next one's does. */
static void take_turns(struct kube_source *s)
{
	uint64_t now_us = uv_hrtime() / 1000, first_us = 0;

	for (int k = 0; k < KIND_COUNT; k++) {
		uint64_t next_us;

		s->changed |= kube_store_take_turns(&s->reflectors[k].store, false, now_us, &next_us);
		first_us = next_us && (!first_us || next_us < first_us) ? next_us : first_us;
	}
	if (first_us)
		uv_timer_start(&s->turn, on_turn, (first_us - now_us) / 1000 + 1, 0);
}

/* What is changed now may leave its namespace in debt: those that wait ask after it. */
static void on_settled(void *arg)
{
	struct kube_source *s = arg;

	if (s->changed && s->synced) {
		s->changed = false;
		s->changed_fn(s->arg);
	}
	take_turns(s);
	if (s->changed && s->synced) {
		s->changed = false;
		s->changed_fn(s->arg);
	}
}

static void on_turn(uv_timer_t *timer)
{
	on_settled(timer->data);
}

int kube_source_start(struct kube_source *s, struct cluster *cluster, uv_loop_t *loop, void (*fn)(void *arg), void *arg, struct err *err)
{
	int code = kube_http_init(&s->http, loop, &s->config, &s->names, err);

	if (code < 0)
		return code;
	s->changed_fn = fn;
	s->arg = arg;
	uv_timer_init(loop, &s->turn);
	s->turn.data = s;
	s->http.settled = on_settled;
	s->http.arg = s;
	for (int k = 0; k < KIND_COUNT; k++) {
		struct kube_reflector *r = &s->reflectors[k];

		kube_reflector_init(r, (enum object_kind)k, &s->http, cluster);
		r->store.turns = s->turns;
		r->listed_fn = on_listed;
		r->went_back_fn = on_went_back;
		r->changed_fn = on_changed;
		r->arg = s;
	}
	return 0;
}

void kube_source_go(struct kube_source *s)
{
	for (int k = 0; k < KIND_COUNT; k++)
		kube_reflector_start(&s->reflectors[k]);
}

void kube_source_close_handles(struct kube_source *s)
{
	if (!s->http.multi)
		return;
	uv_close((uv_handle_t *)&s->turn, NULL);
	for (int k = 0; k < KIND_COUNT; k++)
		kube_reflector_close(&s->reflectors[k]);
	kube_http_close(&s->http);
}

void kube_source_done(struct kube_source *s)
{
	for (int k = 0; k < KIND_COUNT; k++)
		kube_reflector_done(&s->reflectors[k]);
	kube_config_done(&s->config);
}

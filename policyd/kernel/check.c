/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole look: after a transaction that was not heard of, after everything was built anew, and when a stranger has added what no
 * known pod has. It costs a dump of the table, so it is never done for the sake of time that passes; and it never holds the loop: what
 * is wanted is asked for in turns, while nothing else is to be done or between what is, and a thread reads the kernel.
 */
#include "moat/log.h"
#include "policyd/kernel/verify.h"
#include "policyd/kernel/watch.h"

#define TURN_US 2000 /* what everybody else waits for at most; but a group of 50,000 pods is one thing, and takes 20 ms */

static void put_right(struct watch *w, const struct verified *v)
{
	struct reconcile *r = w->reconcile;
	struct err err;

	if (v->static_part && reconcile_bar(r, &err) < 0) {
		log_warn("not-barred error=\"%s\" action=rebuild", err.text);
		r->static_changed = true;
		reconcile_distrust(r);
	}
	if (v->surroundings) {
		surroundings_distrust(&r->surroundings);
		net_distrust(&r->net);
		w->wants_run = true;
	}
	if (v->program)
		reconcile_distrust(r);
}

/* The look is over, with what differs, or without if it could not be had. */
static void conclude(struct watch *w, struct verified *v)
{
	const char *what;

	w->check_wanted |= !strays_settle(&w->strays, w->reconcile, v);
	what = v->what[0] ? v->what : w->strays.what;
	if (what[0]) {
		tamper_found(&w->tamper, true, w->well_us, what, "");
		w->reconcile->guarded_us = clock_monotonic_us(); /* what nobody has is gone; what is missing follows */
		w->disturbed = true;
	}
	put_right(w, v);
	w->well_us = w->checked_us;
	w->check_us = clock_monotonic_us() - w->checked_us;
	log_info("checked differs=\"%s\" ms=%.2f", what, (double)w->check_us / 1000);
}

static void end(struct watch *w)
{
	survey_free(w->survey);
	survey_free(w->former);
	w->survey = w->former = NULL;
	w->checking = w->refreshed = false;
}

static void begin_survey(struct watch *w);

static void begin_again(struct watch *w)
{
	survey_free(w->survey);
	w->survey = NULL;
	begin_survey(w);
}

/* The pod store tells of an ADD before its event does. */
static bool learn_of_new_pods(struct watch *w)
{
	struct reconcile *r = w->reconcile;

	if (!r->refresh(r->refresh_arg))
		return false;
	w->found(w->arg);
	return true;
}

/*
 * What is left over may be a new pod's: the pod store is read after the kernel. If it has news everything is looked at once more; if it
 * has news again, strays wait for the next look, since what is taken for one must be nobody's for sure.
 */
static bool is_to_begin_again(struct watch *w, struct verified *v)
{
	if ((!v->left.elements.n && !v->left.chains.n) || !learn_of_new_pods(w))
		return false;
	if (!w->refreshed) {
		w->refreshed = true;
		return true;
	}
	verified_done(v);
	w->check_wanted = true;
	return false;
}

static void judge(struct watch *w)
{
	struct verified v;
	struct err err;
	int code = survey_judge(w->survey, w->former, &v, &err);

	if (code == -EAGAIN) { /* there was no former one, and so this is said once */
		w->former = w->survey;
		w->survey = NULL;
		learn_of_new_pods(w);
		begin_again(w);
		return;
	}
	if (code == 0 && is_to_begin_again(w, &v)) {
		verified_done(&v);
		begin_again(w);
		return;
	}
	end(w);
	if (code < 0) {
		log_warn("not-checked error=\"%s\"", err.text);
		w->check_wanted = true;
	} else {
		conclude(w, &v);
	}
	verified_done(&v);
	watch_act(w);
}

static void read_kernel(uv_work_t *work)
{
	struct watch *w = work->data;

	survey_read(w->survey, &w->survey_nl);
}

static void on_read(uv_work_t *work, int status)
{
	struct watch *w = work->data;

	if (status < 0 || !w->started)
		end(w);
	else
		judge(w);
}

static void on_turn(uv_idle_t *turn)
{
	struct watch *w = turn->data;

	if (!survey_want(w->survey, TURN_US))
		return;
	uv_idle_stop(turn);
	w->reading.data = w;
	if (uv_queue_work(turn->loop, &w->reading, read_kernel, on_read) < 0)
		end(w);
}

static void begin_survey(struct watch *w)
{
	struct err err;

	w->survey = survey_new(w->reconcile, &err);
	if (w->survey) {
		uv_idle_start(&w->turn, on_turn);
		return;
	}
	end(w);
	log_warn("not-checked error=\"%s\"", err.text);
	w->check_wanted = w->reconcile->built;
}

void watch_check(struct watch *w)
{
	w->check_wanted = false;
	w->checked_us = clock_monotonic_us();
	w->checking = true;
	begin_survey(w);
}

void watch_check_done(struct watch *w)
{
	end(w);
	nl_close(&w->survey_nl);
}

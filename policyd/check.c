/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole look: after a transaction that was not heard of, after everything was built anew, and when a stranger has added what no
 * known pod has. It costs a dump of the table, so it is never done for the sake of time that passes.
 */
#include "moat/log.h"
#include "policyd/verify.h"
#include "policyd/watch.h"

/* What is left over may be a new pod's: the pod store is read after the kernel, and then there is nothing left over. */
static int look(struct watch *w, struct verified *v, struct err *err)
{
	struct reconcile *r = w->reconcile;
	int code = verify(r, v, err);

	if (code < 0 || (!v->elements.n && !v->chains.n) || !r->refresh(r->refresh_arg))
		return code;
	verified_done(v);
	w->found(w->arg);
	return verify(r, v, err);
}

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

void watch_check(struct watch *w)
{
	const char *what;
	struct verified v;
	struct err err;

	w->check_wanted = false;
	w->checked_us = tamper_now_us();
	if (look(w, &v, &err) < 0) {
		log_warn("not-checked error=\"%s\"", err.text);
		w->check_wanted = w->reconcile->built;
	}
	w->check_wanted |= !strays_settle(&w->strays, w->reconcile, &v);
	what = v.what[0] ? v.what : w->strays.what;
	if (what[0]) {
		tamper_found(&w->tamper, true, w->well_us, what, "");
		w->reconcile->guarded_us = tamper_now_us(); /* what nobody has is gone; what is missing follows */
		w->disturbed = true;
	}
	put_right(w, &v);
	w->well_us = w->checked_us;
	w->check_us = tamper_now_us() - w->checked_us;
	log_info("checked differs=\"%s\" ms=%.2f", what, (double)w->check_us / 1000);
	verified_done(&v);
}

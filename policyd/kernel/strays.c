/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/kernel/strays.h"

#include <stdio.h>
#include <string.h>

#include "moat/log.h"
#include "moat/podstore.h"
#include "policyd/kernel/reconcile_internal.h"

struct settling {
	struct reconcile *r;
	struct strays now;
};

static bool has_addr(const struct addr *addr, void *arg)
{
	const struct settling *n = arg;

	return reconcile_has_addr(n->r, addr);
}

static void on_stray(enum stray_fate fate, const char *what, const struct err *err, void *arg)
{
	struct settling *n = arg;
	char *sentence = NULL;

	switch (fate) {
	case STRAY_STAYS:
		sentence = mem_printf("%s is no attachment's in the pod store (a lost state file?): closed until the link goes", what);
		VEC_PUSH(&n->now.told, sentence);
		break;
	case STRAY_PORT_STAYS:
		sentence = mem_printf("%s is no attachment's in the pod store: closed until the link goes", what);
		VEC_PUSH(&n->now.told, sentence);
		break;
	case STRAY_TAKEN_AWAY:
		log_info("stray-taken-away what=\"%s\" reason=\"no attachment in the pod store has it, and its link is gone\"", what);
		break;
	case STRAY_ELEMENT_TAKEN_AWAY:
		if (!n->now.what[0])
			snprintf(n->now.what, sizeof(n->now.what), "extra: element of set %s", what);
		break;
	case STRAY_REFUSED:
		log_warn("stray-not-settled what=\"%s\" error=\"%s\"", what, err->text);
		break;
	}
}

static void log_new(const struct strays *now, const struct strays *before)
{
	for (size_t i = 0; i < now->told.n; i++) {
		bool known = false;

		for (size_t j = 0; j < before->told.n; j++)
			known |= !strcmp(now->told.v[i], before->told.v[j]);
		if (!known)
			log_warn("stray what=\"%s\"", now->told.v[i]);
	}
}

bool strays_settle(struct strays *s, struct reconcile *r, const struct verified *found)
{
	CLEAN_CLOSE int lock = podstore_lock(RECONCILE_LOCK_WAIT_MS, NULL);
	struct settling n = {.r = r};
	const struct stray_judge judge = {.nl = &r->nl, .has_addr = has_addr, .told = on_stray, .arg = &n};
	bool all;

	if (lock < 0)
		return !found->left.chains.n && !found->left.elements.n;
	podstore_sweep();
	all = stray_settle(&found->left, &judge);
	log_new(&n.now, s);
	strays_done(s);
	*s = n.now;
	return all;
}

void strays_done(struct strays *s)
{
	for (size_t i = 0; i < s->told.n; i++)
		free(s->told.v[i]);
	VEC_DONE(&s->told);
}

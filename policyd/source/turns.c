/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/source/turns.h"

#include <string.h>

void turns_init(struct turns *t)
{
	*t = (struct turns){.moment_us = TURNS_MOMENT_US};
}

static void forget(struct turns *t, struct turns_debt *d)
{
	HASH_DEL(t->debts, d);
	free(d->ns);
	free(d);
}

void turns_done(struct turns *t)
{
	while (t->debts)
		forget(t, t->debts);
}

/* Whoever asks as of an earlier moment, one before the last charge, pays nothing back; nor is a part of a microsecond lost. */
static void pay_back(struct turns_debt *d, uint64_t now_us)
{
	uint64_t paid = now_us > d->since_us ? (now_us - d->since_us) / TURNS_SHARE : 0;

	d->us -= paid > d->us ? d->us : paid;
	d->since_us += paid * TURNS_SHARE;
}

/* As of now; NULL: none. */
static struct turns_debt *find(struct turns *t, const char *ns, uint64_t now_us)
{
	struct turns_debt *d;

	HASH_FIND_STR(t->debts, ns, d);
	if (!d)
		return NULL;
	pay_back(d, now_us);
	if (d->us)
		return d;
	forget(t, d);
	return NULL;
}

/* Namespaces that are not heard of again do not stay for ever: each charge looks at one other. */
static void look_at_another(struct turns *t, uint64_t now_us)
{
	struct turns_debt *first = t->debts;

	pay_back(first, now_us);
	if (!first->us) {
		forget(t, first);
	} else { /* to the end of the order */
		HASH_DEL(t->debts, first);
		HASH_ADD_KEYPTR(hh, t->debts, first->ns, strlen(first->ns), first);
	}
}

uint64_t turns_cost(uint64_t clock_us, uint64_t processor_us)
{
	return clock_us < processor_us * TURNS_WAITING ? clock_us : processor_us * TURNS_WAITING;
}

void turns_charge(struct turns *t, const char *ns, uint64_t cost_us, uint64_t now_us)
{
	struct turns_debt *d = find(t, ns, now_us);

	if (!cost_us)
		return;
	if (!d) {
		d = mem_zalloc(sizeof(*d));
		d->ns = mem_strdup(ns);
		d->since_us = now_us;
		HASH_ADD_KEYPTR(hh, t->debts, d->ns, strlen(d->ns), d);
	}
	d->us += cost_us;
	look_at_another(t, now_us);
}

uint64_t turns_when(struct turns *t, const char *ns, uint64_t now_us)
{
	struct turns_debt *d = find(t, ns, now_us);

	return !d || d->us <= t->moment_us ? now_us : now_us + (d->us - t->moment_us) * TURNS_SHARE;
}

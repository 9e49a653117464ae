/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/kernel/others.h"

#include <string.h>

#include "moat/enforcers.h"
#include "moat/log.h"

static void add(const char *who, const char *sign, void *arg)
{
	struct others *o = arg;
	struct other other = {.who = mem_strdup(who), .sign = mem_strdup(sign)};

	VEC_PUSH(&o->v, other);
}

static bool has(const struct others *o, const struct other *other)
{
	for (size_t i = 0; i < o->v.n; i++)
		if (!strcmp(o->v.v[i].sign, other->sign))
			return true;
	return false;
}

void others_look(struct others *o)
{
	struct others now = {.v = {0}};
	struct err err;

	if (enforcers_each(add, &now, &err) < 0) {
		others_done(&now); /* what was seen before is as good as half of it */
		return;
	}
	for (size_t i = 0; i < now.v.n; i++)
		if (!has(o, &now.v.v[i]) && now.v.v[i].who[0])
			log_warn("other-enforcer who=%s sign=\"%s\" reason=\"it denies what it denies, whatever moat allows\"", now.v.v[i].who,
				 now.v.v[i].sign);
	for (size_t i = 0; i < o->v.n; i++)
		if (!has(&now, &o->v.v[i]) && o->v.v[i].who[0])
			log_info("other-enforcer-gone who=%s sign=\"%s\"", o->v.v[i].who, o->v.v[i].sign);
	others_done(o);
	*o = now;
}

void others_done(struct others *o)
{
	for (size_t i = 0; i < o->v.n; i++) {
		free(o->v.v[i].who);
		free(o->v.v[i].sign);
	}
	VEC_DONE(&o->v);
}

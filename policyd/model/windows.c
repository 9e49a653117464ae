/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/model/windows.h"

#include <string.h>

static void forget(struct windows *w, struct waiting_pod *p)
{
	HASH_DEL(w->waiting, p);
	free(p->key);
	free(p);
}

void windows_answered(struct windows *w, const char *key, bool in_place, uint64_t now_us)
{
	struct waiting_pod *p;

	HASH_FIND_STR(w->waiting, key, p);
	if (p)
		forget(w, p); /* ADD again: another pod of the same name */
	if (in_place) {
		w->in_place++;
		return;
	}
	if (HASH_COUNT(w->waiting) >= WINDOWS_WAITING)
		return;
	p = mem_zalloc(sizeof(*p));
	p->key = mem_strdup(key);
	p->since_us = now_us;
	HASH_ADD_KEYPTR(hh, w->waiting, p->key, strlen(p->key), p);
}

static void note(struct windows *w, uint64_t us)
{
	w->us[w->late++ % WINDOWS_KEPT] = us;
	if (us > w->max_us)
		w->max_us = us;
}

void windows_applied(struct windows *w, struct cluster *c, uint64_t now_us)
{
	struct waiting_pod *p, *next;

	HASH_ITER(hh, w->waiting, p, next) {
		struct local_pod *pod;

		HASH_FIND_STR(cluster_local_pods(c), p->key, pod);
		if (pod && pod->confirmation != POD_CONFIRMED)
			continue;
		if (pod)
			note(w, now_us - p->since_us);
		forget(w, p);
	}
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t windows_percentile(const struct windows *w, unsigned percent)
{
	size_t n = w->late < WINDOWS_KEPT ? (size_t)w->late : WINDOWS_KEPT;
	uint64_t sorted[WINDOWS_KEPT];

	if (!n)
		return 0;
	memcpy(sorted, w->us, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), ascending);
	return sorted[(n - 1) * percent / 100];
}

void windows_done(struct windows *w)
{
	while (w->waiting)
		forget(w, w->waiting);
}

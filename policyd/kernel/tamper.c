/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/kernel/tamper.h"

#include <stdio.h>
#include <string.h>

#include "moat/log.h"
#include "moat/text.h"

void tamper_found(struct tamper *t, bool by_check, uint64_t since_us, const char *what, const char *by)
{
	if (t->open)
		return;
	t->open = true;
	t->by_check = by_check;
	t->since_us = since_us;
	t->found_us = by_check ? clock_monotonic_us() : since_us; /* of an event some is put right before it is heard to its end */
	text_escape(what, t->what, sizeof(t->what));
	text_escape(by, t->by, sizeof(t->by));
}

void tamper_repaired(struct tamper *t, uint64_t at_us)
{
	uint64_t us = at_us - t->since_us;
	uint32_t exposed = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
	uint32_t *max = t->by_check ? &t->max_unnoticed_us : &t->max_us;

	if (!t->open)
		return;
	t->open = false;
	if (at_us < t->found_us)
		return;
	if (t->by_check)
		t->by_checks++;
	else
		t->exposed_us[t->by_event++ % TAMPER_KEPT] = exposed;
	if (exposed > *max)
		*max = exposed;
	snprintf(t->last, sizeof(t->last), "%s%s%s, put right %s %.2f ms", t->what, t->by[0] ? " by " : "", t->by,
		 t->by_check ? "by a check, after at most" : "after", exposed / 1000.0);
	log_warn("tampered what=\"%s\" by=\"%s\" found-by=%s exposed-ms=%s%.2f", t->what, t->by, t->by_check ? "check" : "event",
		 t->by_check ? "<" : "", exposed / 1000.0);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint32_t tamper_median_us(const struct tamper *t)
{
	uint32_t sorted[TAMPER_KEPT];
	size_t n = t->by_event < TAMPER_KEPT ? (size_t)t->by_event : TAMPER_KEPT;

	if (!n)
		return 0;
	memcpy(sorted, t->exposed_us, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), by_size);
	return sorted[n / 2];
}

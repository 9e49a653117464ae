/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/sample.h"

#include <stdio.h>
#include <time.h>

double sample_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

void sample_add(struct sample *s, double ms)
{
	VEC_PUSH(&s->ms, ms);
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double sample_quantile(struct sample *s, double q)
{
	size_t i = (size_t)(q * (double)s->ms.n);

	if (!s->ms.n)
		return 0;
	qsort(s->ms.v, s->ms.n, sizeof(s->ms.v[0]), by_value);
	return s->ms.v[i < s->ms.n ? i : s->ms.n - 1];
}

void sample_tell(const char *name, const char *what, double value, double goal)
{
	const char *met = value <= goal ? "yes" : "no";

	if (goal > 0)
		printf("  %-44s %9.2f %-4s goal %g: %s\n", name, value, what, goal, value <= goal ? "met" : "MISSED");
	else
		printf("  %-44s %9.2f %s\n", name, value, what);
	printf("BENCH name=\"%s\" value=%.3f unit=%s", name, value, *what ? what : "ratio");
	if (goal > 0)
		printf(" goal=%g met=%s", goal, met);
	printf("\n");
	fflush(stdout);
}

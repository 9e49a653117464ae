/* SPDX-License-Identifier: Apache-2.0 */
/* Times taken, and how they are told. */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include "moat/base.h"

struct sample {
	const char *name;
	VEC(double) ms;
};

double sample_now_ms(void); /* CLOCK_MONOTONIC */
void sample_add(struct sample *s, double ms);
double sample_quantile(struct sample *s, double q); /* sorts; 0.5 is the median, 1 the maximum */

/*
 * A line for eyes, and one for programs: "BENCH name=… value=… goal=… met=yes|no". goal 0: none. what says value's unit.
 */
void sample_tell(const char *name, const char *what, double value, double goal);

#endif

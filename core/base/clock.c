/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic_us(void)
{
	return read_clock(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_processor_us(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID) / 1000;
}

uint64_t clock_realtime_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

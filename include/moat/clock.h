/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOAT_CLOCK_H
#define MOAT_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_us(void);
/* What the calling thread has had of a processor: neither what it waited nor how long it was stopped. */
uint64_t clock_processor_us(void);
/* Since the epoch, as an attachment's ->created. It may be set, and go back. */
uint64_t clock_realtime_ns(void);

#endif

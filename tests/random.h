/* SPDX-License-Identifier: Apache-2.0 */
/* Random changes of a small world: few names, labels and addresses, so that everything meets everything. */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include "tests/oracle.h"

#define RANDOM_ADDRESSES 14
#define RANDOM_PORTS 13

extern const char *const random_addresses[RANDOM_ADDRESSES];
extern const uint16_t random_ports[RANDOM_PORTS];

void random_seed(uint64_t seed);
void random_feed(const uint8_t *bytes, size_t n); /* the next choices come from these, a byte each */
bool random_is_fed(void);                         /* are some left? */
unsigned random_below(unsigned n);
#define RANDOM_OF(array) ((array)[random_below(ARRAY_SIZE(array))])

/* Makes one change to both. created counts attachments. */
void random_change(struct world *w, struct cluster *c, uint64_t *created);
void random_world_done(struct world *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel for fuzz targets: whoever opens a netlink socket in these programs talks to it (the linker's --wrap), and the machine's own
 * kernel is never asked.
 */
#ifndef TESTS_FUZZ_KERNEL_H
#define TESTS_FUZZ_KERNEL_H

#include "moat/base.h"

/*
 * Every recv gives the next record of the input: two bytes of length (the lower one first), and a datagram. Lengths from
 * FUZZ_KERNEL_EVENTS on are events instead: 0xffff an overrun, 0xfffe a signal, 0xfffd the end of the stream. After the last record
 * nothing is there to be read. A message's sequence number becomes that of the last request, unless it is 3 in the input; those
 * of an answer to a batch are left alone.
 */
#define FUZZ_KERNEL_EVENTS 0xfffdu
void fuzz_kernel_says(const uint8_t *data, size_t len);

/*
 * Answers as a node would on which the container's interface (its name lives as long as the answers) is a veth with index 2, its peer veth17 with index 17, no table and
 * no connection is there (after a batch an empty table), and every batch is taken.
 */
void fuzz_kernel_complies(const char *ifname);
/* And tells whoever has asked nothing, a listener, these records. */
void fuzz_kernel_tells(const uint8_t *data, size_t len);
unsigned fuzz_kernel_commits(void); /* batches taken since then */

#endif

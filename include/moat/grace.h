/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOAT_GRACE_H
#define MOAT_GRACE_H

/*
 * Waits until every packet that the kernel was handling has gone its way: they are handled within one RCU read-side section from the device
 * to the device. 8 to 16 ms, and much more on a busy machine. What leaves the section between two hooks (NFQUEUE of another program,
 * IPsec that looks for a key) is not waited for.
 */
void grace_wait(void);

#endif

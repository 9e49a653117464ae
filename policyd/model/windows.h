/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For how long pods that have started wait: the deny window, from the answer that lets ADD go on to the pod's own policy in the kernel. None, if that
 * is there before ADD is answered.
 */
#ifndef POLICYD_WINDOWS_H
#define POLICYD_WINDOWS_H

#include "moat/table.h"
#include "policyd/model/compile.h"

#define WINDOWS_KEPT 256    /* the newest, for the median and the 99th percentile */
#define WINDOWS_WAITING 1024 /* pods that wait at once; of more nothing is measured */

struct waiting_pod {
	char *key;
	uint64_t since_us;
	UT_hash_handle hh;
};

struct windows {
	struct waiting_pod *waiting;
	uint64_t in_place, late; /* pods whose policy was there when ADD was answered, and that got it later */
	uint64_t us[WINDOWS_KEPT]; /* of those, a ring */
	uint64_t max_us;
};

/* ADD is answered. in_place: the pod's policy is in the kernel. */
void windows_answered(struct windows *w, const char *key, bool in_place, uint64_t now_us);
/* Everything that the model has is in the kernel. */
void windows_applied(struct windows *w, struct cluster *c, uint64_t now_us);
/* The percentile, 0 to 100, of the late ones; 0 without any. */
uint64_t windows_percentile(const struct windows *w, unsigned percent);
void windows_done(struct windows *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an attachment, in two halves: what it was allowed goes at once, its port stays closed until its link is gone. The second half
 * is whoever's next run finds it so.
 */
#ifndef MOAT_PLUGIN_FORGET_H
#define MOAT_PLUGIN_FORGET_H

#include "plugin/cni_error.h"

#define FORGET_LOCK_MS 500 /* design §7: after that, go on without */

/*
 * First half, and the second if it can be. Idempotent: no state is success. Of an attachment whose state is unreadable goes what the
 * index knows. Takes the lock.
 */
int forget_attachment(const char *key, struct cni_error *e);

/* The second half of all that wait for it; costs only what is pending. The caller holds the lock; failures are left to the next. */
void forget_closing(void);

#endif

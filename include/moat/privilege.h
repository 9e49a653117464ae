/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up capabilities, for good. */
#ifndef MOAT_PRIVILEGE_H
#define MOAT_PRIVILEGE_H

#include <linux/capability.h>

#include "moat/err.h"

#define PRIVILEGE(capability) (UINT64_C(1) << (capability))

/*
 * Of the capabilities that the process has, those in `keep` stay; none can be had again, not by executing a program either
 * (no_new_privs). Costs three system calls. ret_missing (may be NULL): those in keep that it did not have. -errno if the kernel refuses.
 */
int privilege_keep(uint64_t keep, uint64_t *ret_missing, struct err *err);

/* Empties the bounding set too, as far as the process may (CAP_SETPCAP: before privilege_keep). */
void privilege_unbound(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The second half of DEL, once the link of an attachment is gone: its port leaves the ruleset, its state the pod store. */
#ifndef MOAT_RELEASE_H
#define MOAT_RELEASE_H

#include "moat/attachment.h"

/* Is the attachment's port gone? Not if somebody renamed it, nor if the kernel cannot be asked. */
bool release_is_due(const struct attachment *a);

/*
 * Releases the port unless another attachment has its name by now, and forgets the attachment. A writer that did not wait
 * for the lock may have given the name to a new attachment between the look and the batch; that one is closed again, and its
 * key is in *ret_reclosed (caller frees; else NULL): it wants its policy again.
 */
int release_attachment(const struct attachment *a, char **ret_reclosed, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a reflector share: kube_reflector.c asks and decides, kube_reflector_read.c reads what is answered. */
#ifndef POLICYD_KUBE_REFLECTOR_INTERNAL_H
#define POLICYD_KUBE_REFLECTOR_INTERNAL_H

#include "policyd/source/kube_reflector.h"

/* The body of an answer, as it comes. Negative: the rest is not wanted, and ->broken says why. */
int kube_reflector_read(struct kube_reflector *r, const char *bytes, size_t n);

/* The sentence of a Status, and whether it says that the server is not as new as it was asked to be. */
void kube_reflector_read_status(const struct kube_reply *reply, char *ret, size_t size, bool *ret_too_new);

/* The new list is complete, as of this resourceVersion; the watch that continues it, if it is not this one, follows. */
void kube_reflector_complete_list(struct kube_reflector *r, const char *version);

/* Negative: a is older. 0 too if one of them is no number. */
int kube_reflector_compare_versions(const char *a, const char *b);

#endif

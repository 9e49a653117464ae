/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster as manifests: 100 namespaces, 10,000 pods in Lists of 500, and 1,000 policies one per file, ten for each
 * namespace's pods app=a0, one of which is attached here. A policy allows one port from the pods of one app.
 */
#ifndef BENCH_CLUSTER_H
#define BENCH_CLUSTER_H

#include "moat/attachment.h"

#define CLUSTER_SPACES 100
#define CLUSTER_PODS 10000
#define CLUSTER_PODS_PER_FILE 500
#define CLUSTER_POLICIES 1000
#define CLUSTER_LOCALS 100 /* the first pod of each namespace */

void cluster_write(const char *directory); /* all of it */
void cluster_local(unsigned i, struct attachment *ret); /* local pod i's, the first of namespace i; attachment_done */
void cluster_attach_locals(void);          /* the local pods: closed in the kernel and in the pod store, as ADD leaves them */

/* Texts of files; the caller frees. */
char *cluster_policy(unsigned i, unsigned port, unsigned peer_app);
char *cluster_pods(unsigned file, unsigned changed_pod, unsigned app); /* changed_pod has label app=a<app> */
char *cluster_pod_alone(unsigned app); /* a pod of no List: one file, one object */
char *cluster_block_policy(const char *name, unsigned space, const char *block, unsigned port); /* for app=a0 from a block */

void cluster_put(const char *directory, const char *name, const char *text); /* written beside, and renamed in */
void cluster_write_beside(const char *directory, const char *name, const char *text);
void cluster_rename_in(const char *directory, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: objects of the source, attachments of this node, and who is in which peer group. Pure: no clock, no file
 * descriptor, no library but the C one, a hash function and uthash.
 *
 *   upsert/delete/attach/detach ──► cluster ──► dirty attachments ──► compile_profile ──► reconcile
 *                                      └──────► changed members of groups in use ─────────────┘
 *
 * Cost: a change of a pod costs the terms of peer groups that can select it (those of its namespace, and those with a
 * namespaceSelector); a change of a policy costs the local pods of its namespace; nothing walks every pod but a new group
 * or a Namespace whose labels changed, and these walk the pods of the namespaces they select.
 */
#ifndef POLICYD_CLUSTER_H
#define POLICYD_CLUSTER_H

#include "moat/attachment.h"
#include "policyd/model/baseline.h"
#include "policyd/model/objects.h"

struct cluster;

struct cluster *cluster_new(void);
void cluster_free(struct cluster *c);

/* Objects. upsert takes ownership; delete of what is not there does nothing. */
void cluster_upsert(struct cluster *c, struct object *take);
void cluster_delete(struct cluster *c, enum object_kind kind, const char *ns, const char *name);

/*
 * Attachments of this node, by key. attach copies; the same key again replaces. A closing attachment keeps its port but
 * has no policy and is nobody's peer.
 */
void cluster_attach(struct cluster *c, const struct attachment *a);
void cluster_detach(struct cluster *c, const char *key);
/* The same for one that the pod store lost while its link is there: no DEL came, so its pod may still run. */
void cluster_lose(struct cluster *c, const char *key);

/*
 * Of the connections that an adopted pod has: those that are open when it is adopted are not cut by that (spare), until somebody says so
 * (judge: what its policies deny is revoked).
 */
void cluster_spare(struct cluster *c, const char *key);
void cluster_judge(struct cluster *c, const char *key);

/*
 * Settings that change all profiles: modes a conflist gives to a network's attachments (has_mode false: each attachment's
 * own, as of its ADD), and which modes a namespace label may loosen to.
 */
void cluster_set_network_mode(struct cluster *c, const char *network, enum mode mode, enum deny deny);
/*
 * Tunnel ports that a conflist gives; else they are those of the newest attachment that has some, else what stands (n 0).
 * take_tunnels_changed: since it was last asked.
 */
void cluster_set_tunnel_ports(struct cluster *c, const struct tunnel_ports *ports);
const struct tunnel_ports *cluster_tunnel_ports(const struct cluster *c);
bool cluster_take_tunnels_changed(struct cluster *c);
void cluster_allow_loosening(struct cluster *c, enum mode mode);

/* The baseline in force; NULL: none. Takes it. */
void cluster_set_baseline(struct cluster *c, struct baseline *take);
/* Does it name the API server, while no source tells where that is? */
bool cluster_lacks_apiserver(const struct cluster *c);

/*
 * True while the source could not read everything it holds and has no last good version of it: then an unselected pod of a
 * `standard` node is not opened, since the policy that selects it may be among what was not read.
 */
void cluster_set_incomplete(struct cluster *c, bool incomplete);

/*
 * The name of the own node, by which escapes are known (escapes.c). Before the first object; without it none is told.
 * take_new_escapes: those that were not told yet.
 */
void cluster_set_node(struct cluster *c, const char *name);
/* One of the ranges of this node's pods, as the administrator knows them; pod_ranges.h says what there is without. */
void cluster_give_pod_range(struct cluster *c, const struct block *block);
typedef void (*cluster_escape_fn)(const struct object *pod, void *arg);
void cluster_each_escape(const struct cluster *c, cluster_escape_fn fn, void *arg);
void cluster_take_new_escapes(struct cluster *c, cluster_escape_fn fn, void *arg);

/* Nodes, for the set of other nodes and tunnel ends. take_nodes_changed: since it was last asked. */
typedef void (*cluster_node_fn)(const struct object *node, void *arg);
void cluster_each_node(const struct cluster *c, cluster_node_fn fn, void *arg);
bool cluster_take_nodes_changed(struct cluster *c);

size_t cluster_doubled_addresses(const struct cluster *c); /* addresses that more than one pod claims now */
/*
 * Work that each namespace's objects have caused since cluster_forget_work: selectors asked, peers handled, unions made; comparable
 * with each other. Namespaces without any are left out.
 */
typedef void (*cluster_work_fn)(const char *ns, uint64_t work, void *arg);
void cluster_each_work(const struct cluster *c, cluster_work_fn fn, void *arg);
void cluster_forget_work(struct cluster *c);

uint64_t cluster_evaluations(const struct cluster *c);     /* selectors asked since the beginning: the cost, as work */

#endif

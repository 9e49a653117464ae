/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods whose chains or elements somebody changed: they are put whole, without a look at what is there. Nothing is undone that DEL did: a
 * DEL holds the lock from its batch to its state file, so that under the lock the pod store says whether a pod was withdrawn or
 * robbed.
 */
#include <string.h>

#include "moat/log.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "policyd/kernel/reconcile_internal.h"

void reconcile_suspect(struct reconcile *r, const struct local_pod *pod)
{
	struct suspect_pod s = {.restored = false};

	for (size_t i = 0; i < r->suspects.n; i++)
		if (!strcmp(r->suspects.v[i].key, pod->key))
			return;
	s.key = mem_strdup(pod->key);
	VEC_PUSH(&r->suspects, s);
}

void reconcile_suspect_all(struct reconcile *r)
{
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		reconcile_suspect(r, pod);
}

bool reconcile_suspect_chain(struct reconcile *r, const char *chain)
{
	bool found = false;

	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next) {
		if (pod_owns_chain(pod->attachment, chain)) {
			reconcile_suspect(r, pod);
			found = true;
		}
	}
	return found;
}

/* Does a key of one of the pods' sets speak of this attachment? Its port's name comes first in a key, addresses have their place. */
static bool is_in_key(const struct attachment *a, const uint8_t *key, size_t len)
{
	size_t at = 0;

	if (len >= IF_NAMESIZE && !strncmp((const char *)key, a->port, IF_NAMESIZE))
		return true;
	for (size_t i = 0; i < a->n_addrs; i++)
		for (at = 0; at + addr_len(&a->addrs[i]) <= len; at += addr_len(&a->addrs[i]))
			if (!memcmp(key + at, a->addrs[i].bytes, addr_len(&a->addrs[i])))
				return true;
	return false;
}

bool reconcile_suspect_element(struct reconcile *r, const void *key, size_t len)
{
	bool found = false;

	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next) {
		if (is_in_key(pod->attachment, key, len)) {
			reconcile_suspect(r, pod);
			found = true;
		}
	}
	return found;
}

bool reconcile_has_addr(const struct reconcile *r, const struct addr *addr)
{
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		if (attachment_has_addr(pod->attachment, addr))
			return true;
	return false;
}

void reconcile_forget_restored(struct reconcile *r)
{
	size_t left = 0;

	for (size_t i = 0; i < r->suspects.n; i++) {
		if (r->suspects.v[i].restored)
			free(r->suspects.v[i].key);
		else
			r->suspects.v[left++] = r->suspects.v[i];
	}
	r->suspects.n = left;
}

/* As the store has it, if it is this attachment and DEL did not come; NULL: nothing is to be put. An unreadable file is no DEL. */
static struct attachment *still_attached(const struct local_pod *pod)
{
	struct attachment *stored = NULL;
	int code = podstore_get(pod->key, &stored, NULL);

	if (code == 0 && !stored->closing && stored->created == pod->attachment->created)
		return stored;
	attachment_free(stored);
	return code < 0 && code != -ENOENT ? attachment_copy(pod->attachment) : NULL;
}

/* Nobody has compiled a pod whose ADD was while this daemon slept: it is closed, and its first swap follows. */
static bool stays_closed(const struct local_pod *pod, bool closed)
{
	return closed || !pod->profile[INGRESS] || !pod->profile[EGRESS];
}

static void queue_chains(struct reconcile *r, struct txn *t, const struct local_pod *pod, const struct attachment *a, bool closed)
{
	char buf[DIRECTION_COUNT][CHAIN_NAME_MAX];
	const char *target[DIRECTION_COUNT];

	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = stays_closed(pod, closed) ? pod_closed_target(a->mode, (enum direction)d) :
							program_target(pod->profile[d], &r->epoch, buf[d]);
	pod_put_chains(t, a, target);
}

/* In a later transaction (core/pod/pod.c). */
static void queue_elements(struct txn *t, struct local_pod *pod, const struct attachment *a, bool closed)
{
	pod_put_elements(t, a);
	pod->node_known = false;
	reconcile_node_open(t, pod, false);
	if (!stays_closed(pod, closed))
		reconcile_node_open(t, pod, true);
}

/* Somebody may have given the pod's elements other verdicts: these are in the way, and go with the second attempt. */
static int put_alone(struct reconcile *r, struct local_pod *pod, const struct attachment *a, bool closed, struct err *err)
{
	struct txn *t = txn_new();
	int code;

	queue_chains(r, t, pod, a, closed);
	code = reconcile_commit_locked(r, t, err);
	for (int attempt = 0; code == 0 && attempt < 2; attempt++) {
		t = txn_new();
		if (attempt > 0)
			pod_evict(t, &r->nl, a);
		queue_elements(t, pod, a, closed);
		code = reconcile_commit_locked(r, t, err);
		if (attempt == 0 && (code == -EEXIST || code == -EBUSY))
			code = 0;
		else
			break;
	}
	return code;
}

struct restoration {
	VEC(struct local_pod *) pods;
	VEC(struct attachment *) stored;
};

static void find_attached(struct reconcile *r, struct restoration *n)
{
	for (size_t i = 0; i < r->suspects.n; i++) {
		const struct suspect_pod *s = &r->suspects.v[i];
		struct attachment *stored;
		struct local_pod *pod;

		if (s->restored)
			continue;
		HASH_FIND_STR(cluster_local_pods(r->cluster), s->key, pod);
		stored = pod ? still_attached(pod) : NULL;
		if (!stored)
			continue;
		VEC_PUSH(&n->pods, pod);
		VEC_PUSH(&n->stored, stored);
	}
}

static int put_all(struct reconcile *r, const struct restoration *n, bool closed, struct err *err)
{
	struct txn *t = txn_new();
	int result;

	for (size_t i = 0; i < n->pods.n; i++)
		queue_chains(r, t, n->pods.v[i], n->stored.v[i], closed);
	result = reconcile_commit_locked(r, t, err);
	if (result == 0) {
		t = txn_new();
		for (size_t i = 0; i < n->pods.n; i++)
			queue_elements(t, n->pods.v[i], n->stored.v[i], closed);
		result = reconcile_commit_locked(r, t, err);
	}
	if (result == 0)
		return 0;
	result = 0;
	for (size_t i = 0; i < n->pods.n; i++) {
		int code = put_alone(r, n->pods.v[i], n->stored.v[i], closed, err);

		result = code < 0 ? code : result;
	}
	return result;
}

bool reconcile_restore(struct reconcile *r, bool lock_is_stuck)
{
	CLEAN_CLOSE int lock = r->suspects.n ? podstore_lock(0, NULL) : -1;
	bool closed = lock < 0 || !r->built;
	struct restoration n = {0};
	struct err err;

	if (!r->suspects.n || (lock < 0 && !lock_is_stuck))
		return !r->suspects.n;
	find_attached(r, &n);
	if (n.pods.n && put_all(r, &n, closed, &err) < 0) {
		log_warn("pods-not-restored error=\"%s\" action=rebuild", err.text);
		reconcile_distrust(r);
	} else if (n.pods.n) {
		r->guarded_us = clock_monotonic_us();
	}
	for (size_t i = 0; i < n.pods.n; i++) {
		reconcile_note_exposed(r, n.pods.v[i]);
		attachment_free(n.stored.v[i]);
	}
	VEC_DONE(&n.pods);
	VEC_DONE(&n.stored);
	for (size_t i = 0; lock >= 0 && i < r->suspects.n; i++)
		r->suspects.v[i].restored = true;
	return lock >= 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closed first, when the table or a part of it is gone.
 *
 *	bar       the static part, and every pod's port and addresses, in one small batch: without the dispatch maps' elements a
 *	          packet of theirs is lost; what is left of the maps goes on to work
 *	pods      what is missing of a pod is put, closed, first the chains, then the elements; what stands of it stands
 *
 * Who deletes a table with nft ends soon after, and the kernel then waits for an RCU grace period under the lock that every
 * transaction needs (nft_rcv_nl_event, 10–20 ms). So the bar is sent at once, before anything is read: mostly it is
 * in time, and what follows may wait.
 */
#include <string.h>

#include "moat/bridge.h"
#include "moat/dump.h"
#include "moat/layout.h"
#include "moat/log.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/ruleset.h"
#include "moat/table.h"
#include "policyd/kernel/reconcile_internal.h"

/* DEL came and the link may still be there: closed, without addresses. */
static void bar_port(const struct attachment *closing, void *t)
{
	pod_bar_closing(t, closing);
}

static void note_bridge(const struct attachment *closing, void *any)
{
	*(bool *)any |= closing->bridge[0] != '\0';
}

bool reconcile_has_bridges(struct reconcile *r)
{
	bool any = false;

	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod && !any; pod = pod->hh.next)
		any = pod->attachment->bridge[0];
	if (!any)
		podstore_each_closing(note_bridge, NULL, &any, NULL);
	return any;
}

/* unhook: base chains that hang elsewhere go first. */
static void queue_bar(struct reconcile *r, struct txn *t, bool unhook)
{
	static const struct set_spec *const fixed[] = {&set_tunnel_protocols, &set_extensions};
	bool bridges = reconcile_has_bridges(r);

	txn_add_table(t);
	for (size_t i = 0; r->fixed_sets_changed && i < ARRAY_SIZE(fixed); i++) {
		txn_add_set(t, fixed[i]);
		txn_flush_set(t, fixed[i]);
	}
	for (int table = TABLE_INET; unhook && table <= (bridges ? TABLE_BRIDGE : TABLE_INET); table++)
		layout_queue_unhook(t, &r->nl, (enum table)table);
	ruleset_put(t, TABLE_INET);
	if (cluster_tunnel_ports(r->cluster)->n)
		ruleset_put_tunnel_ports(t, &r->nl, cluster_tunnel_ports(r->cluster), true);
	if (bridges)
		bridge_put_table(t);
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		pod_bar(t, pod->attachment);
	podstore_each_closing(bar_port, NULL, t, NULL);
}

int reconcile_bar(struct reconcile *r, struct err *err)
{
	int code = 0;

	/* sent before anything is read, unless the kernel refuses: it moves no base chain to another priority */
	for (int attempt = 0; attempt == 0 || (attempt == 1 && (code == -EOPNOTSUPP || code == -EEXIST)); attempt++) {
		struct txn *t = txn_new();

		queue_bar(r, t, attempt > 0);
		code = reconcile_commit_locked(r, t, err);
	}
	if (code == 0) {
		r->static_changed = r->fixed_sets_changed = false;
		r->guarded_us = clock_monotonic_us();
		for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
			reconcile_note_exposed(r, pod);
	}
	return code;
}

/* Names of the chains that stand. */
struct standing {
	char name[CHAIN_NAME_MAX];
	UT_hash_handle hh;
};

static void add_standing(const char *name, void *arg)
{
	struct standing **all = arg, *s = mem_zalloc(sizeof(*s));

	strncpy(s->name, name, sizeof(s->name) - 1);
	HASH_ADD_STR(*all, name, s);
}

static void standing_free(struct standing **all)
{
	struct standing *s, *next;

	HASH_ITER(hh, *all, s, next) {
		HASH_DEL(*all, s);
		free(s);
	}
}

static bool has_its_chains(struct standing *all, const struct attachment *a)
{
	char name[CHAIN_NAME_MAX];
	struct standing *found = NULL;

	for (int d = 0; d < DIRECTION_COUNT; d++) {
		pod_chain_name((enum direction)d, a, name);
		HASH_FIND_STR(all, name, found);
		if (!found)
			return false;
	}
	return true;
}

/* What nobody has compiled yet has the mode of its ADD. */
static enum mode mode_of(const struct local_pod *pod)
{
	return pod->profile[INGRESS] ? pod->mode : pod->attachment->mode;
}

static void put_missing_chains(struct txn *t, struct standing *standing, const struct local_pod *pod)
{
	const char *target[DIRECTION_COUNT];

	if (has_its_chains(standing, pod->attachment))
		return;
	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = pod_closed_target(mode_of(pod), (enum direction)d);
	pod_put_chains(t, pod->attachment, target);
}

/* Who holds the lock for long must not keep everybody barred: without it, one that DEL withdraws may be put, closed, and is a stray then. */
static int ensure_pods(struct reconcile *r, struct err *err)
{
	CLEAN_CLOSE int lock = podstore_lock(RECONCILE_LOCK_WAIT_MS, NULL);
	CLEAN(standing_free) struct standing *standing = NULL;
	int unused, code = dump_chains(&r->nl, add_standing, &standing);
	struct txn *t;

	if (code < 0)
		return err_errno(err, -code, "list the chains of table inet moat");
	t = txn_new();
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		if (!reconcile_was_withdrawn(pod, &unused))
			put_missing_chains(t, standing, pod);
	code = reconcile_commit_locked(r, t, err);
	if (code < 0)
		return code;
	t = txn_new(); /* they are barred: elements lead only to chains that stand (core/pod/pod.c) */
	podstore_each_closing(bar_port, NULL, t, NULL);
	for (struct local_pod *pod = cluster_local_pods(r->cluster); pod; pod = pod->hh.next)
		if (!reconcile_was_withdrawn(pod, &unused))
			pod_put_elements(t, pod->attachment);
	code = reconcile_commit_locked(r, t, err);
	if (code == -EEXIST || code == -EBUSY) { /* somebody gave an element another verdict: one by one, with what is in the way gone */
		reconcile_suspect_all(r);
		code = 0;
	}
	r->pods_unlocked |= lock < 0;
	if (code == 0) {
		r->pods_unsure = false;
		r->guarded_us = clock_monotonic_us();
	}
	return code;
}

/* Another version of moat wrote the static part: it is changed to ours, and nobody is closed. damage: what the proof said. */
static int follow_layout(struct reconcile *r, int damage)
{
	CLEAN_CLOSE int lock = podstore_lock(RECONCILE_LOCK_WAIT_MS, NULL);
	struct err trouble;
	int followed = layout_follow(&r->nl, &trouble);

	if (followed > 0)
		log_info("layout-changed reason=\"another version of moat had written the static rules\"");
	else if (followed < 0)
		log_warn("layout-not-changed error=\"%s\"", trouble.text);
	return followed > 0 ? 0 : damage;
}

int reconcile_guard(struct reconcile *r, struct err *err)
{
	int code = r->static_changed ? -EBADMSG : ruleset_prove(&r->nl, TABLE_INET, err);

	if (code == 0 && reconcile_has_bridges(r))
		code = ruleset_prove(&r->nl, TABLE_BRIDGE, err);
	if (ruleset_is_damaged(code) && !r->static_changed)
		code = follow_layout(r, code);
	if (ruleset_is_damaged(code)) {
		log_warn("ruleset-rewritten reason=\"%s\"", r->static_changed ? "somebody changed it" : err->text);
		r->pods_unsure = true;
		code = reconcile_bar(r, err);
	}
	return code == 0 && r->pods_unsure ? ensure_pods(r, err) : code;
}

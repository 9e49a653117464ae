/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of adoption
 *
 * Who a pod is, and which addresses it has, is known from the source; behind which port they are, from the kernel (holders.c). Both
 * together make an attachment, written to the pod store and put into the kernel as an ADD would, with three differences:
 *
 *  - Nothing is cut. The pod's first chains only observe; its policy comes with the swap that follows, and no connection of before
 *    is deleted or revoked for that. What conntrack has seen before goes on as established. (What it has not, on a node that tracked nothing
 *    until now, or between ports of a bridge without br_netfilter, is new to it with its next packet, and judged as such.)
 *  - Until somebody says `moatctl enforce`, or the pod is made anew, its mode is `preview` or what the conflist says, whichever is looser, and a
 *    namespace's label does not tighten it: nobody has looked yet at what it needs. --adopt=enforce skips that.
 *  - Its key is not the runtime's, which nobody knows: see attachment.h. The link's end is the attachment's, too.
 *
 * Not adopted, and told as an escape with the reason: a pod whose port the kernel does not tell; one whose address the pod store, or a verdict
 * in the kernel, gives to somebody: moat guarded that once, and to adopt it would loosen what is closed.
 */
#include "policyd/source/adopt.h"

#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "moat/bridge.h"
#include "moat/clock.h"
#include "moat/conntrack.h"
#include "moat/holders.h"
#include "moat/log.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/release.h"
#include "moat/ruleset.h"
#include "policyd/model/compile.h"

#define LOCK_WAIT_MS 500

void adopt_init(struct adopt *a, struct cluster *cluster, struct attachments *attachments, struct nl *nl, bool enforce)
{
	*a = (struct adopt){.cluster = cluster, .attachments = attachments, .nl = nl, .enforce = enforce};
}

static void refusal_free(struct adopt *a, struct adopt_refusal *r)
{
	HASH_DEL(a->refusals, r);
	free(r->pod);
	free(r->uid);
	free(r->why);
	free(r);
}

void adopt_done(struct adopt *a)
{
	while (a->refusals)
		refusal_free(a, a->refusals);
}

static bool same_text(const char *x, const char *y)
{
	return x == y || (x && y && !strcmp(x, y));
}

static struct adopt_refusal *find_refusal(const struct adopt *a, const char *ns, const char *name, const char *uid)
{
	CLEAN_FREE char *pod = mem_printf("%s/%s", ns, name);
	struct adopt_refusal *r;

	HASH_FIND_STR(a->refusals, pod, r);
	return r && same_text(r->uid, uid) ? r : NULL;
}

const char *adopt_why_not(const struct adopt *a, const struct object *pod)
{
	const struct adopt_refusal *r = find_refusal(a, pod->ns, pod->name, pod->uid);

	return r ? r->why : NULL;
}

/* Told once, and again when it is something else. */
static void refuse(struct adopt *a, const struct attachment *pod, const char *why)
{
	CLEAN_FREE char *name = mem_printf("%s/%s", pod->pod_namespace, pod->pod_name);
	struct adopt_refusal *r;

	HASH_FIND_STR(a->refusals, name, r);
	if (!r) {
		r = mem_zalloc(sizeof(*r));
		r->pod = TAKE_PTR(name);
		HASH_ADD_KEYPTR(hh, a->refusals, r->pod, strlen(r->pod), r);
	}
	r->seen = true;
	if (!same_text(r->why, why))
		log_warn("not-adopted pod=%s reason=\"%s\"", r->pod, why);
	free(r->uid);
	free(r->why);
	r->uid = mem_strdup(pod->pod_uid);
	r->why = mem_strdup(why);
}

/* An attachment of the pod, as far as the source knows it. */
static struct attachment *draft_of(const struct adopt *a, const struct object *pod)
{
	struct attachment *draft = mem_zalloc(sizeof(*draft));
	const char *uid = pod->pod.static_id ? pod->pod.static_id : pod->uid;

	draft->network = mem_strdup(ADOPTED_NETWORK);
	draft->container_id = uid ? mem_strdup(uid) : mem_printf("%s_%s", pod->ns, pod->name);
	draft->ifname = mem_strdup(ADOPTED_IFNAME);
	draft->pod_namespace = mem_strdup(pod->ns);
	draft->pod_name = mem_strdup(pod->name);
	draft->pod_uid = mem_strdup(uid);
	for (size_t i = 0; i < pod->pod.addrs.n && i < ATTACHMENT_ADDRS_MAX; i++)
		draft->addrs[draft->n_addrs++] = pod->pod.addrs.v[i];
	draft->adoption = a->enforce ? ADOPTION_ENFORCED : ADOPTION_HELD;
	draft->mode = a->enforce ? MODE_STRICT : MODE_PREVIEW;
	draft->created = clock_realtime_ns();
	return draft;
}

struct drafts {
	const struct adopt *a;
	bool again;
	VEC(struct attachment *) v;
};

static void add_draft(const struct object *pod, void *arg)
{
	struct drafts *d = arg;
	struct adopt_refusal *r = find_refusal(d->a, pod->ns, pod->name, pod->uid);

	if (r)
		r->seen = true;
	if (!r || d->again)
		VEC_PUSH(&d->v, draft_of(d->a, pod));
}

/* Who adopted the address before, of a pod that is not there any more. */
struct owners {
	struct attachment *list[ATTACHMENT_ADDRS_MAX + 2];
	size_t n;
};

static void owners_done(struct owners *o)
{
	for (size_t i = 0; i < o->n; i++)
		attachment_free(o->list[i]);
}

/* Takes key over (NULL: nobody). An adopted pod's object may have gone before its link did, and somebody else come to the port. */
static int check_owner(const struct adopt *a, char *key, const char *what, struct owners *o, struct err *err)
{
	CLEAN_FREE char *own = key;
	struct local_pod *pod;
	struct attachment *owner;

	if (!own)
		return 0;
	for (size_t i = 0; i < o->n; i++) {
		CLEAN_FREE char *known = attachment_key(o->list[i]);

		if (!strcmp(known, own))
			return 0;
	}
	HASH_FIND_STR(cluster_local_pods(a->cluster), own, pod);
	if (!pod || pod->attachment->adoption == ADOPTION_NONE || pod->confirmation == POD_CONFIRMED)
		return err_set(err, EEXIST, "%s is attachment %s's by the pod store", what, TEXT(own));
	if (podstore_get(own, &owner, err) < 0)
		return -err->code;
	o->list[o->n++] = owner;
	return 0;
}

/* The kernel may know an owner whom the store has lost. */
static int check_verdict(const struct addr *addr, struct err *err)
{
	char chain[CHAIN_NAME_MAX], buf[ADDR_TEXT_MAX];
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	if (code < 0)
		return code;
	code = txn_read_verdict(&nl, &map_to_pod[FAMILY_INDEX(addr)], key_of_addr(addr), chain);
	nl_close(&nl);
	if (code == -ENOENT)
		return 0;
	if (code < 0)
		return err_errno(err, -code, "what the kernel has of %s", addr_text(addr, buf));
	return err_set(err, EEXIST, "moat attached it once, and the pod store has lost it: it stays closed as it is; delete the pod, it comes back");
}

/* The draft's own key is the UID, or what a tenant wrote for a static pod's: it may be another pod's already; or DEL has withdrawn it. */
static int check_own_key(const struct attachment *draft, struct err *err)
{
	CLEAN_FREE char *key = attachment_key(draft);
	struct attachment *known = NULL;
	int code = podstore_get(key, &known, err);

	if (code == -ENOENT)
		return 0;
	if (code == 0 && known->closing)
		code = err_set(err, EEXIST, "its DEL came: its link has not gone yet");
	else if (code == 0 && (!same_text(known->pod_namespace, draft->pod_namespace) || !same_text(known->pod_name, draft->pod_name)))
		code = err_set(err, EEXIST, "pod %s/%s was adopted with its UID %s", TEXT(known->pod_namespace), TEXT(known->pod_name),
			       TEXT(draft->pod_uid));
	attachment_free(known);
	return code;
}

static int check_owners(const struct adopt *a, const struct attachment *draft, struct owners *o, struct err *err)
{
	char buf[ADDR_TEXT_MAX];
	int code = check_own_key(draft, err);

	for (size_t i = 0; code == 0 && i < draft->n_addrs; i++) {
		char *owner = podstore_owner_of_addr(&draft->addrs[i]);
		bool owned = owner != NULL;

		code = check_owner(a, owner, addr_text(&draft->addrs[i], buf), o, err);
		if (code == 0 && !owned)
			code = check_verdict(&draft->addrs[i], err);
	}
	return code ? code : check_owner(a, podstore_owner_of_port(draft->port), draft->port, o, err);
}

/* The kernel's part. The chains observe until the swap that follows gives them the pod's policy. */
static int put(struct nl *nl, const struct attachment *draft, const struct bridge *bridge, const struct owners *o, struct err *err)
{
	struct attachment observed = *draft;
	struct link link;
	int code = bridge ? bridge_hold(bridge, draft, err) : 0;

	observed.mode = MODE_PREVIEW;
	if (code == 0)
		code = pod_close_over(nl, &observed, (const struct attachment *const *)o->list, o->n, err);
	if (code == 0)
		code = link_by_index(draft->port_index, &link, err);
	if (code == 0 && (strcmp(link.name, draft->port) != 0 || link.master_index != draft->bridge_index))
		code = err_set(err, EAGAIN, "its port %s was renamed or moved meanwhile", TEXT(draft->port));
	return code;
}

/* What failed half-way goes as a DEL goes. */
static void undo(const struct attachment *draft)
{
	CLEAN_FREE char *reclosed = NULL;

	pod_withdraw(draft, NULL);
	bridge_let_go(draft);
	release_attachment(draft, &reclosed, NULL);
}

static int commit(struct nl *nl, const struct attachment *draft, const struct bridge *bridge, const struct owners *o, struct err *err)
{
	int code = podstore_put(draft, err);

	if (code < 0)
		return code;
	code = put(nl, draft, bridge, o, err);
	if (code < 0) {
		undo(draft);
		return code;
	}
	for (size_t i = 0; i < o->n; i++)
		podstore_remove(o->list[i], NULL);
	return 0;
}

static int adopt(struct adopt *a, const struct holders *h, struct attachment *draft, struct err *err)
{
	CLEAN_CLOSE int lock = -1;
	struct owners o = {.n = 0};
	struct bridge bridge;
	struct link port;
	bool bridged;
	int code = holders_find(h, draft->addrs, draft->n_addrs, &port, err);

	if (code < 0)
		return code;
	memcpy(draft->port, port.name, sizeof(draft->port));
	draft->port_index = port.index;
	draft->peer_index = port.peer_index;
	bridged = port.master_index != 0;
	if (bridged) {
		code = bridge_look(port.master_index, &bridge, err);
		if (code == 0)
			code = bridge_check(&bridge, draft, err);
		if (code < 0)
			return code;
		memcpy(draft->mac, port.peer_mac, sizeof(draft->mac));
		bridge_join(&bridge, draft);
	}
	lock = podstore_lock(LOCK_WAIT_MS, err); /* what is adopted was seen before: an ADD meanwhile must not be undone */
	code = lock < 0 ? lock : check_owners(a, draft, &o, err);
	if (code == 0)
		code = commit(a->nl, draft, bridged ? &bridge : NULL, &o, err);
	owners_done(&o);
	return code;
}

static bool adopt_one(struct adopt *a, const struct holders *h, struct attachment *draft)
{
	CLEAN_FREE char *key = attachment_key(draft);
	struct adopt_refusal *r;
	struct err err;

	if (adopt(a, h, draft, &err) < 0) {
		refuse(a, draft, err.text);
		return false;
	}
	r = find_refusal(a, draft->pod_namespace, draft->pod_name, draft->pod_uid);
	if (r)
		refusal_free(a, r);
	attachments_read(a->attachments, key, true); /* whoever had the port before is told by inotify */
	cluster_spare(a->cluster, key);
	a->adopted++;
	log_info("adopted pod=%s/%s port=%s%s%s %s", draft->pod_namespace, draft->pod_name, TEXT(draft->port), draft->bridge[0] ? " bridge=" : "",
		 TEXT(draft->bridge), a->enforce ? "enforced=yes" : "enforced=no until=\"moatctl enforce, or it is made anew\"");
	return true;
}

static void forget_unseen(struct adopt *a)
{
	struct adopt_refusal *r, *next;

	HASH_ITER(hh, a->refusals, r, next)
		if (!r->seen)
			refusal_free(a, r);
}

bool adopt_escapes(struct adopt *a, bool again)
{
	struct drafts d = {.a = a, .again = again};
	struct holders *h = NULL;
	struct adopt_refusal *r;
	struct err err;
	bool changed = false;

	for (r = a->refusals; r; r = r->hh.next)
		r->seen = false;
	cluster_each_escape(a->cluster, add_draft, &d);
	forget_unseen(a);
	if (d.v.n && holders_new(&h, &err) < 0) {
		log_warn("not-adopted pods=%zu reason=\"%s\"", d.v.n, err.text);
		d.again = false;
	}
	for (size_t i = 0; i < d.v.n; i++) {
		if (h)
			changed |= adopt_one(a, h, d.v.v[i]);
		attachment_free(d.v.v[i]);
	}
	VEC_DONE(&d.v);
	holders_free(h);
	return changed;
}

struct gone {
	VEC(struct attachment *) v;
};

/* As DEL and what comes after it: the same addresses are somebody else's soon. */
static void release(const struct attachment *gone)
{
	CLEAN_CLOSE int lock = podstore_lock(LOCK_WAIT_MS, NULL);
	CLEAN_FREE char *key = attachment_key(gone), *reclosed = NULL;
	struct addr addrs[ATTACHMENT_ADDRS_MAX];
	struct err err = {.code = 0};
	size_t n = 0;
	int code = pod_withdraw(gone, &err);

	for (size_t i = 0; i < gone->n_addrs; i++) {
		CLEAN_FREE char *owner = podstore_owner_of_addr(&gone->addrs[i]);

		if (!owner || !strcmp(owner, key))
			addrs[n++] = gone->addrs[i];
	}
	bridge_let_go(gone);
	if (code == 0 && n)
		code = conntrack_forget(addrs, n, &err);
	if (code == 0)
		code = release_attachment(gone, &reclosed, &err);
	if (code < 0)
		log_warn("attachment-not-released attachment=%s error=\"%s\"", TEXT(key), err.text);
	else
		log_info("adopted-gone pod=%s/%s port=%s", TEXT(gone->pod_namespace), TEXT(gone->pod_name), TEXT(gone->port));
}

bool adopt_release_gone(struct adopt *a)
{
	struct gone gone = {.v = {0}};
	bool any;

	for (struct local_pod *pod = cluster_local_pods(a->cluster); pod; pod = pod->hh.next)
		if (pod->attachment->adoption != ADOPTION_NONE && release_is_due(pod->attachment))
			VEC_PUSH(&gone.v, attachment_copy(pod->attachment));
	for (size_t i = 0; i < gone.v.n; i++) {
		release(gone.v.v[i]);
		attachment_free(gone.v.v[i]);
	}
	any = gone.v.n > 0;
	VEC_DONE(&gone.v);
	return any && attachments_read_all(a->attachments);
}

static int enforce(struct adopt *a, const struct attachment *adopted, struct err *err)
{
	CLEAN_CLOSE int lock = podstore_lock(LOCK_WAIT_MS, err); /* a DEL meanwhile must not be undone */
	CLEAN_FREE char *key = attachment_key(adopted);
	struct attachment *now = NULL;
	int code = lock < 0 ? lock : podstore_get(key, &now, err);

	if (code == -ENOENT)
		return 0;
	if (code == 0 && !now->closing && now->adoption == ADOPTION_HELD) {
		now->adoption = ADOPTION_ENFORCED;
		now->mode = MODE_STRICT;
		code = podstore_rewrite(now, err);
	}
	attachment_free(now);
	if (code < 0)
		return err_wrap(err, "attachment %s", TEXT(key));
	attachments_read(a->attachments, key, true);
	cluster_judge(a->cluster, key);
	log_info("adopted-enforced attachment=%s", TEXT(key));
	return 0;
}

int adopt_enforce(struct adopt *a, const char *ns, const char *name, struct err *err)
{
	struct gone wanted = {.v = {0}};
	int n = 0, code = 0;

	for (struct local_pod *pod = cluster_local_pods(a->cluster); pod; pod = pod->hh.next) {
		const struct attachment *at = pod->attachment;

		if (at->adoption != ADOPTION_NONE && (!name || (same_text(at->pod_namespace, ns) && same_text(at->pod_name, name))))
			VEC_PUSH(&wanted.v, attachment_copy(at));
	}
	for (size_t i = 0; i < wanted.v.n; i++) {
		if (code == 0)
			code = enforce(a, wanted.v.v[i], err);
		n += code == 0;
		attachment_free(wanted.v.v[i]);
	}
	VEC_DONE(&wanted.v);
	return code < 0 ? code : n;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/guard.h"

#include <string.h>

#include "moat/conntrack.h"
#include "moat/grace.h"
#include "moat/link.h"
#include "moat/pod.h"
#include "moat/podstore.h"
#include "moat/release.h"
#include "moat/text.h"
#include "plugin/forget.h"

/* Who owned the addresses, the port's name, the MAC or the key before: at most one each. */
struct former {
	struct attachment *list[ATTACHMENT_ADDRS_MAX + 3];
	size_t n;
	bool has_own; /* list[0] is an earlier attachment of the same key */
};

static bool same_key(const struct attachment *a, const char *key)
{
	CLEAN_FREE char *own = attachment_key(a);

	return !strcmp(own, key);
}

/* Takes over key (may be NULL: nobody). An unreadable state is replaced by what the index knows. */
static void add_former(struct former *f, char *key)
{
	struct attachment *a = NULL;
	struct err err;
	int r = key ? 0 : -ENOENT;

	for (size_t i = 0; r == 0 && i < f->n; i++)
		if (same_key(f->list[i], key))
			r = -EEXIST;
	if (r == 0)
		r = podstore_get(key, &a, &err);
	if (r == -EBADMSG)
		r = podstore_recover(key, &a, &err);
	if (r == 0)
		f->list[f->n++] = a;
	free(key);
}

static void find_former(const struct attachment *a, struct former *f)
{
	add_former(f, attachment_key(a));
	f->has_own = f->n > 0;
	for (size_t i = 0; i < a->n_addrs; i++)
		add_former(f, podstore_owner_of_addr(&a->addrs[i]));
	add_former(f, podstore_owner_of_port(a->port));
	if (a->bridge[0])
		add_former(f, podstore_owner_of_mac(a->mac));
}

static void former_done(struct former *f)
{
	for (size_t i = 0; i < f->n; i++)
		attachment_free(f->list[i]);
	memset(f, 0, sizeof(*f));
}

/*
 * A former owner loses in its state file what it lost in the kernel, else the daemon would go on counting the address as its. Failing here
 * opens nothing: every reader asks the index who owns an address.
 */
static void rewrite_former(const struct attachment *a, struct attachment *former)
{
	bool all = !strcmp(a->port, former->port);
	size_t n = 0;
	struct err err;

	for (size_t i = 0; i < former->n_addrs; i++)
		if (!all && !attachment_has_addr(a, &former->addrs[i]))
			former->addrs[n++] = former->addrs[i];
	if (n == former->n_addrs)
		return;
	former->n_addrs = n;
	if (podstore_rewrite(former, &err) < 0)
		cni_warn("a former owner of an address keeps it in its state file: %s", err.text);
}

/* Gives back what podstore_put claimed, to those that still have it in the kernel. */
static void reclaim_former(const struct former *f)
{
	for (size_t i = f->has_own ? 1 : 0; i < f->n; i++)
		if (!f->list[i]->closing)
			podstore_put(f->list[i], NULL);
}

/*
 * closed: the batch was committed. Then, and after an earlier attachment of the key, the port may be in `ports`: DEL is to find the
 * attachment and release it, so it is left as one that closes.
 */
static void undo_kept(const struct attachment *a, const struct former *f, bool closed)
{
	struct err err;

	if (pod_withdraw(a, &err) < 0 && closed)
		cni_warn("undoing ADD: %s", err.text);
	/* no DEL would name the earlier one's chains: its state file is replaced */
	if (f->has_own && pod_withdraw(f->list[0], &err) < 0)
		cni_warn("undoing ADD: %s", err.text);
	if (closed || f->has_own) {
		if (podstore_mark_closing(a, &err) < 0)
			cni_warn("undoing ADD: %s", err.text);
		return;
	}
	if (podstore_remove(a, &err) < 0)
		cni_warn("undoing ADD: %s", err.text);
	reclaim_former(f);
	if (a->bridge[0] && bridge_give_back(a->bridge, &err) < 0)
		cni_warn("undoing ADD: %s", err.text);
}

static void undo(const struct attachment *a, const struct former *f, bool closed)
{
	undo_kept(a, f, closed);
	bridge_let_go(a); /* who has the addresses now is known again */
}

/*
 * An earlier attachment of the same key had other addresses, or another port: a DEL that failed, and a new veth. Its state file has been
 * replaced, so what only it had goes now. If its old port should still be there, it stays closed.
 */
static void replace_own(const struct attachment *a, const struct attachment *old)
{
	CLEAN_FREE char *owner = NULL;
	struct err err;

	if (!strcmp(old->port, a->port))
		return; /* the batch has taken all of it */
	if (pod_withdraw(old, &err) < 0)
		cni_warn("an earlier attachment of the same name is still in the ruleset: %s", err.text);
	owner = podstore_owner_of_port(old->port);
	if (release_is_due(old) && (owner ? pod_release_link : pod_release_port)(old, &err) < 0)
		cni_warn("port %s of an earlier attachment is still in the ruleset: %s", TEXT(old->port), err.text);
}

static int check_port(const struct attachment *a, struct cni_error *e)
{
	struct link link;
	struct err err;

	if (link_by_index(a->port_index, &link, &err) < 0)
		return cni_fail_cause(e, CNI_PORT_CHANGED, &err, "port %s went during ADD", TEXT(a->port));
	if (strcmp(link.name, a->port) != 0)
		return cni_fail(e, CNI_PORT_CHANGED, "port %s was renamed to %s during ADD: its rules would guard nothing; try again",
				TEXT(a->port), TEXT(link.name));
	if (link.master_index != a->bridge_index)
		return cni_fail(e, CNI_PORT_CHANGED, "port %s was moved from one bridge to another, or out of one, during ADD; try again",
				TEXT(a->port));
	return 0;
}

/* Its DEL did not come: until our commit its policy was in force. */
static bool has_open_former(const struct former *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (!f->list[i]->closing)
			return true;
	return false;
}

static int close_and_check(const struct attachment *a, const struct bridge *bridge, const struct former *f, bool *ret_closed,
			   struct cni_error *e)
{
	struct err err;
	int code;

	*ret_closed = false;
	if (bridge && bridge_hold(bridge, a, &err) < 0)
		return cni_fail_cause(e, CNI_BRIDGE, &err, "bridge %s cannot be made ready for guarded pods", TEXT(a->bridge));
	if (pod_close(a, (const struct attachment *const *)f->list, f->n, &err) < 0)
		return cni_fail_cause(e, CNI_RULESET, &err, "the kernel did not take the rules that close the pod");
	*ret_closed = true;
	code = check_port(a, e);
	if (code)
		return code;
	if (bridge_forget_former(a, &err) < 0)
		return cni_fail_cause(e, CNI_BRIDGE, &err, "bridge %s goes on sending to former owners of the pod's addresses", TEXT(a->bridge));
	if (has_open_former(f))
		grace_wait(); /* what the former's policy let pass, and is not in the table yet */
	if (conntrack_forget(a->addrs, a->n_addrs, &err) < 0)
		return cni_fail_cause(e, CNI_CONNTRACK, &err, "connections of former owners of the pod's addresses cannot be deleted");
	return 0;
}

int guard_attachment(struct attachment *a, const struct bridge *bridge, struct cni_error *e)
{
	CLEAN_CLOSE int lock = podstore_lock(FORGET_LOCK_MS, NULL);
	struct former f = {.n = 0};
	struct err err;
	bool closed;
	int code;

	if (bridge)
		bridge_join(bridge, a);
	find_former(a, &f);
	/* chains are named by it */
	if (f.has_own && a->created <= f.list[0]->created)
		a->created = f.list[0]->created + 1;
	if (podstore_put(a, &err) < 0) {
		former_done(&f);
		return cni_fail_cause(e, CNI_IO_FAILURE, &err, "cannot write the pod's state; is the file system full or read-only?");
	}
	code = close_and_check(a, bridge, &f, &closed, e);
	if (code)
		undo(a, &f, closed);
	else if (f.has_own)
		replace_own(a, f.list[0]);
	/* they lost it with the commit, whatever came after */
	for (size_t i = f.has_own ? 1 : 0; closed && i < f.n; i++)
		rewrite_former(a, f.list[i]);
	if (lock >= 0)
		forget_closing();
	former_done(&f);
	return code;
}

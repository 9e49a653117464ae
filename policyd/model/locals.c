/* SPDX-License-Identifier: Apache-2.0 */
/* The attachments of this node in the model, and the settings that concern only them. */
#include <string.h>

#include "policyd/model/model.h"

void local_mark(struct cluster *c, struct local *l)
{
	if (l->dirty || !l->view)
		return;
	l->dirty = true;
	VEC_PUSH(&c->dirty, l);
}

void local_mark_all(struct cluster *c)
{
	for (struct local *l = c->locals; l; l = l->hh.next)
		local_mark(c, l);
}

/* A pod less: what was too much may be no more. */
static void try_again(struct cluster *c, struct space *s)
{
	for (size_t i = 0; s->excess && i < s->locals.n; i++)
		local_mark(c, s->locals.v[i]);
}

static void local_unlist(struct local_list *list, const struct local *l)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i] == l) {
			list->v[i] = list->v[--list->n];
			return;
		}
	}
}

static void view_free(struct cluster *c, struct local_pod *view)
{
	if (!view)
		return;
	HASH_DEL(c->views, view);
	for (int d = 0; d < DIRECTION_COUNT; d++) {
		profile_put(c, view->profile[d]);
		free(view->excess[d]);
	}
	free(view);
}

/* An attachment that names no pod is a subject of its own: it holds its addresses and is no peer. */
static struct subject *subject_of(struct cluster *c, const struct local *l)
{
	const struct attachment *a = l->attachment;

	if (a->pod_namespace && a->pod_name)
		return subject_get(c, space_get(c, a->pod_namespace), a->pod_name);
	return subject_get(c, space_get(c, ""), l->key);
}

/* The subject stays until it is settled, and its space with it. */
static void local_leave(struct cluster *c, struct local *l)
{
	local_unlist(&l->subject->locals, l);
	local_unlist(&l->subject->space->locals, l);
	if (!l->subject->space->locals.n)
		space_drop_standing(c, l->subject->space);
}

void cluster_attach(struct cluster *c, const struct attachment *a)
{
	char *key = attachment_key(a);
	struct attachment *former = NULL;
	struct subject *left = NULL;
	struct local *l;

	HASH_FIND_STR(c->locals, key, l);
	if (l) {
		free(key);
		left = l->subject;
		former = l->attachment;
		local_leave(c, l);
	} else {
		l = mem_zalloc(sizeof(*l));
		l->key = key;
		HASH_ADD_KEYPTR(hh, c->locals, l->key, strlen(l->key), l);
	}
	l->attachment = attachment_copy(a);
	l->subject = subject_of(c, l);
	l->fresh = true;
	VEC_PUSH(&l->subject->locals, l);
	VEC_PUSH(&l->subject->space->locals, l);
	if (a->closing) {
		try_again(c, l->subject->space);
		view_free(c, TAKE_PTR(l->view));
	} else {
		if (!l->view) {
			l->view = mem_zalloc(sizeof(*l->view));
			l->view->key = l->key;
			HASH_ADD_KEYPTR(hh, c->views, l->view->key, strlen(l->view->key), l->view);
		}
		l->view->attachment = l->attachment;
	}
	if (left && left != l->subject)
		subject_update(c, left, left->object);
	subject_update(c, l->subject, l->subject->object);
	if (left && left != l->subject)
		subject_settle(c, left);
	attachment_free(former);
}

static void detach(struct cluster *c, const char *key, bool ended)
{
	struct local *l;
	struct subject *s;
	bool by_name;

	HASH_FIND_STR(c->locals, key, l);
	if (!l)
		return;
	s = l->subject;
	if (subject_is(s, l->attachment, &by_name))
		s->ended = ended;
	local_leave(c, l);
	try_again(c, s->space);
	local_unlist(&c->dirty, l);
	HASH_DEL(c->locals, l);
	view_free(c, l->view);
	attachment_free(l->attachment);
	free(l->key);
	free(l);
	subject_update(c, s, s->object);
	subject_settle(c, s);
}

void cluster_detach(struct cluster *c, const char *key)
{
	detach(c, key, true);
}

void cluster_lose(struct cluster *c, const char *key)
{
	detach(c, key, false);
}

void cluster_spare(struct cluster *c, const char *key)
{
	struct local_pod *pod;

	HASH_FIND_STR(c->views, key, pod);
	if (pod)
		pod->spared = true;
}

void cluster_judge(struct cluster *c, const char *key)
{
	struct local *l;

	HASH_FIND_STR(c->locals, key, l);
	if (!l || !l->view)
		return;
	l->view->lost[INGRESS] = l->view->lost[EGRESS] = true;
	l->view->spared = false;
	local_mark(c, l);
}

void cluster_set_network_mode(struct cluster *c, const char *network, enum mode mode, enum deny deny)
{
	struct network *n;

	HASH_FIND_STR(c->networks, network, n);
	if (!n) {
		n = mem_zalloc(sizeof(*n));
		n->name = mem_strdup(network);
		HASH_ADD_KEYPTR(hh, c->networks, n->name, strlen(n->name), n);
	} else if (n->mode == mode && n->deny == deny && c->followed == n) {
		return;
	}
	c->followed = n;
	n->mode = mode;
	n->deny = deny;
	local_mark_all(c);
}

void cluster_set_tunnel_ports(struct cluster *c, const struct tunnel_ports *ports)
{
	c->tunnel_ports = *ports;
	c->tunnels_changed = true;
}

const struct tunnel_ports *cluster_tunnel_ports(const struct cluster *c)
{
	const struct attachment *newest = NULL;

	if (c->tunnel_ports.n)
		return &c->tunnel_ports;
	for (const struct local *l = c->locals; l; l = l->hh.next)
		if (l->attachment->tunnel_ports.n && (!newest || l->attachment->created > newest->created))
			newest = l->attachment;
	return newest ? &newest->tunnel_ports : &c->tunnel_ports;
}

bool cluster_take_tunnels_changed(struct cluster *c)
{
	bool changed = c->tunnels_changed;

	c->tunnels_changed = false;
	return changed;
}

void cluster_allow_loosening(struct cluster *c, enum mode mode)
{
	c->loosening[mode] = true;
	local_mark_all(c);
}

void cluster_set_incomplete(struct cluster *c, bool incomplete)
{
	if (c->incomplete == incomplete)
		return;
	c->incomplete = incomplete;
	local_mark_all(c);
}

struct local_pod *cluster_local_pods(struct cluster *c)
{
	return c->views;
}

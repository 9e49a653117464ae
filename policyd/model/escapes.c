/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Escapes: pods that run on this node by what the source says of them, and have no attachment here. They were started before
 * moat was, or by a conflist without it, or the pod store has lost them: what moat did not attach it does not guard.
 *
 * Not every pod without an attachment is one. hostNetwork pods are their node. A pod that has not started has no sandbox yet:
 * neither an address nor phase Running. One that finished has none any more, and a pod whose attachment came to its end by
 * DEL has lost its network; its object follows. Only if the store lost the attachment while its link stands, the pod may run.
 */
#include <string.h>

#include "policyd/model/model.h"

static bool is_escape(const struct cluster *c, const struct subject *s)
{
	const struct pod *pod = s->object ? &s->object->pod : NULL;

	return c->node && pod && pod->node && !strcmp(pod->node, c->node) && !pod->host_network && !pod->finished &&
	       (pod->running || pod->addrs.n) && !s->ended && !subject_has_attachment(s);
}

void escape_settle(struct cluster *c, struct subject *s)
{
	bool escaped = is_escape(c, s);

	if (escaped == s->escaped)
		return;
	s->escaped = escaped;
	s->told = false;
	if (escaped) {
		VEC_PUSH(&c->escapes, s);
		return;
	}
	for (size_t i = 0; i < c->escapes.n; i++) {
		if (c->escapes.v[i] == s) {
			c->escapes.v[i] = c->escapes.v[--c->escapes.n];
			return;
		}
	}
}

void cluster_set_node(struct cluster *c, const char *name)
{
	free(c->node);
	c->node = mem_strdup(name);
}

void cluster_each_escape(const struct cluster *c, cluster_escape_fn fn, void *arg)
{
	for (size_t i = 0; i < c->escapes.n; i++)
		fn(c->escapes.v[i]->object, arg);
}

void cluster_take_new_escapes(struct cluster *c, cluster_escape_fn fn, void *arg)
{
	for (size_t i = 0; i < c->escapes.n; i++) {
		if (!c->escapes.v[i]->told)
			fn(c->escapes.v[i]->object, arg);
		c->escapes.v[i]->told = true;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms: peers as policies write them, interned by canonical text, and the index that finds those that can select a pod.
 */
#include <string.h>

#include "policyd/model/definition.h"
#include "policyd/model/model.h"

static int compare_blocks(const void *a, const void *b)
{
	const struct block *x = a, *y = b;
	int order = addr_cmp(&x->base, &y->base);

	return order ? order : (int)x->prefix - (int)y->prefix;
}

static void add_block(struct definition *d, const char *before, const struct block *b)
{
	char text[BLOCK_TEXT_MAX];

	definition_add(d, before);
	definition_add(d, addr_block_text(b, text));
}

/* Excepts sorted, doubles dropped. */
static void copy_excepts(struct term *t, const struct policy_peer *peer)
{
	for (size_t i = 0; i < peer->excepts.n; i++)
		VEC_PUSH(&t->excepts, peer->excepts.v[i]);
	if (t->excepts.n > 1)
		qsort(t->excepts.v, t->excepts.n, sizeof(t->excepts.v[0]), compare_blocks);
	for (size_t i = 1; i < t->excepts.n;) {
		if (compare_blocks(&t->excepts.v[i - 1], &t->excepts.v[i])) {
			i++;
			continue;
		}
		t->excepts.n--;
		memmove(&t->excepts.v[i], &t->excepts.v[i + 1], (t->excepts.n - i) * sizeof(t->excepts.v[0]));
	}
}

/* Names, keys and values were validated by the source: none holds a space, a bracket or a newline. */
static char *pods_text(const char *ns, const struct policy_peer *peer)
{
	CLEAN_FREE char *pods = selector_canonical(&peer->pods);

	if (peer->any_namespace_selector) {
		CLEAN_FREE char *namespaces = selector_canonical(&peer->namespaces);

		return mem_printf("pods [%s] of namespaces [%s]", pods, namespaces);
	}
	return mem_printf("pods [%s] of namespace %s", pods, ns);
}

static char *block_text(const struct term *t)
{
	struct definition d = {0};

	add_block(&d, "block ", &t->block);
	for (size_t i = 0; i < t->excepts.n; i++)
		add_block(&d, i ? "," : " except ", &t->excepts.v[i]);
	return d.v;
}

static void term_free(struct term *t)
{
	free(t->text);
	selector_done(&t->namespaces);
	selector_done(&t->pods);
	VEC_DONE(&t->excepts);
	VEC_DONE(&t->users);
	free(t);
}

/* The interned term of t's text: t itself if it is the first. */
static struct term *intern(struct cluster *c, struct term *t)
{
	struct term *found;

	HASH_FIND_STR(c->terms, t->text, found);
	if (found) {
		term_free(t);
		t = found;
	} else {
		HASH_ADD_KEYPTR(hh, c->terms, t->text, strlen(t->text), t);
		if (t->fixed)
			t->fixed->term_refs++;
	}
	t->refs++;
	return t;
}

struct term *term_get(struct cluster *c, const char *ns, const struct policy_peer *peer)
{
	struct term *t;

	if (peer->kind == PEER_NOTHING)
		return NULL;
	t = mem_zalloc(sizeof(*t));
	if (peer->kind == PEER_NODES) {
		t->kind = TERM_NODES;
		t->text = mem_strdup("nodes");
		return intern(c, t);
	}
	if (peer->kind == PEER_BLOCK) {
		t->kind = TERM_BLOCK;
		t->block = peer->block;
		copy_excepts(t, peer);
		t->text = block_text(t);
		return intern(c, t);
	}
	t->kind = TERM_PODS;
	t->text = pods_text(ns, peer);
	selector_copy(&t->pods, &peer->pods);
	if (peer->any_namespace_selector)
		selector_copy(&t->namespaces, &peer->namespaces);
	else
		t->fixed = space_get(c, ns);
	return intern(c, t);
}

struct term *term_get_any(struct cluster *c)
{
	struct term *t = mem_zalloc(sizeof(*t));

	t->kind = TERM_ANY;
	t->text = mem_strdup("anyone");
	return intern(c, t);
}

void term_ref(struct term *t)
{
	t->refs++;
}

void term_put(struct cluster *c, struct term *t)
{
	struct space *fixed = t->fixed;

	if (--t->refs)
		return;
	HASH_DEL(c->terms, t);
	term_free(t);
	if (fixed) {
		fixed->term_refs--;
		space_settle(c, fixed);
	}
}

static struct term_list *index_of(struct cluster *c, struct term *t)
{
	if (t->kind == TERM_NODES)
		return &c->of_nodes;
	if (t->kind != TERM_PODS)
		return &c->by_address;
	return t->fixed ? &t->fixed->terms : &c->selecting;
}

/* Blocks are ranges of a group of addresses, whoever has them; only named ports ask which pod is behind one. */
static bool has_members(const struct part *p)
{
	return p->term->kind == TERM_PODS || p->term->kind == TERM_NODES || p->group->kind == GROUP_ENDPOINTS;
}

void term_use(struct cluster *c, struct part *p)
{
	struct term *t = p->term;

	if (!has_members(p))
		return;
	if (!t->users.n) {
		struct term_list *list = index_of(c, t);

		t->index = list->n;
		VEC_PUSH(list, t);
	}
	VEC_PUSH(&t->users, p);
}

void term_unuse(struct cluster *c, struct part *p)
{
	struct term *t = p->term;
	struct term_list *list = index_of(c, t);

	for (size_t i = 0; i < t->users.n; i++) {
		if (t->users.v[i] != p)
			continue;
		t->users.v[i] = t->users.v[--t->users.n];
		if (!t->users.n) {
			list->v[t->index] = list->v[--list->n];
			list->v[t->index]->index = t->index;
		}
		return;
	}
}

/* A namespace that is not known has no labels to ask for: only terms fixed to it can mean its pods. */
bool term_selects_space(const struct term *t, const struct space *s, const struct object *space_object)
{
	if (t->kind != TERM_PODS)
		return false;
	if (t->fixed)
		return t->fixed == s;
	return space_object && selector_matches(&t->namespaces, &space_object->namespace.labels);
}

bool term_has_addr(const struct cluster *c, const struct term *t, const struct addr *addr)
{
	if (t->kind == TERM_ANY)
		return true;
	if (t->kind == TERM_NODES)
		return cluster_is_node(c, addr);
	if (t->kind != TERM_BLOCK || !addr_in_block(addr, &t->block))
		return false;
	for (size_t i = 0; i < t->excepts.n; i++)
		if (addr_in_block(addr, &t->excepts.v[i]))
			return false;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of revocation
 *
 * Established packets pass before any policy is asked, so a connection that a changed policy denies must lose its conntrack
 * entry. Deleting it alone is not enough for TCP: the next packet of either side is evaluated as new (conntrack picks up
 * mid-stream), and the side that may open connections itself would revive it. So the flow goes into the kernel's `revoked`
 * sets first, as each direction's source . port . destination, and a packet without SYN that is found there is dropped. A
 * plain rule "no SYN, no entry: drop" would kill allowed connections after a conntrack flush (tried).
 *
 * A packet that was evaluated before the swap may confirm its entry after the dump, so one look is not enough: a second
 * follows after 30 ms, twice the longest grace period seen (8–16 ms), a third after 1 s for what a loaded machine held up.
 * (membarrier() would make sure before the first dump, but blocks the daemon for that grace period at each change.)
 */
#include "policyd/revoke.h"

#include <netinet/in.h>
#include <string.h>

#include "moat/conntrack.h"
#include "moat/link.h"
#include "moat/ruleset.h"

struct local_addr {
	struct addr addr;
	const struct local_pod *pod;
	UT_hash_handle hh;
};

struct sweep {
	struct local_addr *locals;
	VEC(struct conntrack_flow) denied;
};

int revoke_init(struct revoke *r, struct err *err)
{
	return conntrack_open(&r->conntrack, err);
}

void revoke_done(struct revoke *r)
{
	conntrack_close(&r->conntrack);
	VEC_DONE(&r->older);
	VEC_DONE(&r->fresh);
	VEC_DONE(&r->looked);
}

#define DEDUPLICATE_MAX 256 /* beyond that a double costs less than looking for it */

static void note(struct addr_vec *v, const struct addr *addr)
{
	for (size_t i = 0; i < v->n && v->n < DEDUPLICATE_MAX; i++)
		if (addr_equal(&v->v[i], addr))
			return;
	VEC_PUSH(v, *addr);
}

void revoke_note(struct revoke *r, const struct addr *addr)
{
	note(&r->fresh, addr);
}

static void index_locals(struct sweep *s, struct cluster *c)
{
	for (struct local_pod *pod = cluster_local_pods(c); pod; pod = pod->hh.next) {
		for (size_t i = 0; i < pod->attachment->n_addrs; i++) {
			struct local_addr *la;

			HASH_FIND(hh, s->locals, &pod->attachment->addrs[i], sizeof(struct addr), la);
			if (la)
				continue;
			la = mem_zalloc(sizeof(*la));
			la->addr = pod->attachment->addrs[i];
			la->pod = pod;
			HASH_ADD(hh, s->locals, addr, sizeof(struct addr), la);
		}
	}
}

static const struct local_pod *local_at(const struct sweep *s, const struct addr *addr)
{
	struct local_addr *la;

	HASH_FIND(hh, s->locals, addr, sizeof(*addr), la);
	return la ? la->pod : NULL;
}

/* What the chain's end only observes goes on, an open connection like a new one. */
static bool lets_through(const struct profile *p, const struct addr *peer, uint8_t protocol, uint16_t port)
{
	return p->end == END_OBSERVE || profile_allows(p, peer, protocol, port);
}

/* The two questions of the ruleset, asked for a tracked flow: original source to the real destination behind NAT. */
static bool is_denied(const struct sweep *s, const struct conntrack_flow *flow)
{
	const struct addr *from = &flow->source, *to = &flow->reply_source;
	const struct local_pod *source = local_at(s, from), *destination = local_at(s, to);

	if (source && source == destination)
		return false; /* itself */
	if (source && !lets_through(source->profile[EGRESS], to, flow->protocol, flow->reply_source_port))
		return !(source->node_open && link_addr_is_local(to));
	if (destination && !lets_through(destination->profile[INGRESS], from, flow->protocol, flow->reply_source_port))
		return !link_addr_is_local(from); /* the node reaches its own pods */
	return false;
}

static bool collect_denied(const struct conntrack_flow *flow, void *arg)
{
	struct sweep *s = arg;

	if (is_denied(s, flow) && flow->protocol == IPPROTO_TCP)
		VEC_PUSH(&s->denied, *flow);
	return false;
}

static bool delete_denied(const struct conntrack_flow *flow, void *arg)
{
	return is_denied(arg, flow);
}

/* Each direction as the forward hook sees it: destinations translated, sources not yet. */
static int put_revoked(struct sweep *s, struct nl *nl, struct err *err)
{
	struct txn *t = txn_new();
	int code;

	for (size_t i = 0; i < s->denied.n; i++) {
		const struct conntrack_flow *f = &s->denied.v[i];
		const struct set_spec *set = &set_revoked[FAMILY_INDEX(&f->source)];

		txn_add_element(t, set, key_with_addr(key_with_port(key_of_addr(&f->source), f->source_port), &f->reply_source), NULL);
		txn_add_element(t, set, key_with_addr(key_with_port(key_of_addr(&f->reply_source), f->reply_source_port), &f->source),
				NULL);
	}
	code = txn_commit(t, nl, err);
	txn_free(t);
	return code;
}

static int sweep_addrs(struct revoke *r, const struct addr_vec *addrs, struct cluster *c, struct nl *nl, size_t *ret_deleted, struct err *err)
{
	struct sweep s = {0};
	struct local_addr *la, *next;
	int code;

	*ret_deleted = 0;
	index_locals(&s, c);
	code = conntrack_delete(&r->conntrack, addrs->v, addrs->n, collect_denied, &s, NULL, err);
	if (code == 0)
		code = put_revoked(&s, nl, err);
	if (code == 0)
		code = conntrack_delete(&r->conntrack, addrs->v, addrs->n, delete_denied, &s, ret_deleted, err);
	HASH_ITER(hh, s.locals, la, next) {
		HASH_DEL(s.locals, la);
		free(la);
	}
	VEC_DONE(&s.denied);
	return code;
}

static void note_all(struct addr_vec *to, const struct addr_vec *from)
{
	for (size_t i = 0; i < from->n; i++)
		note(to, &from->v[i]);
}

int revoke_sweep(struct revoke *r, enum revoke_look look, struct cluster *c, struct nl *nl, size_t *ret_deleted, struct err *err)
{
	struct addr_vec addrs = {0};
	int code;

	note_all(&addrs, &r->fresh);
	note_all(&r->looked, &r->fresh);
	r->fresh.n = 0;
	if (look != REVOKE_FRESH) {
		note_all(&addrs, &r->looked);
		note_all(&addrs, &r->older);
	}
	*ret_deleted = 0;
	code = addrs.n ? sweep_addrs(r, &addrs, c, nl, ret_deleted, err) : 0;
	VEC_DONE(&addrs);
	if (look == REVOKE_LAST) {
		r->older.n = 0;
		note_all(&r->older, &r->looked);
		r->looked.n = 0;
	}
	return code;
}

bool revoke_wants_look(const struct revoke *r)
{
	return r->looked.n || r->older.n;
}

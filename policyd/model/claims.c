/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims: who an address belongs to, and so which pod is the peer there.
 *
 * Two sources speak of addresses. An attachment of this node is certain and comes first: its pod is known at once, before
 * anybody writes status.podIPs. Status is all there is of pods elsewhere, and it can be stale. So each subject puts its claims to the
 * owners table, the best claim to an address wins it (a local attachment before status, then the newest), and only the
 * winner's pod is in peer groups by that address. A claim that no Pod object stands behind, as of a pod that is not in the source yet or
 * of another UID, wins as well and makes nobody a peer: who is really there must not inherit from whom status still
 * names.
 */
#include <string.h>

#include "policyd/model/model.h"

static int compare_names(const struct subject *a, const struct subject *b)
{
	int order = strcmp(a->space->name, b->space->name);

	return order ? order : strcmp(a->name, b->name);
}

/* Does a win over b? */
static bool claim_wins(const struct claim *a, const struct claim *b)
{
	if (a->local != b->local)
		return a->local;
	if (a->since != b->since)
		return a->since > b->since;
	if (a->subject != b->subject)
		return compare_names(a->subject, b->subject) < 0;
	return a->peer > b->peer;
}

static struct subject *owner_peer(const struct owner *o)
{
	const struct claim *best = NULL;

	for (size_t i = 0; i < o->claims.n; i++)
		if (!best || claim_wins(&o->claims.v[i], best))
			best = &o->claims.v[i];
	return best && best->peer ? best->subject : NULL;
}

static bool is_doubled(const struct owner *o)
{
	for (size_t i = 1; i < o->claims.n; i++)
		if (o->claims.v[i].subject != o->claims.v[0].subject)
			return true;
	return false;
}

bool cluster_has_family(const struct cluster *c, int f)
{
	return c->families[f];
}

static struct owner *owner_get(struct cluster *c, const struct addr *addr)
{
	struct owner *o;

	HASH_FIND(hh, c->owners, addr, sizeof(*addr), o);
	if (!o) {
		o = mem_zalloc(sizeof(*o));
		o->addr = *addr;
		HASH_ADD(hh, c->owners, addr, sizeof(o->addr), o);
		c->families[addr_len(addr) == 16] = true;
	}
	return o;
}

static void add_unique(struct subject_list *l, struct subject *s, const struct subject *but)
{
	if (!s || s == but)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] == s)
			return;
	VEC_PUSH(l, s);
}

/* The claims to addr changed: finds the peer anew. Other subjects than s that lost or won it go to affected. */
static void owner_settle(struct cluster *c, const struct addr *addr, const struct subject *s, struct subject_list *affected)
{
	struct owner *o = owner_get(c, addr);
	struct subject *peer = owner_peer(o);
	bool doubled = is_doubled(o);

	if (peer != o->peer) {
		add_unique(affected, o->peer, s);
		add_unique(affected, peer, s);
		o->peer = peer;
	}
	c->doubled += (size_t)doubled - (size_t)o->doubled;
	o->doubled = doubled;
	if (!o->claims.n) {
		HASH_DEL(c->owners, o);
		VEC_DONE(&o->claims);
		free(o);
	}
}

static void withdraw(struct cluster *c, const struct claim *claim)
{
	struct owner *o = owner_get(c, &claim->addr);

	for (size_t i = 0; i < o->claims.n; i++) {
		if (o->claims.v[i].subject == claim->subject) {
			o->claims.v[i] = o->claims.v[--o->claims.n];
			return; /* one entry per claim: each is withdrawn once */
		}
	}
}

/* The attachment that is the peer of its pod: the newest that lives. Older ones are guarded, and nobody's peer. */
static const struct attachment *newest_attachment(const struct subject *s)
{
	const struct attachment *newest = NULL;
	bool by_name;

	for (size_t i = 0; i < s->locals.n; i++) {
		const struct attachment *a = s->locals.v[i]->attachment;

		if (!a->closing && subject_is(s, a, &by_name) &&
		    (!newest || a->created > newest->created ||
		     (a->created == newest->created && strcmp(a->container_id, newest->container_id) > 0)))
			newest = a;
	}
	return newest;
}

bool subject_has_attachment(const struct subject *s)
{
	bool by_name;

	for (size_t i = 0; i < s->locals.n; i++)
		if (subject_is(s, s->locals.v[i]->attachment, &by_name))
			return true;
	return false;
}

static void claim_attachments(struct subject *s, struct claim_list *ret)
{
	const struct attachment *newest = newest_attachment(s);
	bool by_name;

	for (size_t i = 0; i < s->locals.n; i++) {
		const struct attachment *a = s->locals.v[i]->attachment;
		bool is = subject_is(s, a, &by_name);

		if (a->closing || (is && s->object->pod.finished))
			continue;
		for (size_t j = 0; j < a->n_addrs; j++) {
			struct claim claim = {.addr = a->addrs[j],
					      .subject = s,
					      .local = true,
					      /* one container may have several attachments: networks, interfaces */
					      .peer = is && newest && !s->object->pod.host_network &&
						      !strcmp(a->container_id, newest->container_id),
					      .since = a->created};

			VEC_PUSH(ret, claim);
		}
	}
}

static void claim_status(struct subject *s, struct claim_list *ret)
{
	const struct pod *pod;

	/* with an attachment here status has no say */
	if (!s->object || subject_has_attachment(s))
		return;
	pod = &s->object->pod;
	if (pod->finished || pod->host_network)
		return;
	for (size_t i = 0; i < pod->addrs.n; i++) {
		struct claim claim = {.addr = pod->addrs.v[i],
				      .subject = s,
				      .peer = true,
				      .since = pod->started > 0 ? (uint64_t)pod->started : 0};

		VEC_PUSH(ret, claim);
	}
}

static bool claims_equal(const struct claim_list *a, const struct claim_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct claim *x = &a->v[i], *y = &b->v[i];

		if (!addr_equal(&x->addr, &y->addr) || x->local != y->local || x->peer != y->peer || x->since != y->since)
			return false;
	}
	return true;
}

/* Puts s' present claims in the place of its former ones. */
static void subject_claim(struct cluster *c, struct subject *s, struct subject_list *affected)
{
	struct claim_list former = s->claims, now = {0};

	claim_attachments(s, &now);
	claim_status(s, &now);
	if (claims_equal(&former, &now)) {
		VEC_DONE(&now);
		return;
	}
	s->claims = now;
	for (size_t i = 0; i < former.n; i++)
		withdraw(c, &former.v[i]);
	for (size_t i = 0; i < now.n; i++) {
		struct owner *o = owner_get(c, &now.v[i].addr);

		VEC_PUSH(&o->claims, now.v[i]);
	}
	for (size_t i = 0; i < now.n; i++)
		owner_settle(c, &now.v[i].addr, s, affected);
	for (size_t i = 0; i < former.n; i++)
		owner_settle(c, &former.v[i].addr, s, affected);
	VEC_DONE(&former);
}

static bool addrs_have(const struct addr_list *l, const struct addr *addr)
{
	for (size_t i = 0; i < l->n; i++)
		if (addr_equal(&l->v[i], addr))
			return true;
	return false;
}

/* The addresses s is the peer at now. */
static struct addr_list won_addrs(struct cluster *c, const struct subject *s)
{
	struct addr_list won = {0};

	for (size_t i = 0; i < s->claims.n; i++) {
		struct owner *o;

		HASH_FIND(hh, c->owners, &s->claims.v[i].addr, sizeof(struct addr), o);
		if (o && o->peer == s && !addrs_have(&won, &o->addr))
			VEC_PUSH(&won, o->addr);
	}
	return won;
}

static bool addrs_equal(const struct addr_list *a, const struct addr_list *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!addrs_have(b, &a->v[i]))
			return false;
	return a->n == b->n;
}

static bool ports_equal(const struct pod *a, const struct pod *b)
{
	if (a->ports.n != b->ports.n)
		return false;
	for (size_t i = 0; i < a->ports.n; i++)
		if (a->ports.v[i].protocol != b->ports.v[i].protocol || a->ports.v[i].number != b->ports.v[i].number ||
		    strcmp(a->ports.v[i].name, b->ports.v[i].name) != 0)
			return false;
	return true;
}

/* Most updates of a Pod are its status: nothing that a policy asks for. */
static bool same_peer(const struct object *a, const struct object *b)
{
	return a == b || (a && b && labels_equal(&a->pod.labels, &b->pod.labels) && ports_equal(&a->pod, &b->pod));
}

static void subject_recount(struct cluster *c, struct subject *s, const struct object *former)
{
	struct addr_list won = won_addrs(c, s);

	if (same_peer(former, s->object) && addrs_equal(&won, &s->addrs)) {
		VEC_DONE(&won);
		return;
	}
	members_count(c, s, former, &s->addrs, -1);
	members_count(c, s, s->object, &won, 1);
	VEC_DONE(&s->addrs);
	s->addrs = won;
}

void subject_update(struct cluster *c, struct subject *s, const struct object *former)
{
	struct subject_list affected = {0};

	subject_claim(c, s, &affected);
	subject_recount(c, s, former);
	for (size_t i = 0; i < affected.n; i++)
		subject_recount(c, affected.v[i], affected.v[i]->object);
	for (size_t i = 0; i < s->locals.n; i++)
		local_mark(c, s->locals.v[i]);
	escape_settle(c, s);
	VEC_DONE(&affected);
}

void owners_free(struct cluster *c)
{
	struct owner *o, *next;

	HASH_ITER (hh, c->owners, o, next) {
		HASH_DEL(c->owners, o);
		VEC_DONE(&o->claims);
		free(o);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of revocation
 *
 * Established packets pass before any policy is asked, so a connection that a changed policy denies must lose its conntrack
 * entry. Deleting it alone is not enough: the next packet of either side is evaluated as new (of TCP, conntrack picks up
 * mid-stream), and the side that may open connections itself would revive it, with the other's packets as its replies. So
 * the flow goes into the kernel's `revoked` sets first, for ten minutes:
 *
 *	TCP      both directions: a packet that is not a lone SYN and is found there is dropped. A plain rule "no SYN, no
 *	         entry: drop" would kill allowed connections after a conntrack flush (tried).
 *	others   what the answerer sends: nothing tells its next packet from a connection that it opens from the same port to
 *	         the same port, so that waits too. What the opener sends is for policy: if it may again, its packet makes an
 *	         entry, and the answers are established.
 *
 * Which entries? The table is walked, which takes 10 ms if it is empty but large and 27 with 100,000 entries. That is done by
 * a thread that sees nothing but its sockets, so that other changes do not wait; judged and deleted is in the loop, by the
 * model as it is then. Looked for are only places that can have lost something: entries opened by a pod whose egress
 * changed, or answered by one whose ingress did, and those of a peer that left a group.
 *
 * When? A packet that was evaluated before the swap may confirm its entry after the walk. So the first look is at once, the second
 * after an RCU grace period, which a thread of its own waits for (moat/grace.h). What leaves the read-side section between evaluation and
 * confirmation can take longer: a third look comes a second or two later.
 */
#include "policyd/kernel/revoke.h"

#include <netinet/in.h>
#include <string.h>

#include "moat/grace.h"
#include "moat/link.h"
#include "moat/log.h"
#include "moat/ruleset.h"

#define THIRD_LOOK_MS 1000

struct local_addr {
	struct addr addr;
	const struct local_pod *pod;
	UT_hash_handle hh;
};

struct judgement {
	struct local_addr *locals;
	VEC(struct conntrack_entry) denied;
};

int revoke_init(struct revoke *r, struct cluster *cluster, struct nl *nl, struct err *err)
{
	r->cluster = cluster;
	r->nl = nl;
	return conntrack_open(&r->conntrack, err);
}

void revoke_done(struct revoke *r)
{
	conntrack_close(&r->conntrack);
	VEC_DONE(&r->fresh);
	VEC_DONE(&r->again);
	VEC_DONE(&r->in_grace);
	VEC_DONE(&r->ready);
	VEC_DONE(&r->late);
	VEC_DONE(&r->older);
	VEC_DONE(&r->due);
	VEC_DONE(&r->look.places);
	VEC_DONE(&r->look.found);
}

void revoke_note(struct revoke *r, const struct addr *addr, enum conntrack_end end)
{
	const struct conntrack_place place = {.addr = *addr, .end = end};

	VEC_PUSH(&r->fresh, place);
}

bool revoke_is_done(const struct revoke *r)
{
	return !r->fresh.n && !(r->looking && r->look.first);
}

/* ---- judging ---- */

static void index_locals(struct judgement *j, struct cluster *c)
{
	for (struct local_pod *pod = cluster_local_pods(c); pod; pod = pod->hh.next) {
		for (size_t i = 0; i < pod->attachment->n_addrs; i++) {
			struct local_addr *la;

			HASH_FIND(hh, j->locals, &pod->attachment->addrs[i], sizeof(struct addr), la);
			if (la)
				continue;
			la = mem_zalloc(sizeof(*la));
			la->addr = pod->attachment->addrs[i];
			la->pod = pod;
			HASH_ADD(hh, j->locals, addr, sizeof(struct addr), la);
		}
	}
}

static const struct local_pod *local_at(const struct judgement *j, const struct addr *addr)
{
	struct local_addr *la;

	HASH_FIND(hh, j->locals, addr, sizeof(*addr), la);
	return la && la->pod->profile[INGRESS] ? la->pod : NULL; /* not compiled yet: as it stands */
}

/* What the chain's end only observes goes on, an open connection like a new one. */
static bool lets_through(const struct profile *p, const struct addr *peer, uint8_t protocol, uint16_t port)
{
	return p->end == END_OBSERVE || profile_allows(p, peer, protocol, port);
}

/* The two questions of the ruleset, asked for a tracked flow: original source to the real destination behind NAT. */
static bool is_denied(const struct judgement *j, const struct conntrack_flow *flow)
{
	const struct addr *from = &flow->source, *to = &flow->reply_source;
	const struct local_pod *source = local_at(j, from), *destination = local_at(j, to);

	if (source && source == destination)
		return false; /* itself */
	if (source && !lets_through(source->profile[EGRESS], to, flow->protocol, flow->reply_source_port))
		return !(source->node_open && link_addr_is_local(to));
	if (destination && !lets_through(destination->profile[INGRESS], from, flow->protocol, flow->reply_source_port))
		return !link_addr_is_local(from); /* the node reaches its own pods */
	return false;
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP ||
	       protocol == IPPROTO_UDPLITE;
}

static void put_direction(struct txn *t, uint8_t protocol, const struct addr *from, uint16_t from_port, const struct addr *to,
			  uint16_t to_port)
{
	struct key key = key_with_protocol((struct key){.len = 0}, protocol);

	key = key_with_port(key_with_addr(key, from), from_port);
	key = key_with_port(key_with_addr(key, to), to_port);
	txn_add_element(t, &set_revoked[FAMILY_INDEX(from)], key, NULL);
}

/* As the forward hook sees them: destinations translated, sources not yet. */
static int put_revoked(const struct judgement *j, struct nl *nl, struct err *err)
{
	struct txn *t = txn_new();
	int code;

	txn_allow_parts(t, nl);
	for (size_t i = 0; i < j->denied.n; i++) {
		const struct conntrack_flow *f = &j->denied.v[i].flow;

		if (!has_ports(f->protocol) || f->source.family != f->reply_source.family)
			continue;
		put_direction(t, f->protocol, &f->reply_source, f->reply_source_port, &f->source, f->source_port);
		if (f->protocol == IPPROTO_TCP)
			put_direction(t, f->protocol, &f->source, f->source_port, &f->reply_source, f->reply_source_port);
	}
	code = txn_commit(t, nl, err);
	txn_free(t);
	return code;
}

static int judge(struct revoke *r, struct err *err)
{
	const struct conntrack_entries *found = &r->look.found;
	struct judgement j = {0};
	struct local_addr *la, *next;
	size_t deleted = 0;
	int code = 0;

	if (!found->n)
		return 0;
	index_locals(&j, r->cluster);
	for (size_t i = 0; i < found->n; i++)
		if (is_denied(&j, &found->v[i].flow))
			VEC_PUSH(&j.denied, found->v[i]);
	if (j.denied.n)
		code = put_revoked(&j, r->nl, err);
	if (code == 0)
		code = conntrack_delete(&r->conntrack, j.denied.v, j.denied.n, &deleted, err);
	r->revoked += deleted;
	HASH_ITER(hh, j.locals, la, next) {
		HASH_DEL(j.locals, la);
		free(la);
	}
	VEC_DONE(&j.denied);
	return code;
}

/* ---- looking ---- */

static int compare_places(const void *a, const void *b)
{
	const struct conntrack_place *x = a, *y = b;
	int order = addr_cmp(&x->addr, &y->addr);

	return order ? order : (int)x->end - (int)y->end;
}

static void sort_places(struct place_vec *l)
{
	size_t kept = 0;

	if (l->n > 1)
		qsort(l->v, l->n, sizeof(l->v[0]), compare_places);
	for (size_t i = 0; i < l->n; i++)
		if (!kept || compare_places(&l->v[kept - 1], &l->v[i]))
			l->v[kept++] = l->v[i];
	l->n = kept;
}

static void append(struct place_vec *to, const struct place_vec *from)
{
	for (size_t i = 0; i < from->n; i++)
		VEC_PUSH(to, from->v[i]);
}

static void move(struct place_vec *to, struct place_vec *from)
{
	VEC_DONE(to);
	*to = *from;
	*from = (struct place_vec){0};
}

/* What is due next, the most urgent first; false: nothing. */
static bool choose(struct revoke *r)
{
	struct look *look = &r->look;

	look->first = r->fresh.n > 0;
	if (look->first)
		move(&look->places, &r->fresh);
	else if (r->ready.n)
		move(&look->places, &r->ready);
	else if (r->due.n)
		move(&look->places, &r->due);
	else
		return false;
	sort_places(&look->places);
	return true;
}

static void wait_for_packets_under_way(uv_work_t *work)
{
	(void)work;
	grace_wait();
}

static void on_grace_over(uv_work_t *work, int status);

static void begin_grace(struct revoke *r)
{
	if (r->waiting || r->closing || !r->again.n)
		return;
	move(&r->in_grace, &r->again);
	r->grace.data = r;
	r->waiting = uv_queue_work(r->loop, &r->grace, wait_for_packets_under_way, on_grace_over) == 0;
}

static void on_grace_over(uv_work_t *work, int status)
{
	struct revoke *r = work->data;

	(void)status;
	r->waiting = false;
	append(&r->ready, &r->in_grace);
	begin_grace(r);
	revoke_run(r);
}

static void take(struct look *look)
{
	look->code = conntrack_find(look->conntrack, look->places.v, look->places.n, &look->found, &look->err);
}

static void finish(struct revoke *r)
{
	struct look *look = &r->look;
	struct err err;

	if (look->code < 0)
		err = look->err;
	else
		look->code = judge(r, &err);
	if (look->code < 0)
		log_warn("revocation-failed error=\"%s\"", err.text);
	if (look->first) {
		append(&r->again, &look->places);
		append(&r->late, &look->places);
	}
	VEC_DONE(&look->found);
}

static void on_work(uv_work_t *work)
{
	struct revoke *r = work->data;

	take(&r->look);
}

static void on_taken(uv_work_t *work, int status)
{
	struct revoke *r = work->data;

	r->looking = false;
	if (r->closing)
		return;
	if (status == 0)
		finish(r);
	begin_grace(r);
	if (!uv_is_active((uv_handle_t *)&r->timer))
		uv_timer_again(&r->timer);
	revoke_run(r);
}

void revoke_run(struct revoke *r)
{
	if (r->looking || r->closing)
		return;
	r->look.conntrack = &r->conntrack;
	if (!r->loop) { /* what follows the first look has to be asked for by a loop */
		while (r->fresh.n && choose(r)) {
			take(&r->look);
			finish(r);
		}
		return;
	}
	if (!choose(r))
		return;
	r->work.data = r;
	r->looking = uv_queue_work(r->loop, &r->work, on_work, on_taken) == 0;
}

static void on_timer(uv_timer_t *timer)
{
	struct revoke *r = timer->data;

	append(&r->due, &r->older);
	move(&r->older, &r->late);
	if (!r->older.n)
		uv_timer_stop(timer);
	revoke_run(r);
}

static void do_nothing(uv_work_t *work)
{
	(void)work;
}

static void on_started(uv_work_t *work, int status)
{
	struct revoke *r = work->data;

	(void)status;
	r->looking = false;
	revoke_run(r);
}

void revoke_follow(struct revoke *r, uv_loop_t *loop)
{
	r->loop = loop;
	r->work.data = r;
	r->looking = uv_queue_work(loop, &r->work, do_nothing, on_started) == 0; /* libuv starts its threads with the first work */
	uv_timer_init(loop, &r->timer);
	r->timer.data = r;
	uv_timer_start(&r->timer, on_timer, THIRD_LOOK_MS, THIRD_LOOK_MS); /* repeat is what uv_timer_again restarts with */
}

void revoke_close_handles(struct revoke *r)
{
	r->closing = true;
	if (!r->loop)
		return;
	uv_close((uv_handle_t *)&r->timer, NULL);
	if (r->looking)
		uv_cancel((uv_req_t *)&r->work);
	if (r->waiting)
		uv_cancel((uv_req_t *)&r->grace);
}

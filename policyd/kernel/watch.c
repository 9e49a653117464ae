/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of the watch
 *
 * The kernel tells of every transaction on nftables. The plugin is a legitimate stranger: pods' own chains and elements are its, at
 * ADD and DEL. So what a stranger's change means depends on what it touched:
 *
 *	the table                                                   closed (reconcile_static.c), and everything is built anew
 *	a static chain; the sets of nodes and tunnels               put again
 *	what program.h names                                        everything is built anew
 *	the chain of an attached pod, an element with its           put again, if the pod store still has the attachment, which
 *	address or port                                             is read under the lock that ADD and DEL hold
 *	anything else                                               a new pod's if it was the plugin's; else everything is looked
 *	                                                            at (check.c)
 *
 * What is not told is found by counting. Generations of the ruleset have consecutive numbers, whoever commits, and each is
 * told when it is there; ours too. A number that was not heard is a transaction that was lost (a full socket, mostly: ENOBUFS). The
 * kernel is asked for the present number now and then, which costs some microseconds whatever the size of the table; a number is
 * visible somewhat before its notifications are queued, so one that is missing is given some time. Then everything is looked at.
 *
 * Tables of an owner (NFT_TABLE_F_OWNER, 5.12, and NFT_TABLE_F_PERSIST, 6.9) were tried on 6.18, for `nft flush ruleset` leaves them
 * alone while the owner's socket is open. They are no use here. Nobody but the owner may then write: the plugin's batch is refused with
 * EPERM, so that a daemon that is stopped or hangs would keep every pod from being started, and one that lives would have to
 * do every ADD's work; an owner cannot give the flag back (EOPNOTSUPP). And when the daemon ends, the table that persists is
 * anybody's, and goes with the next flush, just when nobody watches. Sets cannot be shared between tables, so half of the
 * ruleset cannot be owned either.
 */
#include "policyd/kernel/watch.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moat/log.h"
#include "moat/ruleset.h"
#include "moat/table_event.h"

#define RECEIVE_BYTES (4 << 20) /* a transaction of some 20,000 rules; less room only means more full checks */
#define LOCK_RETRY_MS 2
#define LOCK_ATTEMPTS 25        /* plugins hold it for some milliseconds */
#define LOCK_STUCK_MS 250
#define AT_ONCE 4               /* pods */
#define CHECK_PAUSE_US 800000   /* less than from look to look */
#define STILL_ON_ITS_WAY_MS 100
#define WAITED_US 50            /* the loop waited for an event, and did not find one that had come before */
#define PLUGIN "moat"           /* as the kernel calls the process; */
#define DAEMON "moat-policyd"   /* ours on another socket: what it releases */

static bool is_of_program(const struct watch *w, const char *name)
{
	bool current;

	return program_owns_name(name, &w->reconcile->epoch, &current) && current;
}

static void note(struct heard_change *c, const char *what, const char *name)
{
	if (!c->what[0])
		snprintf(c->what, sizeof(c->what), "%s %s", what, name);
}

/* When it was in the kernel; 0: it was not. */
static uint64_t put_static_part(struct reconcile *r)
{
	struct err err;

	if (reconcile_bar(r, &err) == 0)
		return r->guarded_us;
	log_warn("not-barred error=\"%s\" action=rebuild", err.text);
	r->static_changed = true;
	reconcile_distrust(r);
	return 0;
}

/*
 * The static part was touched. It is put at the first word of it, while the stranger's transaction is still being told and so
 * holds the lock of transactions: ours is the next.
 */
static void bar(struct watch *w)
{
	if (w->change.static_part)
		return;
	w->change.static_part = true;
	w->change.barred_us = put_static_part(w->reconcile);
}

/* Pods were touched. A few are put at once, as the static part is; many in one transaction, when all of them are known. */
static void on_pods(struct watch *w)
{
	size_t known = w->change.pods;

	w->change.pods = w->reconcile->suspects.n;
	if (w->reconcile->built && w->change.pods > known && w->change.pods <= AT_ONCE)
		reconcile_restore(w->reconcile, false);
}

/* A chain, or a rule in it. */
static void on_chain(struct watch *w, const char *chain)
{
	if (ruleset_is_filled(chain))
		w->change.surroundings = true;
	else if (ruleset_has_chain(TABLE_INET, chain))
		bar(w);
	else if (is_of_program(w, chain))
		w->change.rebuild = true;
	else if (reconcile_suspect_chain(w->reconcile, chain))
		on_pods(w);
	else {
		w->change.unexplained = true;
		return;
	}
	note(&w->change, "change of chain", chain);
}

struct elements_heard {
	struct reconcile *reconcile;
	bool matter;
};

static void on_element(const struct element *e, void *arg)
{
	struct elements_heard *heard = arg;

	heard->matter |= reconcile_suspect_element(heard->reconcile, e->key, e->key_len);
}

static void on_elements_of_pods(struct watch *w, const struct table_event *e)
{
	struct elements_heard heard = {.reconcile = w->reconcile};

	elements_each(e->elements, on_element, &heard);
	w->change.unexplained |= e->added;
	if (!heard.matter)
		return;
	on_pods(w);
	note(&w->change, "change of elements of", e->name);
}

static void on_elements(struct watch *w, const struct table_event *e)
{
	enum set_owner owner;
	const struct set_spec *set = ruleset_find_set(TABLE_INET, e->name, &owner);

	if (set && owner == SETS_OF_PODS) {
		on_elements_of_pods(w, e);
		return;
	}
	if (set && owner == SETS_FIXED) {
		w->reconcile->fixed_sets_changed = true;
		bar(w);
	} else if (set && owner == SETS_OF_NODE) {
		w->change.surroundings = true;
	} else if (set || is_of_program(w, e->name)) {
		w->change.rebuild = true;
	} else {
		return;
	}
	note(&w->change, "change of elements of", e->name);
}

/*
 * Table bridge moat: who may say what on a bridge, and no policy, so that the bar puts all of it. It goes with the last pod of any
 * bridge, and what was heard is told apart from that when it is known who did it.
 */
static void on_bridge_table(struct watch *w, const struct table_event *e)
{
	static const char *const things[] = {
		[TABLE_EVENT_TABLE] = "of table bridge",       [TABLE_EVENT_CHAIN] = "of bridge chain",
		[TABLE_EVENT_RULE] = "of a rule of bridge chain", [TABLE_EVENT_SET] = "of bridge set",
		[TABLE_EVENT_ELEMENTS] = "of elements of bridge set",
	};
	enum set_owner owner;
	const struct set_spec *set = ruleset_find_set(TABLE_BRIDGE, e->name, &owner);

	if (e->kind == TABLE_EVENT_ELEMENTS && set && owner == SETS_OF_PODS) {
		on_elements_of_pods(w, e);
		return;
	}
	if (e->kind == TABLE_EVENT_SET || e->kind == TABLE_EVENT_ELEMENTS) {
		if (e->added || !set)
			return;
	} else if (e->kind != TABLE_EVENT_TABLE && !ruleset_has_chain(TABLE_BRIDGE, e->name)) {
		return;
	}
	w->change.bridge_table = true;
	if (!w->change.what[0])
		snprintf(w->change.what, sizeof(w->change.what), "%s %s %s", e->added ? "change" : "deletion", things[e->kind],
			 e->kind == TABLE_EVENT_TABLE ? TABLE_NAME : e->name);
}

/* How long the loop has waited in the poll that ends with what is handled now; needs UV_METRICS_IDLE_TIME. */
static uint64_t waited_us(const struct watch *w)
{
	return (uv_metrics_idle_time(w->events.loop) - w->idle_ns) / 1000;
}

/*
 * When the kernel told of what is being read now. If the loop waited for it, that is when it woke. Else it had come while the loop
 * was at work: after it had woken the time before.
 */
static uint64_t told_at(const struct watch *w)
{
	uint64_t waited = waited_us(w);

	return waited < WAITED_US ? w->woken_us : w->polled_us + waited;
}

/* The transaction is whole: what it did, and whose it was. The plugin repairs and is no stranger. */
static void on_generation(struct watch *w, const struct table_event *e)
{
	struct heard_change change = w->change;
	char by[64] = "";

	w->change = (struct heard_change){.static_part = false};
	reconcile_forget_restored(w->reconcile);
	w->lost |= (int32_t)(e->generation - w->heard) > 1;
	if ((int32_t)(e->generation - w->heard) > 0)
		w->heard = e->generation;
	if (change.rebuild)
		reconcile_distrust(w->reconcile);
	w->reconcile->pods_unsure |= change.everybody;
	w->disturbed |= change.what[0] != '\0';
	if (!strcmp(e->process, PLUGIN) || !strcmp(e->process, DAEMON))
		return;
	if (change.bridge_table && reconcile_has_bridges(w->reconcile))
		change.barred_us = put_static_part(w->reconcile);
	w->check_wanted |= change.unexplained;
	if (!change.what[0])
		return;
	if (e->process[0])
		snprintf(by, sizeof(by), "%s[%u]", e->process, e->pid);
	if (change.surroundings) {
		surroundings_distrust(&w->reconcile->surroundings);
		net_distrust(&w->reconcile->net);
		w->wants_run = true;
	}
	tamper_found(&w->tamper, false, told_at(w), change.what, by);
	if (change.barred_us && (change.everybody || !change.pods)) /* all is closed by that */
		tamper_repaired(&w->tamper, change.barred_us);
}

static void on_message(struct watch *w, const struct nlmsghdr *nlh)
{
	struct table_event e;

	if (!table_event_parse(nlh, &e))
		return;
	if (e.table == TABLE_BRIDGE && e.kind != TABLE_EVENT_GENERATION) {
		on_bridge_table(w, &e);
		return;
	}
	switch (e.kind) {
	case TABLE_EVENT_TABLE:
		bar(w);
		w->change.rebuild = w->change.everybody = true;
		snprintf(w->change.what, sizeof(w->change.what), "%s of table inet %s", e.added ? "change" : "deletion", TABLE_NAME);
		break;
	case TABLE_EVENT_CHAIN:
	case TABLE_EVENT_RULE:
		on_chain(w, e.name);
		break;
	case TABLE_EVENT_SET:
		if (!e.added && is_of_program(w, e.name)) {
			w->change.rebuild = true;
			note(&w->change, "deletion of set", e.name);
		}
		break;
	case TABLE_EVENT_ELEMENTS:
		on_elements(w, &e);
		break;
	case TABLE_EVENT_GENERATION:
		on_generation(w, &e);
		break;
	}
}

/* Everything that the socket has. */
static void hear(struct watch *w)
{
	char buf[32768];
	ssize_t got;

	while ((got = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT)) != 0) {
		if (got < 0 && errno != EINTR && errno != ENOBUFS)
			break;
		if (got < 0 && errno == ENOBUFS) { /* what is missing may be the end of what was being heard */
			w->lost = true;
			w->change = (struct heard_change){.static_part = false};
		}
		for (struct nlmsghdr *nlh = (struct nlmsghdr *)buf; got > 0 && NLMSG_OK(nlh, got); nlh = NLMSG_NEXT(nlh, got))
			on_message(w, nlh);
	}
}

/* Something happened that nobody told. What was not built has nothing to be compared with: then all that must stand is put. */
static void look_at_everything(struct watch *w)
{
	w->lost = false;
	log_warn("notifications-lost action=check");
	if (w->reconcile->built) {
		watch_check(w);
		return;
	}
	w->disturbed = true;
	w->reconcile->pods_unsure = true;
}

/* Whoever changes tables all the time does not keep the daemon busy: a tenth of the time at most, at large sizes too. */
static bool may_check(const struct watch *w)
{
	uint64_t pause = CHECK_PAUSE_US > 10 * w->check_us ? CHECK_PAUSE_US : 10 * w->check_us;

	return !w->checking && clock_monotonic_us() - w->checked_us >= pause;
}

static void on_again(uv_timer_t *timer);

void watch_act(struct watch *w)
{
	struct reconcile *r = w->reconcile;

	if (may_check(w)) {
		if (w->lost)
			look_at_everything(w);
		else if (w->check_wanted && r->built)
			watch_check(w);
	}
	if (!w->disturbed)
		return;
	if (!r->built || w->wants_run)
		w->found(w->arg);
	w->wants_run = false;
	w->disturbed = !reconcile_restore(r, w->tamper.open && w->attempts > LOCK_ATTEMPTS);
	reconcile_forget_restored(r);
	w->attempts = w->disturbed ? w->attempts + 1 : 0;
	if (w->disturbed)
		uv_timer_start(&w->again, on_again, w->attempts > LOCK_ATTEMPTS ? LOCK_STUCK_MS : LOCK_RETRY_MS, 0);
	if (r->built && r->exposed)
		w->found(w->arg);
	if (r->built)
		watch_settled(w);
}

static void on_again(uv_timer_t *timer)
{
	struct watch *w = timer->data;

	hear(w);
	watch_act(w);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct watch *w = handle->data;

	(void)events;
	if (status < 0) /* an overrun is an error of the socket, at which libuv stops polling for good */
		uv_poll_start(handle, UV_READABLE, on_readable);
	hear(w);
	watch_act(w);
}

static void on_late(uv_timer_t *timer)
{
	struct watch *w = timer->data;

	hear(w);
	if ((int32_t)(w->expected - w->heard) > 0) {
		w->lost = true;
		w->heard = w->expected;
	}
	watch_act(w);
}

void watch_look(struct watch *w)
{
	uint32_t present;

	if (table_generation(&w->reconcile->nl, &present) < 0)
		return;
	hear(w);
	if ((int32_t)(present - w->heard) > 0 && !uv_is_active((uv_handle_t *)&w->late)) {
		w->expected = present;
		uv_timer_start(&w->late, on_late, STILL_ON_ITS_WAY_MS, 0);
	} else if (!w->lost && !w->tamper.open) {
		w->well_us = clock_monotonic_us();
	}
	if (w->rebuilds != w->reconcile->stats.rebuilds || w->reconcile->pods_unlocked)
		w->check_wanted = true;
	w->rebuilds = w->reconcile->stats.rebuilds;
	w->reconcile->pods_unlocked = false;
	watch_act(w);
}

void watch_links_gone(struct watch *w)
{
	w->check_wanted |= w->strays.told.n > 0;
}

void watch_settled(struct watch *w)
{
	if (!w->reconcile->suspects.n)
		tamper_repaired(&w->tamper, w->reconcile->guarded_us);
}

static void on_before_poll(uv_prepare_t *handle)
{
	struct watch *w = handle->data;

	w->woken_us = w->polled_us + waited_us(w);
	w->idle_ns = uv_metrics_idle_time(handle->loop);
	w->polled_us = clock_monotonic_us();
}

/*
 * Of our own changes only the generation is heard; all messages of one datagram come from one transaction, so the first one's sender
 * is everybody's, and the generation has a datagram of its own. A rebuild of large sets would overrun the socket
 * otherwise, which would mean another rebuild.
 */
static int ignore_own(int fd, uint32_t portid)
{
	/* loads are big-endian, the fields are the host's */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN), 3, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(portid), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int open_socket(struct watch *w, struct err *err)
{
	static const int group = NFNLGRP_NFTABLES, bytes = RECEIVE_BYTES;
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int code;

	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (w->fd < 0 || bind(w->fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    ignore_own(w->fd, w->reconcile->nl.portid) < 0 ||
	    setsockopt(w->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_errno(err, errno, "watch nftables");
	if (setsockopt(w->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	code = table_generation(&w->reconcile->nl, &w->heard);
	return code < 0 ? err_errno(err, -code, "ask for the generation of nftables") : 0;
}

int watch_start(struct watch *w, struct reconcile *r, uv_loop_t *loop, void (*found)(void *arg), void *arg, struct err *err)
{
	w->reconcile = r;
	w->found = found;
	w->arg = arg;
	w->well_us = w->polled_us = clock_monotonic_us();
	if (open_socket(w, err) < 0 || nl_open(&w->survey_nl, NETLINK_NETFILTER, err) < 0)
		return -err->code;
	uv_poll_init(loop, &w->events, w->fd);
	uv_prepare_init(loop, &w->before_poll);
	uv_timer_init(loop, &w->again);
	uv_timer_init(loop, &w->late);
	uv_idle_init(loop, &w->turn);
	w->turn.data = w;
	w->events.data = w->before_poll.data = w->again.data = w->late.data = w;
	uv_poll_start(&w->events, UV_READABLE, on_readable);
	uv_prepare_start(&w->before_poll, on_before_poll);
	w->started = true;
	return 0;
}

void watch_close_handles(struct watch *w)
{
	uv_handle_t *handles[] = {(uv_handle_t *)&w->events, (uv_handle_t *)&w->before_poll, (uv_handle_t *)&w->again,
				  (uv_handle_t *)&w->late, (uv_handle_t *)&w->turn};

	for (size_t i = 0; w->started && i < ARRAY_SIZE(handles); i++)
		uv_close(handles[i], NULL);
	w->started = false;
}

void watch_done(struct watch *w)
{
	watch_check_done(w);
	strays_done(&w->strays);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

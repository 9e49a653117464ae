/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy that narrows lets the daemon walk the connection tracking table (policyd/kernel/revoke.c), beside its loop. Measured with no
 * connections, and with CONNECTIONS of the local pods, all allowed: from the change of a policy to the end of what it denies;
 * and a change of somebody else's that comes while the table is walked.
 */
#include "bench/crowd.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/cluster.h"
#include "bench/sample.h"
#include "tests/flows.h"

#define CONNECTIONS 100000
#define ROUNDS 40
#define CROWD_BLOCK "10.200.0.0/16"
#define CROWD_PORT 7000
#define VICTIM_BLOCK "10.201.0.0/16"
#define VICTIM_PORT 7100 /* and the next, by turns */
#define WAIT_MS 5000
#define SETTLED_US 200000 /* the second look is over */
#define PLACES_PLAIN 64 /* so many addresses that filters would be dearer than a plain dump */

struct crowd {
	struct change_events *events;
	const char *directory;
	struct flows flows;
	unsigned changes; /* of somebody else's */
	int destroyed; /* socket that hears of entries that are deleted */
};

struct costs {
	double revoked, unrelated, alone; /* medians, in milliseconds */
};

static void die(const char *what)
{
	fprintf(stderr, "bench crowd: %s\n", what);
	exit(1);
}

static struct addr local_addr(unsigned i)
{
	struct attachment a;
	struct addr addr;

	cluster_local(i, &a);
	addr = a.addrs[0];
	attachment_done(&a);
	return addr;
}

/* Peer number n of a block 10.<second>.0.0/16 to local pod i. */
static struct conntrack_flow flow_to(unsigned i, uint8_t second, unsigned n, uint16_t port)
{
	struct addr local = local_addr(i), peer = {.family = AF_INET, .bytes = {10, second, (uint8_t)(n >> 8), (uint8_t)n}};

	return (struct conntrack_flow){
		.protocol = IPPROTO_TCP,
		.source = peer,
		.destination = local,
		.reply_source = local,
		.reply_destination = peer,
		.source_port = 40000,
		.reply_destination_port = 40000,
		.destination_port = port,
		.reply_source_port = port,
	};
}

static void fill(struct crowd *c)
{
	for (unsigned i = 0; i < CLUSTER_LOCALS; i++) {
		for (unsigned n = 0; n < CONNECTIONS / CLUSTER_LOCALS; n++) {
			struct conntrack_flow flow = flow_to(i, 200, n, CROWD_PORT);

			flows_add(&c->flows, &flow);
		}
	}
	flows_send(&c->flows);
	if (flows_count() < CONNECTIONS)
		die("the table has less entries than were made: nf_conntrack_max?");
}

static void allow_crowd(struct crowd *c)
{
	const struct change_wanted w = {.type = NFT_MSG_NEWRULE, .start = {"i-", "i-"}};

	for (unsigned i = 0; i < CLUSTER_LOCALS; i++) {
		CLEAN_FREE char *file = mem_printf("crowd%02u", i), *text = cluster_block_policy("crowd", i, CROWD_BLOCK, CROWD_PORT);

		change_take(c->events, c->directory, file, text, w);
	}
}

static void hear_destroyed(struct crowd *c)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_groups = NF_NETLINK_CONNTRACK_DESTROY};

	c->destroyed = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (c->destroyed < 0 || bind(c->destroyed, (struct sockaddr *)&self, sizeof(self)) < 0)
		die("subscribe to conntrack events");
}

static double wait_destroyed(struct crowd *c)
{
	struct pollfd p = {.fd = c->destroyed, .events = POLLIN};
	char buf[8192];

	if (poll(&p, 1, WAIT_MS) <= 0)
		die("what a changed policy denies is still tracked");
	if (recv(c->destroyed, buf, sizeof(buf), 0) < 0)
		die("conntrack events");
	return sample_now_ms();
}

/* The policy moves to the other port, and one connection to the former is open. */
static double narrow(struct crowd *c, unsigned round)
{
	unsigned space = round % CLUSTER_LOCALS;
	CLEAN_FREE char *text = cluster_block_policy("victim", space, VICTIM_BLOCK, VICTIM_PORT);
	CLEAN_FREE char *moved = cluster_block_policy("victim", space, VICTIM_BLOCK, VICTIM_PORT + 1);
	const struct change_wanted w = {.type = NFT_MSG_NEWRULE, .start = {"i-", "i-"}};
	struct conntrack_flow flow = flow_to(space, 201, round, VICTIM_PORT);

	change_take(c->events, c->directory, "victim", text, w);
	usleep(SETTLED_US);
	flows_add(&c->flows, &flow);
	flows_send(&c->flows);
	return change_begin(c->events, c->directory, "victim", moved);
}

static double change_somebody(struct crowd *c)
{
	const struct change_wanted w = {.type = NFT_MSG_NEWSETELEM, .start = {"a4-", "a6-"}};
	CLEAN_FREE char *text = cluster_pod_alone(c->changes++ % 2 ? 7 : 2);

	return change_take(c->events, c->directory, "alone", text, w);
}

static struct costs measure(struct crowd *c)
{
	const struct change_wanted w = {.type = NFT_MSG_NEWRULE, .start = {"i-", "i-"}};
	struct sample revoked = {0}, unrelated = {0}, alone = {0};
	struct costs costs;

	for (unsigned i = 0; i < ROUNDS; i++) {
		double began = narrow(c, i);

		change_wait(c->events, w, "victim"); /* the walk begins */
		sample_add(&unrelated, change_somebody(c));
		sample_add(&revoked, wait_destroyed(c) - began);
		usleep(SETTLED_US);
		sample_add(&alone, change_somebody(c));
	}
	costs = (struct costs){sample_quantile(&revoked, 0.5), sample_quantile(&unrelated, 0.5), sample_quantile(&alone, 0.5)};
	VEC_DONE(&revoked.ms);
	VEC_DONE(&unrelated.ms);
	VEC_DONE(&alone.ms);
	return costs;
}

/* How long the kernel takes to give the entries of so many addresses. */
static double walk(unsigned places)
{
	struct conntrack_place place[PLACES_PLAIN];
	struct sample s = {0};
	struct conntrack ct;
	double median;

	for (unsigned i = 0; i < places; i++)
		place[i] = (struct conntrack_place){.addr = local_addr(i), .end = CONNTRACK_REPLY_SOURCE};
	if (conntrack_open(&ct, NULL) < 0)
		die("conntrack");
	for (unsigned i = 0; i < 9; i++) {
		struct conntrack_entries found = {0};
		double began = sample_now_ms();

		if (conntrack_find(&ct, place, places, &found, NULL) < 0 || found.n < places * (CONNECTIONS / CLUSTER_LOCALS))
			die("not all entries were found");
		sample_add(&s, sample_now_ms() - began);
		VEC_DONE(&found);
	}
	conntrack_close(&ct);
	median = sample_quantile(&s, 0.5);
	VEC_DONE(&s.ms);
	return median;
}

void crowd_measure(struct change_events *e, const char *directory)
{
	struct crowd c = {.events = e, .directory = directory};
	struct costs empty, full;
	double filtered, plain;

	allow_crowd(&c);
	flows_open(&c.flows);
	hear_destroyed(&c);
	empty = measure(&c);
	fill(&c);
	full = measure(&c);
	filtered = walk(1);
	plain = walk(PLACES_PLAIN);
	if (flows_count() < CONNECTIONS)
		die("allowed connections were lost");
	printf("With %u connections tracked, all allowed (medians; in brackets without them):\n", CONNECTIONS);
	printf("  a policy narrows → what it denies is no longer tracked   %6.2f ms  (%.2f)\n", full.revoked, empty.revoked);
	printf("  somebody else's change to kernel, while that is done      %6.2f ms  (%.2f)\n", full.unrelated, empty.unrelated);
	printf("  the same, while nothing is                                %6.2f ms  (%.2f)\n", full.alone, empty.alone);
	sample_tell("revocation, in walks for one address", "", full.revoked / filtered, 0);
	sample_tell("somebody else's change meanwhile, in ones alone", "", full.unrelated / full.alone, 1.5);
	sample_tell("walk for one address", "ms", filtered, 0);
	sample_tell("walk for one address, in plain dumps", "", filtered / plain, 0.5);
	close(c.destroyed);
	flows_close(&c.flows);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leak-report: the totals of a ledger. The last line is
 *
 *	sent N arrived N leaked N lost N window N us queues N overrun N
 *
 * sent and arrived (at the node) are of packets whose expectation was deny or allow. Leaked: denied, and seen behind moat. Lost: allowed,
 * came to moat, and not seen behind it. Window: the longest time that a path which was to open, or was open, let nothing through.
 * Queues: passed moat and did not arrive, which is the machine's doing. Before it, one line per kind of packet and family, and one
 * per path that leaked or lost.
 */
#include "netns-tests/probing/ledger.h"

#include <stdio.h>
#include <string.h>

struct totals {
	unsigned long sent, arrived, denied, leaked, lost, queues;
	uint32_t window_us;
};

static void add_totals(struct totals *to, const struct totals *t)
{
	to->sent += t->sent;
	to->arrived += t->arrived;
	to->denied += t->denied;
	to->leaked += t->leaked;
	to->lost += t->lost;
	to->queues += t->queues;
	if (t->window_us > to->window_us)
		to->window_us = t->window_us;
}

/* First and last packets of this fate, to find what happened then. */
struct span {
	uint32_t first_ms, last_ms;
	bool any;
};

static void extend(struct span *s, uint32_t at_ms)
{
	if (!s->any)
		s->first_ms = at_ms;
	s->last_ms = at_ms;
	s->any = true;
}

static bool is_behind_moat(const struct path *p, uint8_t packet)
{
	return packet & (strcmp(p->to, "node") ? SEEN_OUT | SEEN_RECEIVED : SEEN_RECEIVED);
}

static void read_path(const struct path *p, const struct page *page, struct totals *t, struct span *leaked, struct span *lost)
{
	uint32_t silent_since = 0;
	bool silent = false;

	for (uint32_t i = 0; i < p->sent; i++) {
		uint8_t packet = page->packets[i], expected = packet & EXPECTED_MASK;
		bool passed = is_behind_moat(p, packet), in = packet & SEEN_IN;

		if (expected != EXPECT_DENY && expected != EXPECT_ALLOW)
			continue;
		t->sent++;
		t->arrived += in;
		if (expected == EXPECT_DENY) {
			t->denied += in;
			t->leaked += passed;
			if (passed)
				extend(leaked, page->at_ms[i]);
			continue;
		}
		t->queues += passed && !(packet & SEEN_RECEIVED);
		if (in && !passed) {
			t->lost++;
			extend(lost, page->at_ms[i]);
			silent_since = silent ? silent_since : page->at_ms[i];
			silent = true;
		} else if (passed && silent) {
			if ((page->at_ms[i] - silent_since) * 1000 > t->window_us)
				t->window_us = (page->at_ms[i] - silent_since) * 1000;
			silent = false;
		}
	}
	if (p->window_us > t->window_us)
		t->window_us = p->window_us;
}

static void print_kinds(const struct totals kinds[KIND_COUNT][2])
{
	static const char *const names[KIND_COUNT] = { "TCP SYN", "TCP ACK", "UDP", "ICMP echo", "fragments" };

	for (int k = 0; k < KIND_COUNT; k++)
		for (int f = 0; f < 2; f++)
			if (kinds[k][f].sent)
				printf("  %-10s IPv%d  sent %6lu  came to moat %6lu  denied %6lu  leaked %lu  lost %lu\n", names[k],
				       f ? 6 : 4, kinds[k][f].sent, kinds[k][f].arrived, kinds[k][f].denied, kinds[k][f].leaked,
				       kinds[k][f].lost);
}

int probe_leak_report(int argc, char **argv)
{
	struct totals all = { 0 }, kinds[KIND_COUNT][2] = { 0 };
	struct ledger *l;

	if (argc != 2)
		probe_usage("leak-report LEDGER");
	l = ledger_open(argv[1]);
	for (uint32_t i = 0; i < l->n_paths; i++) {
		const struct path *p = &l->paths[i];
		struct span leaked = { 0 }, lost = { 0 };
		struct totals t = { 0 };
		char name[128];

		ledger_path_name(p, name, sizeof(name));
		read_path(p, &l->pages[i], &t, &leaked, &lost);
		add_totals(&all, &t);
		add_totals(&kinds[p->kind][p->source.any.sa_family == AF_INET6], &t);
		if (leaked.any)
			printf("leaked: %lu of %s, from %u ms to %u ms\n", t.leaked, name, leaked.first_ms, leaked.last_ms);
		if (lost.any)
			printf("lost: %lu of %s, from %u ms to %u ms\n", t.lost, name, lost.first_ms, lost.last_ms);
		if (p->opening_us)
			printf("never opened: %s\n", name);
		else if (p->window_us)
			printf("opened: %s, after %u us at the most\n", name, p->window_us);
		if (p->closed_us)
			printf("closed: %s, after %u us at the most\n", name, p->closed_us);
	}
	print_kinds(kinds);
	printf("sent %lu arrived %lu denied %lu leaked %lu lost %lu window %u queues %lu overrun %u\n", all.sent, all.arrived,
	       all.denied, all.leaked, all.lost, all.window_us, all.queues, l->overrun);
	return 0;
}

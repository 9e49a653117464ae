/* SPDX-License-Identifier: Apache-2.0 */
#include "netns-tests/probing/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* How long a change waits for packets under way: a machine that lost one would let it wait for ever. */
enum { UNDER_WAY_MS = 300, LAST_PACKETS = 64, OPENING_MS = 5000 };

static const char *const kind_names[KIND_COUNT] = { "syn", "ack", "udp", "echo", "fragments" };
static const char *const expectation_names[EXPECT_COUNT] = { "off", "deny", "allow", "either", "opening", "closing" };

uint64_t ledger_clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Pages that nobody writes take no memory, so there may be more of them than any story needs. */
struct ledger *ledger_open(const char *file)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct ledger *l;

	if (fd < 0 || ftruncate(fd, sizeof(*l)))
		probe_die(file);
	l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (l == MAP_FAILED)
		probe_die("mmap");
	close(fd);
	if (!l->start_ms)
		l->start_ms = probe_now_ms();
	return l;
}

void ledger_path_name(const struct path *p, char *out, size_t size)
{
	snprintf(out, size, "%s>%s/%s%d:%d", p->from, p->to, kind_names[p->kind], p->source.any.sa_family == AF_INET ? 4 : 6,
		 p->port);
}

bool ledger_record_is_valid(const struct ledger *l, const struct record *r)
{
	return !memcmp(r->magic, RECORD_MAGIC, sizeof(r->magic)) && r->path < l->n_paths && r->number < PACKETS_MAX;
}

static bool is_to(const struct endpoint *to, const uint8_t *packet, size_t len)
{
	if (packet[0] >> 4 == 4)
		return to->any.sa_family == AF_INET && len >= sizeof(struct ip) &&
		       !memcmp(packet + offsetof(struct ip, ip_dst), &to->v4.sin_addr, 4);
	return to->any.sa_family == AF_INET6 && len >= sizeof(struct ip6_hdr) &&
	       !memcmp(packet + offsetof(struct ip6_hdr, ip6_dst), &to->v6.sin6_addr, 16);
}

static bool goes_to(const struct path *p, const uint8_t *packet, size_t len)
{
	return is_to(&p->target, packet, len) || is_to(&p->real, packet, len);
}

/* Answers and errors bring a record back to who sent it: that is no arrival. */
const struct record *ledger_find_record(const struct ledger *l, const void *packet, size_t len)
{
	static _Thread_local struct record r; /* a copy: packets are not aligned */
	const uint8_t *at = memmem(packet, len, RECORD_MAGIC, sizeof(r.magic));

	if (!at || len - (size_t)(at - (const uint8_t *)packet) < sizeof(r))
		return NULL;
	memcpy(&r, at, sizeof(r));
	return ledger_record_is_valid(l, &r) && goes_to(&l->paths[r.path], packet, len) ? &r : NULL;
}

void ledger_mark(struct ledger *l, const struct record *r, uint8_t seen)
{
	atomic_fetch_or(&l->pages[r->path].packets[r->number], seen);
}

/* ---- leak-paths ------------------------------------------------------------------------------------------------------ */

static int index_of(const char *const *names, int n, const char *wanted)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], wanted))
			return i;
	probe_usage("leak: %s is unknown", wanted);
}

static void read_option(struct path *p, const char *option)
{
	p->steady = true;
	if (!strncmp(option, "sport=", 6))
		p->source_port = (uint16_t)probe_number(option + 6, 65535);
	else if (!strncmp(option, "real=", 5))
		p->real = probe_endpoint(option + 5, NULL);
	else if (strcmp(option, "steady") != 0)
		probe_usage("leak-paths: unknown option %s", option);
}

static void add_path(struct ledger *l, const char *line)
{
	char from[NAME_BYTES], to[NAME_BYTES], kind[16], source[64], target[64], port[8], rate[8], expected[16], option[64];
	struct path *p = &l->paths[l->n_paths];
	int read = 0, more;

	if (l->n_paths == PATHS_MAX)
		probe_usage("leak-paths: more than %d", PATHS_MAX);
	if (sscanf(line, "%23s %23s %15s %63s %63s %7s %7s %15s%n", from, to, kind, source, target, port, rate, expected, &read) < 8)
		probe_usage("leak-paths: not a path: %s", line);
	memcpy(p->from, from, sizeof(from));
	memcpy(p->to, to, sizeof(to));
	p->kind = (uint8_t)index_of(kind_names, KIND_COUNT, kind);
	p->port = (uint16_t)probe_number(port, 65535);
	p->rate = (uint32_t)probe_number(rate, 10000);
	p->source = probe_endpoint(source, NULL);
	p->target = p->real = probe_endpoint(target, NULL);
	p->expected = (uint8_t)index_of(expectation_names, EXPECT_COUNT, expected);
	for (; sscanf(line + read, "%63s%n", option, &more) == 1; read += more)
		read_option(p, option);
	l->n_paths++;
}

int probe_leak_paths(int argc, char **argv)
{
	struct ledger *l;
	char line[512];

	if (argc != 2)
		probe_usage("leak-paths LEDGER");
	l = ledger_open(argv[1]);
	while (fgets(line, sizeof(line), stdin))
		add_path(l, line);
	return 0;
}

/* ---- leak-set -------------------------------------------------------------------------------------------------------- */

static bool is_matched(const struct path *p, char **patterns)
{
	char name[128];

	ledger_path_name(p, name, sizeof(name));
	for (; *patterns; patterns++)
		if (!fnmatch(*patterns, name, 0))
			return true;
	return false;
}

/* Of a packet that was sent: it has come to the node, and if it may pass, on. */
static bool is_under_way(uint8_t packet)
{
	uint8_t expected = packet & EXPECTED_MASK;

	if (expected == EXPECT_ALLOW)
		return !(packet & (SEEN_OUT | SEEN_RECEIVED));
	return expected == EXPECT_DENY && !(packet & SEEN_IN);
}

static bool has_packets_under_way(const struct ledger *l, uint32_t path)
{
	const struct path *p = &l->paths[path];
	uint32_t end;

	if (p->sending) /* before its number is read: one that is sent meanwhile knows what is expected of it now */
		return true;
	end = p->sent;
	for (uint32_t i = end > LAST_PACKETS ? end - LAST_PACKETS : 0; i < end; i++)
		if (is_under_way(l->pages[path].packets[i]))
			return true;
	return false;
}

static void set_path(struct path *p, uint8_t wanted)
{
	if (wanted == EXPECT_OPENING)
		p->opening_us = ledger_clock_us();
	if (wanted != EXPECT_DENY)
		p->closing_us = wanted == EXPECT_CLOSING ? ledger_clock_us() : 0;
	atomic_store(&p->expected, wanted);
}

/* Returns when what was sent under the old expectation has met its fate, so that the change it waits for cannot concern it. */
int probe_leak_set(int argc, char **argv)
{
	uint8_t wanted;
	struct ledger *l;
	unsigned matched = 0;

	if (argc < 4)
		probe_usage("leak-set LEDGER EXPECTATION PATTERN...");
	l = ledger_open(argv[1]);
	wanted = (uint8_t)index_of(expectation_names, EXPECT_COUNT, argv[2]);
	for (uint32_t i = 0; i < l->n_paths; i++) {
		if (!is_matched(&l->paths[i], argv + 3))
			continue;
		matched++;
		set_path(&l->paths[i], wanted);
	}
	if (!matched)
		probe_usage("leak-set: no path is called %s", argv[3]);
	for (uint64_t end = probe_now_ms() + UNDER_WAY_MS; probe_now_ms() < end; probe_pause_us(500)) {
		bool waiting = false;

		for (uint32_t i = 0; i < l->n_paths && !waiting; i++)
			waiting = is_matched(&l->paths[i], argv + 3) && has_packets_under_way(l, i);
		if (!waiting)
			break;
	}
	return 0;
}

/* ---- leak-opened ----------------------------------------------------------------------------------------------------- */

static bool is_opening(const struct ledger *l, char **patterns)
{
	for (uint32_t i = 0; i < l->n_paths; i++)
		if (l->paths[i].opening_us && is_matched(&l->paths[i], patterns))
			return true;
	return false;
}

int probe_leak_opened(int argc, char **argv)
{
	uint64_t end = probe_now_ms() + OPENING_MS;
	struct ledger *l;

	if (argc < 3)
		probe_usage("leak-opened LEDGER PATTERN...");
	l = ledger_open(argv[1]);
	while (is_opening(l, argv + 2)) {
		if (probe_now_ms() > end)
			return PROBE_DROPPED;
		probe_pause_us(500);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netns-tests/probing/probe.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct mode {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
} modes[] = {
	{ "serve", probe_serve, "[--background] tcp|udp|both|sctp ADDR PORT..." },
	{ "tcp", probe_tcp, "ADDR PORT [--timeout MS] [--source ADDR] [--sport PORT]" },
	{ "sctp", probe_sctp, "ADDR PORT [--timeout MS] [--source ADDR] [--sport PORT]" },
	{ "udp", probe_udp, "ADDR PORT [--timeout MS] [--source ADDR] [--sport PORT] [--size BYTES]" },
	{ "ping", probe_ping, "ADDR [--timeout MS] [--source ADDR] [--size BYTES]" },
	{ "hold", probe_hold, "tcp|udp ADDR PORT [--dead MS] [--source ADDR] [--sport PORT]" },
	{ "flood", probe_flood, "udp ADDR PORT --rate PER_SECOND --seconds N [--sport PORT]" },
	{ "count", probe_count, "udp ADDR PORT" },
	{ "bursts", probe_bursts, "udp ADDR PORT --rate PER_SECOND [--pause MS]" },
	{ "ear", probe_ear, "PID nftables|route hard|deaf" },
	{ "craft", probe_craft, "[--dev IF] [--gateway MAC] [--token N] [--count N] LAYER [KEY=VALUE]... [/ LAYER...]... | --lines" },
	{ "capture", probe_capture, "NAME=NETNS|NAME:NETNS..." },
	{ "mroute", probe_mroute, "IF... -- GROUP SOURCE IF [SOURCE IF]..." },
	{ "offload", probe_offload, "IF on|off" },
	{ "links", probe_links, "INDEX NAME" },
	{ "first", probe_first, "ADDR PORT [ADDR PORT]..." },
	{ "leak-paths", probe_leak_paths, "LEDGER < lines: FROM TO syn|ack|udp|echo|fragments SADDR DADDR PORT RATE EXPECTATION [steady|sport=PORT] [real=ADDR]" },
	{ "leak-set", probe_leak_set, "LEDGER off|deny|allow|either|opening|closing PATTERN..." },
	{ "leak-opened", probe_leak_opened, "LEDGER PATTERN..." },
	{ "leak-send", probe_leak_send, "LEDGER FROM" },
	{ "leak-tap", probe_leak_tap, "LEDGER" },
	{ "leak-receive", probe_leak_receive, "LEDGER TO" },
	{ "leak-report", probe_leak_report, "LEDGER" },
	{ "die-at", probe_die_at, "NUMBER COMMAND..." },
	{ "conntrack-fill", probe_conntrack_fill, "NUMBER" },
};

/* A story starts hundreds of probes in other namespaces: entering here saves one exec of `ip netns exec` and its mounts. */
static void enter(const char *netns)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), strchr(netns, '/') ? "%s" : "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		probe_die(path);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		enter(argv[2]);
		argc -= 2;
		argv += 2;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name))
			return modes[i].run(argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		fprintf(stderr, "probe [-n NETNS] %s %s\n", modes[i].name, modes[i].arguments);
	return PROBE_USAGE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ADD cannot do without: one process that sends the batch which closes a pod, on a ruleset that stands, and ends. No
 * input, no checks, no state file, no look at links, rules or connections.
 *
 *	floor put|undo PORT ADDRESS…
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "moat/pod.h"

static int put(const struct attachment *a, struct err *err)
{
	const char *target[DIRECTION_COUNT];
	struct txn *t = txn_new();
	struct nl nl;
	int code;

	for (int d = 0; d < DIRECTION_COUNT; d++)
		target[d] = pod_closed_target(MODE_STRICT, (enum direction)d);
	pod_put(t, a, target);
	code = nl_open(&nl, NETLINK_NETFILTER, err);
	return code < 0 ? code : txn_commit(t, &nl, err);
}

int main(int argc, char **argv)
{
	struct attachment a = {.created = 1, .mode = MODE_STRICT};
	struct err err;
	int code = 0;

	if (argc < 4 || argc > 3 + ATTACHMENT_ADDRS_MAX)
		return 2;
	snprintf(a.port, sizeof(a.port), "%s", argv[2]);
	for (int i = 3; code == 0 && i < argc; i++)
		code = addr_parse(argv[i], &a.addrs[a.n_addrs++], &err);
	if (code == 0 && !strcmp(argv[1], "put"))
		code = put(&a, &err);
	else if (code == 0 && (code = pod_withdraw(&a, &err)) == 0)
		code = pod_release_port(&a, &err);
	if (code < 0)
		fprintf(stderr, "floor: %s\n", err.text);
	return code < 0;
}

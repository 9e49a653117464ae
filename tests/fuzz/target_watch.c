/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells of changes: the input is datagrams of the watch's socket (kernel.h), and the kernel complies with whatever is asked
 * and sent because of them. Whatever was told, the daemon goes on to hear: a table that is deleted after it is barred at once, and
 * the next reconciliation succeeds.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

#include "moat/ruleset.h"
#include "policyd/kernel/watch.h"
#include "tests/build.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/kernel.h"

#define GENERATION_AFTER 0x40000000 /* of the deletion: later than whatever an input's is likely to be */

struct watcher {
	struct cluster *cluster;
	struct reconcile reconcile;
	struct watch watch;
	uv_loop_t loop;
};

static void prepare(void)
{
	fuzz_rundir_make();
	stderr = fopen("/dev/null", "we");
}

static void on_found(void *arg)
{
	struct err err;

	FUZZ_CHECK(reconcile_run(arg, &err) == 0);
}

/* Nobody else writes the pod store. */
static bool refresh(void *arg)
{
	(void)arg;
	return false;
}

static void watcher_start(struct watcher *n)
{
	struct attachment *a = build_attachment("c1", "a", "p", "10.0.0.1,fd00::1");
	struct object *policy = build_policy("a", "n", "role=db", INGRESS);
	struct err err;

	build_peer(build_rule(policy, INGRESS), "pods role=web");
	n->cluster = cluster_new();
	cluster_upsert(n->cluster, build_namespace("a", NULL));
	cluster_upsert(n->cluster, build_pod("a", "p", "role=db", NULL, NULL));
	cluster_upsert(n->cluster, build_pod("a", "q", "role=web", "10.0.0.2", NULL));
	cluster_upsert(n->cluster, policy);
	cluster_attach(n->cluster, a);
	attachment_free(a);
	FUZZ_CHECK(reconcile_init(&n->reconcile, n->cluster, &err) == 0);
	n->reconcile.refresh = refresh;
	FUZZ_CHECK(reconcile_run(&n->reconcile, &err) == 0);
	uv_loop_init(&n->loop);
	FUZZ_CHECK(watch_start(&n->watch, &n->reconcile, &n->loop, on_found, &n->reconcile, &err) == 0);
}

static void watcher_end(struct watcher *n)
{
	watch_close_handles(&n->watch);
	uv_run(&n->loop, UV_RUN_DEFAULT);
	FUZZ_CHECK(uv_loop_close(&n->loop) == 0);
	watch_done(&n->watch);
	reconcile_done(&n->reconcile);
	cluster_free(n->cluster);
}

struct record {
	uint8_t len[2];
	struct nlmsghdr header;
	struct nfgenmsg nfg;
	struct nlattr attr;
	uint8_t value[8];
} __attribute__((packed));

/* A generation, so that nothing of the input is pending; then the deletion of table inet moat, and its generation. */
static void put_deletion(struct record ret[3])
{
	struct record record = {
		.len = {sizeof(record) - sizeof(record.len), 0},
		.header = {.nlmsg_len = sizeof(record) - sizeof(record.len)},
	};

	for (int i = 0; i < 3; i++) {
		uint16_t type = i == 1 ? NFT_MSG_DELTABLE : NFT_MSG_NEWGEN;
		uint32_t generation = htonl(GENERATION_AFTER + (uint32_t)i);

		record.header.nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
		record.nfg.nfgen_family = i == 1 ? NFPROTO_INET : NFPROTO_UNSPEC;
		record.attr.nla_type = i == 1 ? NFTA_TABLE_NAME : NFTA_GEN_ID;
		record.attr.nla_len = (uint16_t)(sizeof(record.attr) + (i == 1 ? sizeof(TABLE_NAME) : sizeof(generation)));
		memset(record.value, 0, sizeof(record.value));
		if (i == 1)
			memcpy(record.value, TABLE_NAME, sizeof(TABLE_NAME));
		else
			memcpy(record.value, &generation, sizeof(generation));
		ret[i] = record;
	}
}

static void run(const uint8_t *data, size_t len)
{
	struct record deletion[3];
	struct watcher n = {.watch = {.fd = -1}};
	unsigned commits;
	struct err err;

	put_deletion(deletion);
	fuzz_kernel_complies("eth0");
	watcher_start(&n);
	fuzz_kernel_tells(data, len);
	watch_look(&n.watch);
	FUZZ_CHECK(memchr(n.watch.change.what, 0, sizeof(n.watch.change.what)));
	commits = fuzz_kernel_commits();
	fuzz_kernel_tells((const uint8_t *)deletion, 2 * sizeof(deletion[0]));
	watch_look(&n.watch);
	FUZZ_CHECK(fuzz_kernel_commits() > commits);
	fuzz_kernel_tells((const uint8_t *)&deletion[2], sizeof(deletion[2]));
	watch_look(&n.watch);
	FUZZ_CHECK(reconcile_run(&n.reconcile, &err) == 0 && n.reconcile.built);
	watcher_end(&n);
	fuzz_rundir_clear();
}

const struct fuzz_target fuzz_watch = {"watch", prepare, run};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proof that the static part of a table stands is a dump of all its rules, the dearest question of an ADD (0.3–0.4 ms, and for a
 * pod of a bridge as much again). The kernel counts the commits to the nftables of a network namespace, whoever makes them and whatever
 * the table (NFTA_GEN_ID). So the count at which each static part was proved is recorded, and while it has not moved, the dump would
 * say what it said: it is not asked for again.
 *
 * A commit of ours moves the count too, and does not touch the static part. Whoever makes one hands the record on with the new
 * count, but only if it moved by exactly one: that was ours, since ours certainly changed something, and a batch that changes nothing does
 * not count. After anybody else's commit, and after one of ours that did not hand it on, the record is of a count that never comes
 * again, and the next ADD proves all. So nobody needs to hold a lock, and a record that is lost or torn costs a dump.
 *
 * The record has the hashes of the rules that it speaks of: another version of moat has others. Nothing is recorded while table inet is
 * not known to stand; table bridge is known only where a pod of a bridge was closed since somebody else's last commit.
 */
#include "moat/proof.h"

#include <fcntl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/netlink/attr_internal.h"
#include "moat/nl.h"
#include "moat/podstore.h"
#include "ruleset_internal.h"
#include "core/netlink/txn_internal.h"

#define HASH_START 0xcbf29ce484222325u /* FNV-1a, 64 bits */
#define HASH_PRIME 0x100000001b3u

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * HASH_PRIME;
	return h;
}

static uint64_t hash_of_static_part(enum table table)
{
	struct txn *wanted = ruleset_wanted(table);
	uint64_t h = HASH_START;

	for (size_t i = 0; i < wanted->tags.n; i++) {
		h = hash(h, wanted->tags.v[i].chain, strlen(wanted->tags.v[i].chain) + 1);
		h = hash(h, &wanted->tags.v[i].tag, sizeof(wanted->tags.v[i].tag));
	}
	txn_free(wanted);
	return h ? h : 1;
}

static uint64_t check_of(const struct proof_record *r)
{
	return hash(HASH_START, r, offsetof(struct proof_record, check));
}

static int on_generation(const struct nlmsghdr *nlh, void *arg)
{
	*(uint32_t *)arg = attr_be32(attr_of(nlh, sizeof(struct nfgenmsg), NFTA_GEN_ID), 0);
	return 0;
}

/* 0 if the kernel does not say. */
static uint32_t ask_generation(struct nl *nl)
{
	char scratch[256] = {0};
	uint32_t generation = 0;

	if (nl_request(nl, nftnl_nlmsg_build_hdr(scratch, NFT_MSG_GETGEN, AF_UNSPEC, 0, 0), on_generation, &generation) < 0)
		return 0;
	return generation;
}

static bool read_exactly(const char *path, void *data, size_t len)
{
	CLEAN_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 && read(fd, data, len) == (ssize_t)len;
}

static char *record_path(void)
{
	return mem_printf("%s/proof", podstore_dir());
}

/* Where and when we are; false if that cannot be told. */
static bool ask_place(struct proof_record *r, struct nl *nl)
{
	socklen_t len = sizeof(r->netns);

	return read_exactly("/proc/sys/kernel/random/boot_id", r->boot, 36) &&
	       getsockopt(nl->fd, SOL_SOCKET, SO_NETNS_COOKIE, &r->netns, &len) == 0 && (r->generation = ask_generation(nl)) != 0;
}

void proof_begin(struct proof *p, struct nl *nl, bool trust)
{
	CLEAN_FREE char *path = record_path();
	struct proof_record kept;

	memset(p, 0, sizeof(*p));
	p->nl = nl;
	if (!ask_place(&p->now, nl))
		p->now.generation = 0;
	else if (trust && read_exactly(path, &kept, sizeof(kept)) && kept.check == check_of(&kept) &&
		 !memcmp(&kept, &p->now, offsetof(struct proof_record, static_part)))
		p->now = kept;
}

int proof_make(struct proof *p, enum table table, struct err *err)
{
	uint64_t wanted = hash_of_static_part(table);
	int code = 0;

	if (p->now.static_part[table] != wanted)
		code = ruleset_prove(p->nl, table, err);
	p->now.static_part[table] = code == 0 ? wanted : 0;
	return code;
}

void proof_renew(struct proof *p, enum table table)
{
	p->now.static_part[table] = hash_of_static_part(table);
}

bool proof_pass(struct proof *p)
{
	uint32_t before = p->now.generation;

	if (!before || !p->now.static_part[TABLE_INET])
		return false;
	p->now.generation = ask_generation(p->nl);
	if (p->now.generation == before + 1)
		return true;
	p->now.generation = 0; /* somebody else's commit: nobody knows what he did */
	return false;
}

void proof_keep(struct proof *p)
{
	CLEAN_FREE char *path = NULL;
	CLEAN_CLOSE int fd = -1;

	if (!proof_pass(p))
		return;
	p->now.check = check_of(&p->now);
	path = record_path();
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, &p->now, sizeof(p->now)) < 0)
		return; /* without it the next ADD proves all */
}

int proof_commit(struct txn *t, struct nl *nl, struct err *err)
{
	struct proof p;
	int code;

	proof_begin(&p, nl, t->tags.n == 0);
	if (p.now.static_part[TABLE_INET])
		txn_discard_element(t, &set_ports, key_of_port("-"), NULL); /* so that it certainly counts */
	code = txn_commit(t, nl, err);
	if (code == 0)
		proof_keep(&p);
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch. Messages are serialised as they are queued, each with its place in the queue as sequence number: the kernel answers
 * with the number of what it refuses, and the label kept beside it says which operation that was.
 *
 * Netlink handles a batch inside sendmsg(), so every answer is in the socket's buffer when it returns (nfnetlink_rcv_batch);
 * the last operation asks for an acknowledgement, which comes after all errors.
 */
#include "txn_internal.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "attr_internal.h"
#include "moat/text.h"

static void forget_messages(struct txn *t);

struct txn *txn_new(void)
{
	return mem_zalloc(sizeof(struct txn));
}

void txn_free(struct txn *t)
{
	if (!t)
		return;
	if (t->rule)
		nftnl_rule_free(t->rule);
	if (t->elements)
		nftnl_set_free(t->elements);
	forget_messages(t);
	VEC_DONE(&t->labels);
	VEC_DONE(&t->tags);
	free(t->bytes);
	free(t);
}

bool txn_is_empty(const struct txn *t)
{
	return t->labels.n == 0 && !t->elements;
}

size_t txn_bytes(const struct txn *t)
{
	return t->len;
}

const char *table_text(enum table table)
{
	static const char *const texts[] = {"inet " TABLE_NAME, "bridge " TABLE_NAME, "inet " TABLE_NAME "-nat"};

	return texts[table];
}

const char *table_name(enum table table)
{
	return table == TABLE_NAT ? TABLE_NAME "-nat" : TABLE_NAME;
}

uint8_t table_family(enum table table)
{
	return table == TABLE_BRIDGE ? NFPROTO_BRIDGE : NFPROTO_INET;
}

void txn_only_at(struct txn *t, uint32_t generation)
{
	t->only_at = generation;
}

void txn_on(struct txn *t, enum table table)
{
	t->table = table;
}

struct nlmsghdr *txn_message_begin(struct txn *t, enum table table, void *scratch, uint16_t type, uint16_t flags)
{
	if (t->in_rule)
		abort(); /* a rule was begun and not ended */
	/* nftnl's sequence number is the place in the queue, counted from 1: 0 is the frame's */
	return nftnl_nlmsg_build_hdr(scratch, type, table_family(table), flags, (uint32_t)t->labels.n + 1);
}

static int send_and_read(struct txn *t, struct nl *nl, struct err *err);

#define PART_BYTES (128ul * 1024)

void txn_allow_parts(struct txn *t, struct nl *nl)
{
	t->parts = nl;
}

static void forget_messages(struct txn *t)
{
	for (size_t i = 0; i < t->labels.n; i++)
		free(t->labels.v[i]);
	t->labels.n = 0;
	t->len = 0;
	t->set_id = 0;
}

void txn_message_end(struct txn *t, const struct nlmsghdr *nlh, char *label)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	size_t size = MNL_ALIGN(nlh->nlmsg_len);

	if (nfg->nfgen_family == NFPROTO_BRIDGE) { /* names are the same in both tables */
		char *whole = mem_printf("bridge: %s", label);

		free(label);
		label = whole;
	}
	if (t->len + size > t->cap) {
		t->cap = 2 * t->cap > t->len + size ? 2 * t->cap : t->len + size + 4096;
		t->bytes = mem_realloc(t->bytes, t->cap, 1);
	}
	memset(t->bytes + t->len, 0, size);
	memcpy(t->bytes + t->len, nlh, nlh->nlmsg_len);
	t->len += size;
	VEC_PUSH(&t->labels, label);
	if (t->parts && t->len > PART_BYTES) {
		if (!t->part_error.code)
			send_and_read(t, t->parts, &t->part_error);
		forget_messages(t);
	}
}

void txn_add_table(struct txn *t)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh;

	txn_elements_flush(t);
	nlh = txn_message_begin(t, t->table, scratch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table_name(t->table));
	mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, 0); /* also wakes a table that a stranger made dormant */
	txn_message_end(t, nlh, mem_printf("add table %s", table_text(t->table)));
}

void txn_delete_table(struct txn *t)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh;

	txn_elements_flush(t);
	nlh = txn_message_begin(t, t->table, scratch, NFT_MSG_DELTABLE, 0);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table_name(t->table));
	txn_message_end(t, nlh, mem_printf("delete table %s", table_text(t->table)));
}

static void chain_message(struct txn *t, uint16_t type, uint16_t flags, const char *chain, const struct chain_hook *hook,
			  const char *verb)
{
	char scratch[1024] = {0};
	struct nftnl_chain *c = MUST(nftnl_chain_alloc());
	struct nlmsghdr *nlh;

	txn_elements_flush(t);
	nlh = txn_message_begin(t, t->table, scratch, type, flags);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_FAMILY, table_family(t->table));
	MUST_COPY(nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table_name(t->table)));
	MUST_COPY(nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain));
	if (hook) {
		MUST_COPY(nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, t->table == TABLE_NAT ? "nat" : "filter"));
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook->hook);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, hook->priority);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	nftnl_chain_nlmsg_build_payload(nlh, c);
	nftnl_chain_free(c);
	txn_message_end(t, nlh, mem_printf("%s chain %s", verb, chain));
}

void txn_add_chain(struct txn *t, const char *chain, const struct chain_hook *hook)
{
	chain_message(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE, chain, hook, "add");
}

void txn_delete_chain(struct txn *t, const char *chain)
{
	chain_message(t, NFT_MSG_DELCHAIN, 0, chain, NULL, "delete");
}

void txn_flush_chain(struct txn *t, const char *chain)
{
	char scratch[512] = {0};
	struct nlmsghdr *nlh;

	txn_elements_flush(t);
	nlh = txn_message_begin(t, t->table, scratch, NFT_MSG_DELRULE, 0);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, table_name(t->table));
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	txn_message_end(t, nlh, mem_printf("flush chain %s", chain));
}

void txn_discard_chain(struct txn *t, const char *chain)
{
	txn_add_chain(t, chain, NULL);
	txn_flush_chain(t, chain);
	txn_delete_chain(t, chain);
}

/* The kernel takes a batch as one datagram, so the socket must be ready for its size. */
static void fit_send_buffer(int fd, size_t bytes)
{
	int want = (int)(bytes + 4096), have = 0;
	socklen_t len = sizeof(have);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &have, &len) == 0 && have >= want)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof(want)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof(want)); /* sendmsg tells if this was not enough */
}

#define SEND_ATTEMPTS 3 /* the kernel had no memory for the batch */

static int send_batch(struct txn *t, int fd)
{
	char begin[64] = {0}, end[64] = {0};
	struct nlmsghdr *first = nftnl_batch_begin(begin, 0), *last = nftnl_batch_end(end, 0);
	if (t->only_at)
		mnl_attr_put_u32(first, NFNL_BATCH_GENID, htonl(t->only_at));
	struct iovec iov[] = {
		{.iov_base = begin, .iov_len = first->nlmsg_len},
		{.iov_base = t->bytes, .iov_len = t->len},
		{.iov_base = end, .iov_len = last->nlmsg_len},
	};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct msghdr msg = {.msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov)};
	size_t offset = 0;

	for (size_t i = 0; i + 1 < t->labels.n; i++)
		offset += MNL_ALIGN(((struct nlmsghdr *)(t->bytes + offset))->nlmsg_len);
	((struct nlmsghdr *)(t->bytes + offset))->nlmsg_flags |= NLM_F_ACK;

	fit_send_buffer(fd, t->len);
	for (int refused = 0; sendmsg(fd, &msg, 0) < 0;)
		if (errno != EINTR && (errno != ENOBUFS || ++refused == SEND_ATTEMPTS))
			return -errno;
	return 0;
}

/* Records the first refusal; returns true at the acknowledgement of the whole (or its refusal as a whole). */
static bool read_verdict(struct txn *t, const struct nlmsghdr *nlh, int *result, struct err *err)
{
	uint32_t seq = nlh->nlmsg_seq;
	int code;

	if (nlh->nlmsg_type != NLMSG_ERROR)
		return false;
	code = attr_error(nlh);
	if (code < 0 && !*result)
		*result = err_errno(err, -code, "nftables: %s", seq && seq <= t->labels.n ? t->labels.v[seq - 1] : "commit");
	return seq == t->labels.n || (seq == 0 && code < 0);
}

int txn_commit(struct txn *t, struct nl *nl, struct err *err)
{
	txn_elements_flush(t);
	if (t->part_error.code)
		return err_set(err, t->part_error.code, "%s", t->part_error.text);
	return t->labels.n ? send_and_read(t, nl, err) : 0;
}

static int send_and_read(struct txn *t, struct nl *nl, struct err *err)
{
	CLEAN_FREE char *buf = NULL;
	int result = 0, lost = 0, sent;
	bool done = false;

	sent = send_batch(t, nl->fd);
	if (sent < 0)
		return err_errno(err, -sent, "nftables: send a batch of %zu bytes", t->len);
	buf = mem_alloc(65536);
	while (!done) {
		ssize_t got = recv(nl->fd, buf, 65536, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			/* Every answer is there when sendmsg returns. After an overrun the first ones still are, and they say why. */
			lost = errno == EAGAIN ? ENOBUFS : errno;
			if (errno == ENOBUFS)
				continue;
			break;
		}
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (void *)buf; attr_message_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			done |= read_verdict(t, nlh, &result, err);
	}
	while (recv(nl->fd, buf, 65536, MSG_DONTWAIT) > 0)
		; /* nothing of this batch may meet the next one */
	return result || !lost ? result : err_errno(err, lost, "nftables: read the answer to a batch");
}

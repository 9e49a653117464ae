/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin changes the table too: pods' own chains and the elements of the static sets are its, at ADD and DEL. So:
 *
 *	the table, a static chain or its rules, what program.h names    only the daemon (and an ADD that repairs, which closes every
 *	                                                                pod): everything is built anew
 *	the rule of a chain of a pod that is attached                   put again, if the pod store still has the attachment
 *
 * A lost notification (ENOBUFS) counts as the worst. Elements of the static sets are not watched: an ADD and a thief look alike
 * there.
 */
#include "policyd/watch.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moat/log.h"
#include "moat/ruleset.h"

#define RECEIVE_BYTES (1 << 20) /* a flush of 250 pods emits some 1,800 notifications of 100–200 bytes, each an skb of its own */

/* The string attribute of this type; NULL if it is not there or not terminated. */
static const char *string_attr(const struct nlmsghdr *nlh, uint16_t type)
{
	const char *p = (const char *)nlh + NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	const char *end = (const char *)nlh + nlh->nlmsg_len;

	while (p + NLA_HDRLEN <= end) {
		const struct nlattr *attr = (const struct nlattr *)p;

		if (attr->nla_len < NLA_HDRLEN || p + attr->nla_len > end)
			break;
		if ((attr->nla_type & NLA_TYPE_MASK) == type)
			return memchr(p + NLA_HDRLEN, '\0', attr->nla_len - NLA_HDRLEN) ? p + NLA_HDRLEN : NULL;
		p += NLA_ALIGN(attr->nla_len);
	}
	return NULL;
}

static bool is_static_chain(const char *name)
{
	for (size_t i = 0; i < n_static_chains; i++)
		if (!strcmp(name, static_chains[i].name))
			return true;
	return false;
}

/* A chain, or a rule in it. */
static void on_chain(struct watch *w, const char *chain, bool *surprise)
{
	bool current;

	if (is_static_chain(chain) || (program_owns_name(chain, w->reconcile->epoch, &current) && current))
		*surprise = true;
	else
		reconcile_distrust_chain(w->reconcile, chain);
}

static void on_message(struct watch *w, const struct nlmsghdr *nlh, bool *surprise)
{
	const struct nfgenmsg *nfg = (const struct nfgenmsg *)NLMSG_DATA(nlh);
	const char *table, *name;
	bool current;

	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*nfg)) ||
	    nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || nfg->nfgen_family != NFPROTO_INET)
		return;
	table = string_attr(nlh, NFTA_TABLE_NAME); /* the same number in every object's attributes */
	if (!table || strcmp(table, TABLE_NAME) != 0)
		return;
	switch (nlh->nlmsg_type & 0xff) {
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_DELTABLE:
		*surprise = true;
		break;
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
		name = string_attr(nlh, NFTA_CHAIN_NAME);
		if (name)
			on_chain(w, name, surprise);
		break;
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
		name = string_attr(nlh, NFTA_RULE_CHAIN);
		if (name)
			on_chain(w, name, surprise);
		break;
	case NFT_MSG_DELSET:
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
		name = string_attr(nlh, NFTA_SET_NAME); /* likewise NFTA_SET_ELEM_LIST_SET */
		if (name && program_owns_name(name, w->reconcile->epoch, &current) && current)
			*surprise = true;
		break;
	}
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct watch *w = handle->data;
	bool surprise = false;
	char buf[16384];
	ssize_t got;

	(void)events;
	if (status < 0) /* an overrun is an error of the socket, at which libuv stops polling for good */
		uv_poll_start(handle, UV_READABLE, on_readable);
	while ((got = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT)) != 0) {
		if (got < 0 && errno != EINTR && errno != ENOBUFS)
			break;
		surprise |= got < 0 && errno == ENOBUFS;
		for (struct nlmsghdr *nlh = (struct nlmsghdr *)buf; got > 0 && NLMSG_OK(nlh, got); nlh = NLMSG_NEXT(nlh, got))
			on_message(w, nlh, &surprise);
	}
	if (surprise && w->reconcile->built) {
		log_warn("stranger-at-the-table action=rebuild");
		reconcile_distrust(w->reconcile);
	}
	if (surprise || w->reconcile->pending.n)
		w->found(w->arg);
}

/*
 * Our own changes are filtered out in the kernel: all messages of one datagram come from one transaction, so the first one's
 * sender is everybody's. A rebuild of large sets would overrun the socket otherwise, which would mean another rebuild.
 */
static int ignore_own(int fd, uint32_t portid)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(portid), 0, 1), /* loads are big-endian, the field is the host's */
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int watch_start(struct watch *w, struct reconcile *r, uv_loop_t *loop, void (*found)(void *arg), void *arg, struct err *err)
{
	static const int group = NFNLGRP_NFTABLES, bytes = RECEIVE_BYTES;
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};

	w->reconcile = r;
	w->found = found;
	w->arg = arg;
	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (w->fd < 0 || bind(w->fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    ignore_own(w->fd, r->nl.portid) < 0 ||
	    setsockopt(w->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_errno(err, errno, "watch nftables");
	if (setsockopt(w->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)); /* less room only means more full checks */
	uv_poll_init(loop, &w->events, w->fd);
	w->events.data = w;
	uv_poll_start(&w->events, UV_READABLE, on_readable);
	return 0;
}

void watch_close_handle(struct watch *w)
{
	if (w->fd >= 0)
		uv_close((uv_handle_t *)&w->events, NULL);
}

void watch_done(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/change.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bench/cluster.h"
#include "bench/sample.h"

#define WAIT_MS 5000

static void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

void change_subscribe(struct change_events *e)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int group = NFNLGRP_NFTABLES, bytes = 16 << 20;

	e->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (e->fd < 0 || bind(e->fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    setsockopt(e->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		die("subscribe to nftables events");
	if (setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* NFTA_RULE_CHAIN, or NFTA_SET_ELEM_LIST_SET. */
static const char *name_of(const struct nlmsghdr *nlh, int type)
{
	int wanted = type == NFT_MSG_NEWRULE ? NFTA_RULE_CHAIN : NFTA_SET_ELEM_LIST_SET;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == wanted)
			return mnl_attr_get_str(attr);
	return "";
}

static int on_event(const struct nlmsghdr *nlh, void *arg)
{
	struct change_wanted *w = arg;
	int type = nlh->nlmsg_type & 0xff;

	if (type == NFT_MSG_NEWGEN) {
		w->done |= w->seen;
	} else if (type == w->type) {
		const char *name = name_of(nlh, type);

		for (size_t i = 0; i < ARRAY_SIZE(w->start); i++)
			w->seen |= !strncmp(name, w->start[i], strlen(w->start[i]));
	}
	return MNL_CB_OK;
}

static void read_events(int fd, struct change_wanted *w, int flags)
{
	static char buf[65536];
	ssize_t got = recv(fd, buf, sizeof(buf), flags);

	if (got > 0)
		mnl_cb_run(buf, (size_t)got, 0, 0, on_event, w);
}

static void drain(int fd)
{
	struct change_wanted nothing = {.type = -1, .start = {"", ""}};
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (poll(&p, 1, 0) > 0)
		read_events(fd, &nothing, MSG_DONTWAIT);
}

double change_begin(struct change_events *e, const char *directory, const char *file, const char *text)
{
	double began;

	cluster_write_beside(directory, file, text);
	drain(e->fd);
	began = sample_now_ms();
	cluster_rename_in(directory, file);
	return began;
}

double change_wait(struct change_events *e, struct change_wanted w, const char *what)
{
	struct pollfd p = {.fd = e->fd, .events = POLLIN};

	while (!w.done) {
		if (poll(&p, 1, WAIT_MS) <= 0)
			die(what);
		read_events(e->fd, &w, MSG_DONTWAIT);
	}
	return sample_now_ms();
}

double change_take(struct change_events *e, const char *directory, const char *file, const char *text, struct change_wanted w)
{
	double began = change_begin(e, directory, file, text);

	return change_wait(e, w, file) - began;
}

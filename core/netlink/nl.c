/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/nl.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attr_internal.h"

#define DUMP_ATTEMPTS 100 /* at a thousand commits a second one dump of a small chain in a hundred is interrupted */
#define MEMORY_ATTEMPTS 3 /* the kernel had no memory for an answer, and may have some now */
#define PARKED_MAX 64 /* a run of the plugin opens some ten; beyond that they are closed at once */
#define ANSWER_BYTES 32768 /* one datagram of a dump: the kernel makes none larger, whatever the reader's buffer */

/* portid 0: the kernel gives one */
static int open_as(struct nl *nl, int bus, uint32_t portid, struct err *err)
{
	static const int on = 1;
	struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_pid = portid};
	socklen_t len = sizeof(self);

	nl->seq = 0;
	nl->bus = bus;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, bus);
	if (nl->fd < 0)
		return err_errno(err, errno, "netlink socket of bus %d", bus);
	if (bind(nl->fd, (struct sockaddr *)&self, sizeof(self)) < 0 || getsockname(nl->fd, (struct sockaddr *)&self, &len) < 0) {
		int code = errno;

		nl_close(nl);
		return err_errno(err, code, "bind netlink socket");
	}
	nl->portid = self.nl_pid;
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)); /* errors need not repeat the message that failed */
	return 0;
}

int nl_open(struct nl *nl, int bus, struct err *err)
{
	return open_as(nl, bus, 0, err);
}

/* The process' own, since every user of a socket closes it; written by nl_park and nl_close only. */
static struct {
	bool on;
	int fds[PARKED_MAX];
	unsigned n;
} parked; /* NOLINT(cppcoreguidelines-avoid-non-const-global-variables): for that reason */

void nl_park(void)
{
	parked.on = true;
}

void nl_close(struct nl *nl)
{
	if (nl->fd >= 0 && parked.on && parked.n < PARKED_MAX)
		parked.fds[parked.n++] = nl->fd;
	else if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

#define WAITER_STACK 16384

/* In the child: what it holds is closed with it. */
static int wait_for_end(void *gone)
{
	const int *pipe = gone;
	char byte;

	close(pipe[1]);
	close_range(STDIN_FILENO, STDERR_FILENO, 0);
	while (read(pipe[0], &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/*
 * A child with descriptors of its own. It needs no memory of its own, and a copy of ours costs twice as much; a program with an
 * interpreter forks, for the sake of valgrind, which looks into no other kind.
 */
static void start_waiter(int gone[2])
{
	if (getauxval(AT_BASE) == 0)
		clone(wait_for_end, (char *)mem_alloc(WAITER_STACK) + WAITER_STACK, CLONE_VM, gone);
	else if (fork() == 0)
		wait_for_end(gone);
}

/*
 * The child must be the last to close, or we would wait after all: it does so when the pipe tells that we have. It holds none of
 * our standard descriptors, since the runtime waits for the end of our output; they are open, so the pipe is none of them.
 */
void nl_leave(void)
{
	static int gone[2]; /* the child may look at it when we have returned */

	if (!parked.n || pipe2(gone, O_CLOEXEC) < 0)
		return;
	start_waiter(gone);
	while (parked.n) /* without a child this waits: slower, never wrong */
		close(parked.fds[--parked.n]);
	close(gone[0]);
	close(gone[1]);
}

/*
 * A socket that has lost a part of an answer may still be in the middle of it, and would refuse the next dump (-EBUSY). The new one
 * has its name, by which notifications are known as our own; one that is put aside keeps it.
 */
static int reopen(struct nl *nl)
{
	uint32_t portid = parked.on ? 0 : nl->portid;

	nl_close(nl);
	return open_as(nl, nl->bus, portid, NULL);
}

/* partial: fn's word ends the reading, not only the listening. */
static int read_answer(struct nl *nl, const struct nlmsghdr *question, bool partial, nl_message_fn fn, void *arg)
{
	bool dump = (question->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP, single = !dump && !(question->nlmsg_flags & NLM_F_ACK);
	_Alignas(struct nlmsghdr) char buf[ANSWER_BYTES];
	bool interrupted = false;
	int result = 0;

	for (;;) {
		ssize_t got = recv(nl->fd, buf, sizeof(buf), MSG_TRUNC);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || (size_t)got > sizeof(buf)) /* no answer of the kernel is empty; a cut one would be waited for in vain */
			return got < 0 ? -errno : got ? -EMSGSIZE : -EPIPE;
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (void *)buf; attr_message_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_seq != question->nlmsg_seq)
				continue;
			interrupted |= nlh->nlmsg_flags & NLM_F_DUMP_INTR;
			if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
				int code = attr_error(nlh);

				if (nlh->nlmsg_type == NLMSG_ERROR && code == 0 && dump)
					continue;
				if (code < 0)
					return code;
				return interrupted && !result ? -EINTR : result;
			}
			if (fn && !result)
				result = fn(nlh, arg); /* the rest is still read, or the next request would meet it */
			if (single || (result && partial))
				return result;
		}
	}
}

static int ask(struct nl *nl, struct nlmsghdr *nlh, nl_message_fn fn, void *arg)
{
	nlh->nlmsg_seq = ++nl->seq;
	if (send(nl->fd, nlh, nlh->nlmsg_len, 0) < 0)
		return -errno;
	return read_answer(nl, nlh, false, fn, arg);
}

int nl_request(struct nl *nl, struct nlmsghdr *nlh, nl_message_fn fn, void *arg)
{
	int code = -ENOBUFS;

	for (int attempt = 0; code == -ENOBUFS && attempt < MEMORY_ATTEMPTS; attempt++)
		if ((attempt == 0 && nl->fd >= 0) || reopen(nl) == 0)
			code = ask(nl, nlh, fn, arg);
	return code;
}

struct kept {
	char *bytes;
	size_t len, cap;
};

static int keep(const struct nlmsghdr *nlh, void *arg)
{
	size_t size = MNL_ALIGN(nlh->nlmsg_len);
	struct kept *k = arg;

	if (!k->bytes || k->len + size > k->cap) {
		k->cap = 2 * (k->len + size);
		k->bytes = mem_realloc(k->bytes, k->cap, 1);
	}
	memcpy(k->bytes + k->len, nlh, nlh->nlmsg_len);
	k->len += size;
	return 0;
}

int nl_dump(struct nl *nl, struct nlmsghdr *nlh, nl_message_fn fn, void *arg)
{
	struct kept k = {0};
	int code = -EINTR, refused = 0;

	for (int attempt = 0; (code == -EINTR || code == -ENOBUFS) && attempt < DUMP_ATTEMPTS; attempt++) {
		k.len = 0;
		if ((code == -ENOBUFS && ++refused == MEMORY_ATTEMPTS) || ((code == -ENOBUFS || nl->fd < 0) && reopen(nl) < 0))
			break;
		code = ask(nl, nlh, keep, &k);
	}
	for (size_t at = 0; code == 0 && at < k.len;) {
		const struct nlmsghdr *message = (const struct nlmsghdr *)(k.bytes + at);

		at += MNL_ALIGN(message->nlmsg_len);
		code = fn(message, arg);
	}
	free(k.bytes);
	return code;
}

int nl_dump_beginning(int bus, struct nlmsghdr *nlh, nl_message_fn fn, void *arg)
{
	struct nl nl;
	int code = nl_open(&nl, bus, NULL);

	if (code < 0)
		return code;
	nlh->nlmsg_seq = ++nl.seq;
	code = send(nl.fd, nlh, nlh->nlmsg_len, 0) < 0 ? -errno : read_answer(&nl, nlh, true, fn, arg);
	nl_close(&nl);
	return code;
}

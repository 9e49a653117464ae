/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define SOCKETS_MAX 64
#define ANSWER_MAX 1024
#define INDEX_INSIDE 2
#define INDEX_PORT 17

struct fake_socket {
	int fd;
	uint32_t seq; /* of the last request */
	bool asked;
	bool batch;   /* it was a batch */
	char answer[ANSWER_MAX] __attribute__((aligned(8))); /* of a kernel that complies */
	size_t answer_len;
};

static struct {
	bool complies;
	const char *ifname;
	unsigned commits;
	struct fuzz_input input;
	struct fake_socket sockets[SOCKETS_MAX];
	size_t n;
} kernel;

void fuzz_kernel_says(const uint8_t *data, size_t len)
{
	kernel.complies = false;
	kernel.input = (struct fuzz_input){data, len};
}

void fuzz_kernel_complies(const char *ifname)
{
	kernel.complies = true;
	kernel.ifname = ifname;
	kernel.commits = 0;
	kernel.input = (struct fuzz_input){NULL, 0};
}

void fuzz_kernel_tells(const uint8_t *data, size_t len)
{
	kernel.input = (struct fuzz_input){data, len};
}

unsigned fuzz_kernel_commits(void)
{
	return kernel.commits;
}

static struct fake_socket *fake(int fd)
{
	for (size_t i = 0; i < kernel.n; i++)
		if (kernel.sockets[i].fd == fd)
			return &kernel.sockets[i];
	return NULL;
}

/* ---- a kernel that complies ---- */

static struct nlmsghdr *answer(struct fake_socket *s, uint16_t type, size_t header)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(s->answer + s->answer_len);

	nlh->nlmsg_type = type;
	nlh->nlmsg_seq = s->seq;
	mnl_nlmsg_put_extra_header(nlh, header);
	return nlh;
}

static void answer_end(struct fake_socket *s, const struct nlmsghdr *nlh)
{
	s->answer_len += MNL_ALIGN(nlh->nlmsg_len);
	FUZZ_CHECK(s->answer_len <= ANSWER_MAX);
}

static void answer_error(struct fake_socket *s, int code)
{
	struct nlmsghdr *nlh = answer(s, NLMSG_ERROR, sizeof(struct nlmsgerr));

	((struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error = -code;
	answer_end(s, nlh);
}

static void answer_done(struct fake_socket *s)
{
	struct nlmsghdr *nlh = answer(s, NLMSG_DONE, sizeof(int));

	nlh->nlmsg_flags |= NLM_F_MULTI;
	answer_end(s, nlh);
}

static void put_link(struct fake_socket *s, uint32_t index, const char *name, uint32_t peer)
{
	struct nlmsghdr *nlh = answer(s, RTM_NEWLINK, sizeof(struct ifinfomsg));
	struct nlattr *info;

	((struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_index = (int)index;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_LINK, peer);
	mnl_attr_put_u32(nlh, IFLA_LINK_NETNSID, 0);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	mnl_attr_nest_end(nlh, info);
	answer_end(s, nlh);
}

/* A dump is asked in the container, an index on the node. */
static void answer_link(struct fake_socket *s, const struct nlmsghdr *request)
{
	int index = ((const struct ifinfomsg *)mnl_nlmsg_get_payload(request))->ifi_index;

	if ((request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) {
		put_link(s, INDEX_INSIDE, kernel.ifname, INDEX_PORT);
		answer_done(s);
	} else if (index == INDEX_PORT) {
		put_link(s, INDEX_PORT, "veth17", INDEX_INSIDE);
	} else {
		answer_error(s, ENODEV);
	}
}

static void answer_request(struct fake_socket *s, const struct nlmsghdr *request)
{
	struct nlmsghdr *nlh;

	switch (request->nlmsg_type) {
	case RTM_GETLINK:
		answer_link(s, request);
		break;
	case RTM_GETNSID:
		nlh = answer(s, RTM_NEWNSID, sizeof(struct rtgenmsg));
		mnl_attr_put_u32(nlh, NETNSA_NSID, 0);
		answer_end(s, nlh);
		break;
	case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS:
		nlh = answer(s, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS, sizeof(struct nfgenmsg));
		mnl_attr_put_u32(nlh, CTA_STATS_GLOBAL_ENTRIES, 0);
		answer_end(s, nlh);
		break;
	case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN:
		nlh = answer(s, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN, sizeof(struct nfgenmsg));
		mnl_attr_put_u32(nlh, NFTA_GEN_ID, htonl(kernel.commits));
		answer_end(s, nlh);
		break;
	default: /* nf_tables: there is no table before the first commit, and then all of it is empty */
		if (kernel.commits && (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
			answer_done(s);
		else
			answer_error(s, ENOENT);
		return;
	}
	if (request->nlmsg_flags & NLM_F_ACK)
		answer_error(s, 0);
}

/* The last operation of a batch is the one that asks for an answer. */
static void answer_batch(struct fake_socket *s, const struct iovec *messages)
{
	int left = (int)messages->iov_len;

	for (const struct nlmsghdr *nlh = messages->iov_base; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_flags & NLM_F_ACK) {
			s->seq = nlh->nlmsg_seq;
			answer_error(s, 0);
			kernel.commits++;
		}
	}
	FUZZ_CHECK(left == 0);
}

/* ---- a kernel that says what the input says ---- */

static void patch(const struct fake_socket *s, char *buf, size_t len)
{
	struct nlmsghdr nlh;

	for (size_t at = 0; !s->batch && len - at >= sizeof(nlh); at += MNL_ALIGN(nlh.nlmsg_len)) {
		memcpy(&nlh, buf + at, sizeof(nlh));
		if (nlh.nlmsg_seq != 3)
			nlh.nlmsg_seq = s->seq;
		memcpy(buf + at, &nlh, sizeof(nlh));
		if (nlh.nlmsg_len < sizeof(nlh) || MNL_ALIGN((size_t)nlh.nlmsg_len) > len - at)
			break;
	}
}

static ssize_t next_record(const struct fake_socket *s, void *buf, size_t size)
{
	struct fuzz_input *in = &kernel.input;
	size_t len;

	if (in->left < 2) {
		errno = EAGAIN;
		return -1;
	}
	len = fuzz_byte(in);
	len |= (size_t)fuzz_byte(in) << 8;
	if (len >= FUZZ_KERNEL_EVENTS) {
		errno = len == 0xffff ? ENOBUFS : EINTR;
		return len == FUZZ_KERNEL_EVENTS ? 0 : -1;
	}
	len = len < in->left ? len : in->left;
	len = len < size ? len : size;
	memcpy(buf, in->at, len);
	in->at += len;
	in->left -= len;
	patch(s, buf, len);
	return (ssize_t)len;
}

/* ---- what the linker puts in the place of the C library's ---- */

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_bind(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);
int __wrap_setns(int fd, int type);

int __wrap_socket(int domain, int type, int protocol)
{
	/* a descriptor like any other, of a kind that nothing else answers on */
	int fd = __real_socket(domain == AF_NETLINK ? AF_UNIX : domain, type, domain == AF_NETLINK ? 0 : protocol);

	if (domain != AF_NETLINK || fd < 0)
		return fd;
	FUZZ_CHECK(kernel.n < SOCKETS_MAX);
	kernel.sockets[kernel.n++] = (struct fake_socket){.fd = fd};
	return fd;
}

int __wrap_close(int fd)
{
	struct fake_socket *s = fake(fd);

	if (s)
		*s = kernel.sockets[--kernel.n];
	return __real_close(fd);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len)
{
	return fake(fd) ? 0 : __real_bind(fd, address, len);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return fake(fd) ? 0 : __real_setsockopt(fd, level, name, value, len);
}

/* One request, or several that are answered only if they fail. */
static void check_messages(const struct nlmsghdr *nlh, size_t len)
{
	int left = (int)len;
	bool several = MNL_ALIGN(nlh->nlmsg_len) < len;

	for (; left > 0; nlh = mnl_nlmsg_next(nlh, &left))
		FUZZ_CHECK(mnl_nlmsg_ok(nlh, left) && !(several && nlh->nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP)));
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
	struct fake_socket *s = fake(fd);
	const struct nlmsghdr *nlh = buf;

	if (!s)
		return __real_send(fd, buf, len, flags);
	check_messages(nlh, len);
	s->seq = nlh->nlmsg_seq;
	s->batch = false;
	s->asked = true;
	s->answer_len = 0;
	if (kernel.complies)
		answer_request(s, nlh);
	return (ssize_t)len;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct fake_socket *s = fake(fd);
	size_t len = 0;

	if (!s)
		return __real_sendmsg(fd, msg, flags);
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		len += msg->msg_iov[i].iov_len;
	s->batch = s->asked = true;
	s->answer_len = 0;
	FUZZ_CHECK(msg->msg_iovlen == 3);
	if (kernel.complies)
		answer_batch(s, &msg->msg_iov[1]);
	return (ssize_t)len;
}

ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
	struct fake_socket *s = fake(fd);
	size_t len;

	if (!s)
		return __real_recv(fd, buf, size, flags);
	if (!kernel.complies || !s->asked)
		return next_record(s, buf, size);
	if (!s->answer_len) {
		errno = EAGAIN;
		return -1;
	}
	len = s->answer_len;
	FUZZ_CHECK(len <= size);
	memcpy(buf, s->answer, len);
	s->answer_len = 0;
	return (ssize_t)len;
}

int __wrap_setns(int fd, int type)
{
	(void)fd;
	(void)type;
	return 0;
}

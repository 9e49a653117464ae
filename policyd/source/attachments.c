/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three ways lead here, and each is enough by itself to be right, only later: the plugin says on the socket which attachment it
 * has just written (at once, and it may wait), inotify tells of files (if the socket was full or the daemon stopped), and a
 * look at the directories each second finds what both lost: when their times are not those of what was read, or something could
 * not be read, everything is read.
 */
#include "policyd/source/attachments.h"

#include <dirent.h>
#include <linux/netconf.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moat/log.h"
#include "moat/podstore.h"
#include "moat/release.h"

#define WATCHED (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW)

static void watch_store(struct attachments *a);

int attachments_init(struct attachments *a, struct cluster *cluster, struct err *err)
{
	memset(a, 0, sizeof(*a));
	a->cluster = cluster;
	a->inotify = a->links = -1;
	if (podstore_init(err) < 0)
		return -err->code;
	a->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (a->inotify < 0)
		return err_errno(err, errno, "inotify");
	watch_store(a); /* before the first read, so that nothing between is missed */
	attachments_read_all(a);
	return 0;
}

/* Gone from the store by DEL, or did the store lose it? DEL ends with the link, and leaves the state in closing/ until then. */
static bool was_lost(const struct known_attachment *known)
{
	struct attachment port = {.port_index = known->port_index};

	memcpy(port.port, known->port, sizeof(port.port));
	return !known->closing && !release_is_due(&port);
}

static void forget(struct attachments *a, struct known_attachment *known)
{
	if (was_lost(known))
		cluster_lose(a->cluster, known->key);
	else
		cluster_detach(a->cluster, known->key);
	HASH_DEL(a->known, known);
	free(known->key);
	free(known);
}

static bool is_guarded_bridge(const struct attachments *a, uint32_t index)
{
	for (size_t i = 0; i < a->bridges.n; i++)
		if (a->bridges.v[i] == index)
			return true;
	return false;
}

/* Takes one attachment as the store has it; false if it is known as such and not announced. */
static bool take(struct attachments *a, const struct attachment *stored, bool announced)
{
	CLEAN_FREE char *key = attachment_key(stored);
	struct known_attachment *known;

	HASH_FIND_STR(a->known, key, known);
	if (known) {
		known->seen = true;
		if (!announced && !known->recovered && known->created == stored->created && known->closing == stored->closing &&
		    known->n_addrs == stored->n_addrs)
			return false;
	} else {
		known = mem_zalloc(sizeof(*known));
		known->key = TAKE_PTR(key);
		known->seen = true;
		HASH_ADD_KEYPTR(hh, a->known, known->key, strlen(known->key), known);
	}
	known->recovered = false;
	known->created = stored->created;
	known->closing = stored->closing;
	known->n_addrs = stored->n_addrs;
	memcpy(known->port, stored->port, sizeof(known->port));
	known->port_index = stored->port_index;
	if (stored->bridge[0] && !is_guarded_bridge(a, stored->bridge_index))
		VEC_PUSH(&a->bridges, stored->bridge_index);
	cluster_attach(a->cluster, stored);
	return true;
}

bool attachments_read(struct attachments *a, const char *key, bool announced)
{
	struct attachment *stored = NULL;
	struct known_attachment *known;
	struct err err;
	bool changed = false;
	int code = podstore_get(key, &stored, &err);

	if (code == 0) {
		changed = take(a, stored, announced);
	} else if (code == -ENOENT) {
		HASH_FIND_STR(a->known, key, known);
		if (known) {
			forget(a, known);
			changed = true;
		}
	} else {
		log_warn("attachment-unreadable attachment=%s error=\"%s\" in-force=what-stands", TEXT(key), err.text);
		a->unsure = true;
	}
	attachment_free(stored);
	return changed;
}

struct full_read {
	struct attachments *a;
	bool changed;
};

static void on_stored(const struct attachment *stored, void *arg)
{
	struct full_read *read = arg;

	read->changed |= take(read->a, stored, false);
}

/*
 * Nothing is known of it from before: its pod may run, with the policy that a former daemon gave it. What the index knows makes it an
 * attachment that names no pod, and so is closed.
 */
static void take_recovered(struct full_read *read, const char *key)
{
	struct known_attachment *known;
	struct attachment *a = NULL;

	HASH_FIND_STR(read->a->known, key, known);
	if (!known && podstore_recover(key, &a, NULL) == 0 && a->port[0]) {
		read->changed |= take(read->a, a, false);
		HASH_FIND_STR(read->a->known, key, known);
		if (known)
			known->recovered = true;
	}
	attachment_free(a);
}

/* An unreadable file, or directory of a network (then key is its name): what is known of it stays, and it is told. */
static void on_unreadable(const char *key, const struct err *err, void *arg)
{
	struct full_read *read = arg;
	struct unreadable_attachment u = {.key = mem_strdup(key)};
	struct known_attachment *known, *next;
	size_t len = strlen(key);

	text_escape(err->text, u.error, sizeof(u.error));
	VEC_PUSH(&read->a->unreadable, u);
	take_recovered(read, key);
	HASH_ITER(hh, read->a->known, known, next)
		if (!strncmp(known->key, key, len) && (!known->key[len] || known->key[len] == '/'))
			known->seen = true;
}

static void clear_unreadable(struct attachments *a)
{
	for (size_t i = 0; i < a->unreadable.n; i++)
		free(a->unreadable.v[i].key);
	VEC_DONE(&a->unreadable);
}

/* A store that somebody removed says nothing about pods that run. */
static bool store_is_there(struct attachments *a)
{
	CLEAN_FREE char *pods = mem_printf("%s/pods", podstore_dir());
	struct unreadable_attachment u = {.key = NULL};

	if (access(pods, F_OK) == 0 || !a->known)
		return true;
	snprintf(u.error, sizeof(u.error), "the pod store %.200s is gone", TEXT(pods));
	VEC_PUSH(&a->unreadable, u);
	return false;
}

bool attachments_read_all(struct attachments *a)
{
	struct full_read read = {.a = a};
	struct known_attachment *known, *next;
	struct err err;

	clear_unreadable(a);
	a->stamp = podstore_stamp(); /* before reading: what comes meanwhile is looked at again */
	a->unsure = true;
	HASH_ITER(hh, a->known, known, next)
		known->seen = false;
	if (!store_is_there(a))
		return false;
	if (podstore_each(NULL, on_stored, on_unreadable, &read, &err) < 0) {
		log_warn("pod-store-unreadable error=\"%s\" in-force=what-stands", err.text);
		return read.changed;
	}
	a->unsure = a->unreadable.n || a->unwatched;
	HASH_ITER(hh, a->known, known, next) {
		if (!known->seen) {
			forget(a, known);
			read.changed = true;
		}
	}
	return read.changed;
}

/* The watch of a network's directory; one that stands is given again by the kernel. */
static void watch_network(struct attachments *a, const char *place, const char *network)
{
	CLEAN_FREE char *path = mem_printf("%s/%s", place, network);
	struct watched_network w = {.watch = inotify_add_watch(a->inotify, path, WATCHED)};

	a->unwatched |= w.watch < 0;
	for (size_t i = 0; i < a->networks.n; i++)
		if (w.watch < 0 || a->networks.v[i].watch == w.watch)
			return;
	if (w.watch < 0)
		return;
	w.name = mem_strdup(network);
	VEC_PUSH(&a->networks, w);
}

static void watch_place(struct attachments *a, const char *name)
{
	CLEAN_FREE char *place = mem_printf("%s/%s", podstore_dir(), name);
	struct dirent *entry;
	DIR *dir;

	a->unwatched |= inotify_add_watch(a->inotify, place, WATCHED) < 0;
	dir = opendir(place);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			watch_network(a, place, entry->d_name);
	if (dir)
		closedir(dir);
}

/* The networks' directories come and go. */
static void watch_store(struct attachments *a)
{
	a->unwatched = false;
	watch_place(a, "pods");
	watch_place(a, "closing");
}

bool attachments_look(struct attachments *a)
{
	if (!a->unsure && podstore_stamp() == a->stamp)
		return false;
	watch_store(a); /* before reading, so that nothing between is missed */
	return attachments_read_all(a);
}

static const char *watched_network(const struct attachments *a, int watch)
{
	for (size_t i = 0; i < a->networks.n; i++)
		if (a->networks.v[i].watch == watch)
			return a->networks.v[i].name;
	return NULL;
}

static void unwatch_network(struct attachments *a, int watch)
{
	for (size_t i = 0; i < a->networks.n; i++) {
		if (a->networks.v[i].watch == watch) {
			free(a->networks.v[i].name);
			a->networks.v[i] = a->networks.v[--a->networks.n];
			return;
		}
	}
}

/* One file of a network is read alone; whatever else happened, everything. True if the cluster changed. */
static bool take_event(struct attachments *a, const struct inotify_event *e, bool *everything)
{
	const char *network = watched_network(a, e->wd);
	CLEAN_FREE char *key = NULL;

	if (e->mask & IN_IGNORED)
		unwatch_network(a, e->wd);
	if (e->len && e->name[0] == '.') /* a writer's temporary */
		return false;
	if (!network || !e->len || e->mask & (IN_IGNORED | IN_ISDIR)) {
		*everything = true;
		return false;
	}
	key = mem_printf("%s/%s", network, e->name);
	return attachments_read(a, key, false);
}

static void release_if_gone(const struct attachment *stored, void *arg)
{
	CLEAN_FREE char *key = attachment_key(stored), *reclosed = NULL;
	struct attachments *a = arg;
	struct err err;

	if (!release_is_due(stored))
		return;
	if (release_attachment(stored, &reclosed, &err) < 0)
		log_warn("attachment-not-released attachment=%s error=\"%s\"", TEXT(key), err.text);
	if (reclosed && attachments_read(a, reclosed, true) && a->calls)
		a->calls->changed(a->arg);
}

void attachments_release_closed(struct attachments *a)
{
	podstore_each_closing(release_if_gone, NULL, a, NULL);
}

static void on_store_event(uv_poll_t *handle, int status, int events)
{
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct attachments *a = handle->data;
	bool changed = false, everything = false;
	ssize_t got;

	(void)status;
	(void)events;
	while ((got = read(a->inotify, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + got; p += sizeof(struct inotify_event) + ((struct inotify_event *)p)->len)
			changed |= take_event(a, (const struct inotify_event *)p, &everything);
	if (everything) {
		watch_store(a);
		changed |= attachments_read_all(a);
	} else {
		a->stamp = podstore_stamp(); /* what comes before this has an event that wakes us again */
	}
	if (changed)
		a->calls->changed(a->arg);
}

/* Whose interface a message is about; 0: nobody's. */
static uint32_t index_told(const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(nlh);
	const struct rtattr *attr = (const struct rtattr *)((const char *)NLMSG_DATA(nlh) + NLMSG_ALIGN(sizeof(struct netconfmsg)));
	long left = (long)nlh->nlmsg_len - (long)NLMSG_SPACE(sizeof(struct netconfmsg));
	uint32_t index;

	if (nlh->nlmsg_type == RTM_NEWLINK && nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(*ifi)))
		return (uint32_t)ifi->ifi_index;
	for (; nlh->nlmsg_type == RTM_NEWNETCONF && RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		if (attr->rta_type != NETCONFA_IFINDEX || RTA_PAYLOAD(attr) < sizeof(index))
			continue;
		memcpy(&index, RTA_DATA(attr), sizeof(index));
		return index;
	}
	return 0;
}

static void on_link_event(uv_poll_t *handle, int status, int events)
{
	struct attachments *a = handle->data;
	bool gone = false, bridge = false;
	char buf[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t got;

	(void)events;
	if (status < 0) /* an overrun is an error of the socket, at which libuv stops polling for good */
		uv_poll_start(handle, UV_READABLE, on_link_event);
	while ((got = recv(a->links, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		for (struct nlmsghdr *nlh = (struct nlmsghdr *)buf; NLMSG_OK(nlh, got); nlh = NLMSG_NEXT(nlh, got)) {
			gone |= nlh->nlmsg_type == RTM_DELLINK;
			bridge |= is_guarded_bridge(a, index_told(nlh));
		}
	gone |= errno == ENOBUFS;
	a->links_changed = true;
	if (gone) {
		attachments_release_closed(a);
		a->calls->links_gone(a->arg);
	}
	if (bridge)
		a->calls->bridge_changed(a->arg);
}

static int open_links(struct err *err)
{
	struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | 1u << (RTNLGRP_IPV6_NETCONF - 1)};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&group, sizeof(group)) < 0) {
		int code = errno;

		if (fd >= 0)
			close(fd);
		return err_errno(err, code, "watch network interfaces");
	}
	return fd;
}

int attachments_start(struct attachments *a, uv_loop_t *loop, const struct attachments_calls *calls, void *arg, struct err *err)
{
	a->calls = calls;
	a->arg = arg;
	a->links = open_links(err);
	if (a->links < 0)
		return a->links;
	uv_poll_init(loop, &a->store_events, a->inotify);
	uv_poll_init(loop, &a->link_events, a->links);
	a->store_events.data = a->link_events.data = a;
	uv_poll_start(&a->store_events, UV_READABLE, on_store_event);
	uv_poll_start(&a->link_events, UV_READABLE, on_link_event);
	return 0;
}

void attachments_close_handles(struct attachments *a)
{
	if (a->links < 0)
		return;
	uv_close((uv_handle_t *)&a->store_events, NULL);
	uv_close((uv_handle_t *)&a->link_events, NULL);
}

void attachments_done(struct attachments *a)
{
	struct known_attachment *known, *next;

	HASH_ITER(hh, a->known, known, next) {
		HASH_DEL(a->known, known);
		free(known->key);
		free(known);
	}
	clear_unreadable(a);
	while (a->networks.n)
		unwatch_network(a, a->networks.v[0].watch);
	VEC_DONE(&a->networks);
	VEC_DONE(&a->bridges);
	if (a->inotify >= 0)
		close(a->inotify);
	if (a->links >= 0)
		close(a->links);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of moat on a node. Nothing but this opens a pod that policies close, and only an administrator says so: a daemon cannot
 * tell that it is uninstalled from that it is upgraded, so neither it nor its removal does any of this.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "install/file.h"
#include "install/install.h"
#include "moat/bridge.h"
#include "moat/log.h"
#include "moat/podstore.h"
#include "moat/route.h"
#include "moat/txn.h"

#define LOCK_MS 5000

static bool daemon_listens(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	CLEAN_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/policyd.sock", podstore_dir());
	return fd >= 0 && (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0 || errno == EAGAIN);
}

/* What would put everything back, or need it. */
static int check_nobody_needs_it(const struct install_options *options, struct err *err)
{
	CLEAN_CLOSE int conf_dir = file_open_dir(options->conf_dir, err);
	struct stat st;

	if (conf_dir < 0)
		return conf_dir;
	if (fstatat(conf_dir, CONFLIST_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, EBUSY, "%s/" CONFLIST_NAME " is there: uninstall first, else the next pod puts everything back", TEXT(options->conf_dir));
	if (daemon_listens())
		return err_set(err, EBUSY, "moat-policyd runs: stop it first, else it puts everything back");
	return 0;
}

struct count {
	size_t attachments;
};

static void release_one(const struct attachment *a, void *arg)
{
	struct count *count = arg;

	bridge_let_go(a);
	podstore_remove(a, NULL);
	count->attachments++;
}

/* Of a state file that cannot be read, what the index still knows. */
static void release_unreadable(const char *key, const struct err *why, void *arg)
{
	struct attachment *a;

	(void)why;
	if (podstore_recover(key, &a, NULL) < 0)
		return;
	release_one(a, arg);
	attachment_free(a);
}

/* Of the daemon with --node-routes. */
static void remove_route(const struct route *r, void *arg)
{
	struct err err;

	(void)arg;
	if (route_remove(r, &err) < 0)
		log_warn("route-kept error=\"%s\"", err.text);
}

/* All tables, there or not: adding one that is there does nothing. */
static int delete_tables(struct err *err)
{
	struct txn *t = txn_new();
	struct nl nl;
	int code = nl_open(&nl, NETLINK_NETFILTER, err);

	for (int table = TABLE_INET; table <= TABLE_NAT; table++) {
		txn_on(t, (enum table)table);
		txn_add_table(t);
		txn_delete_table(t);
	}
	if (code == 0) {
		code = txn_commit(t, &nl, err);
		nl_close(&nl);
	}
	txn_free(t);
	return code;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	if (ftw->level > 0) /* the directory itself may be a mount */
		return type == FTW_DP ? rmdir(path) : unlink(path);
	return 0;
}

int install_release(const struct install_options *options, struct err *err)
{
	CLEAN_CLOSE int lock = -1;
	struct count count = {0};
	struct stat st;
	int code = check_nobody_needs_it(options, err);

	if (code < 0)
		return code;
	if (lstat(podstore_dir(), &st) == 0) {
		lock = podstore_lock(LOCK_MS, err);
		if (lock < 0)
			return lock;
		podstore_each(NULL, release_one, release_unreadable, &count, err);
		podstore_each_closing(release_one, release_unreadable, &count, err);
		bridge_give_back_unused();
	}
	code = delete_tables(err);
	if (code == 0)
		code = route_each(remove_route, NULL, err);
	if (code < 0)
		return code;
	if (lock >= 0 && nftw(podstore_dir(), remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		return err_errno(err, errno, "what is in %s cannot be removed", TEXT(podstore_dir()));
	rmdir(podstore_dir()); /* unless it is a mount */
	log_info("released attachments=%zu reason=\"everything that closed pods of this node is gone\"", count.attachments);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/rundir.h"

#include <check.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moat/podstore.h"

#define TEMPLATE "/tmp/moat-test-XXXXXX"

static char made[] = TEMPLATE; /* tests may set the variable to something else */
static size_t counted;

void rundir_make(void)
{
	strcpy(made, TEMPLATE);
	ck_assert_ptr_nonnull(mkdtemp(made));
	setenv("MOAT_RUN_DIR", made, 1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void rundir_remove(void)
{
	nftw(made, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

char *rundir_path(const char *below)
{
	return mem_printf("%s/%s", podstore_dir(), below);
}

void rundir_write(const char *below, const char *text)
{
	CLEAN_FREE char *path = rundir_path(below);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

char *rundir_read(const char *below)
{
	CLEAN_FREE char *path = rundir_path(below);
	FILE *f = fopen(path, "r");
	char text[32768];
	size_t len;

	ck_assert_ptr_nonnull(f);
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	return mem_strndup(text, len);
}

bool rundir_has(const char *below)
{
	CLEAN_FREE char *path = rundir_path(below);
	struct stat st;

	return lstat(path, &st) == 0;
}

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	if (type != FTW_D && strcmp(path + ftw->base, "lock") != 0 && strcmp(path + ftw->base, "proof") != 0)
		counted++;
	return 0;
}

size_t rundir_count(void)
{
	counted = 0;
	nftw(podstore_dir(), count_one, 8, FTW_PHYS);
	return counted;
}

struct attachment *rundir_attachment(const char *id, const char *port, const char *address)
{
	struct attachment *a = mem_zalloc(sizeof(*a));

	a->network = mem_strdup("net");
	a->container_id = mem_strdup(id);
	a->ifname = mem_strdup("eth0");
	snprintf(a->port, sizeof(a->port), "%s", port);
	a->port_index = 17;
	a->peer_index = 2;
	a->mode = MODE_STRICT;
	a->created = 1795468190671294906;
	if (address) {
		ck_assert_int_eq(addr_parse(address, &a->addrs[0], NULL), 0);
		a->n_addrs = 1;
	}
	return a;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_msg(file && fputs(text, file) >= 0, "%s", path);
	fclose(file);
}

bool rundir_netns_has_cookie(void)
{
	CLEAN_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) == 0;
}

void rundir_leave_host(void)
{
	char map[64];
	uid_t uid = getuid();

	ck_assert_msg(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0, "user namespaces are needed: %s", strerror(errno));
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The pod store's directories, temporary files and lock. Every path is opened from its directory's descriptor, following nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/pod/podstore_internal.h"
#include "moat/text.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
#define LOCK_POLL_MS 2

static const char *const subdirs[] = {"pods", "addrs", "ports", "closing"};

const char *podstore_dir(void)
{
	const char *dir = getenv("MOAT_RUN_DIR");

	return dir && *dir ? dir : PODSTORE_DIR;
}

int podstore_open_root(struct err *err)
{
	int fd = open(podstore_dir(), DIR_FLAGS | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, errno, "pod store %s: cannot open the directory", TEXT(podstore_dir()));
	return fd;
}

int podstore_open_dir(const char *name, struct err *err)
{
	CLEAN_CLOSE int root = podstore_open_root(err);
	int fd;

	if (root < 0)
		return root;
	fd = openat(root, name, DIR_FLAGS | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "pod store %s/%s: cannot open the directory", TEXT(podstore_dir()), name);
	return fd;
}

int podstore_open_network(const char *name, const char *network, bool create, struct err *err)
{
	CLEAN_CLOSE int parent = podstore_open_dir(name, err);
	int fd;

	if (parent < 0)
		return parent;
	fd = openat(parent, network, DIR_FLAGS | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && create) {
		if (mkdirat(parent, network, 0700) < 0 && errno != EEXIST)
			return err_errno(err, errno, "pod store %s/%s: cannot make directory %s", TEXT(podstore_dir()), name,
					 TEXT(network));
		fd = openat(parent, network, DIR_FLAGS | O_CLOEXEC);
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(err, EBADMSG, "pod store %s/%s/%s: not a directory; remove it", TEXT(podstore_dir()), name, TEXT(network));
	if (fd < 0)
		return err_errno(err, errno, "pod store %s/%s/%s: cannot open the directory", TEXT(podstore_dir()), name,
				 TEXT(network));
	return fd;
}

int podstore_make_dir(const char *name, struct err *err)
{
	CLEAN_CLOSE int root = podstore_open_root(err);

	if (root < 0)
		return root;
	if (mkdirat(root, name, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "pod store %s: cannot make directory %s", TEXT(podstore_dir()), name);
	return podstore_open_dir(name, err);
}

/* Others must not write here: what they put would be read as attachments, and what they take would be forgotten. */
static int check_private(const struct stat *st, const char *name, struct err *err)
{
	if (!S_ISDIR(st->st_mode))
		return err_set(err, ENOTDIR, "pod store %s: not a directory; remove it", name);
	if (st->st_uid != geteuid() || (st->st_mode & 077))
		return err_set(err, EPERM, "pod store %s: owner %u, mode %04o; expected owner %u, mode 0700: remove it or correct it",
			       name, st->st_uid, st->st_mode & 07777, geteuid());
	return 0;
}

static int init_subdir(int root, const char *name, struct err *err)
{
	CLEAN_FREE char *path = mem_printf("%s/%s", podstore_dir(), name);
	struct stat st;

	if (fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT && mkdirat(root, name, 0700) < 0 && errno != EEXIST)
			return err_errno(err, errno, "pod store: cannot make directory %s", TEXT(path));
		if (fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_errno(err, errno, "pod store: cannot look at %s", TEXT(path));
	}
	return check_private(&st, TEXT(path), err);
}

static bool is_empty(int dir)
{
	int copy = openat(dir, ".", DIR_FLAGS | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry = NULL;

	if (copy >= 0 && !entries)
		close(copy);
	while (entries && (entry = readdir(entries)) && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")))
		;
	if (entries)
		closedir(entries);
	return entries && !entry;
}

/* The kubelet makes the directory of a hostPath volume with mode 0755. Nothing is in it yet, and nobody else could have written. */
static void take_new_mount(int root, struct stat *st)
{
	if (st->st_uid == geteuid() && (st->st_mode & 077) && !(st->st_mode & 022) && is_empty(root) && fchmod(root, 0700) == 0)
		fstat(root, st);
}

int podstore_init(struct err *err)
{
	CLEAN_CLOSE int root = -1;
	struct stat st;
	int r;

	if (mkdir(podstore_dir(), 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "pod store: cannot make directory %s", TEXT(podstore_dir()));
	root = podstore_open_root(err);
	if (root < 0)
		return root;
	if (fstat(root, &st) < 0)
		return err_errno(err, errno, "pod store %s: cannot look at it", TEXT(podstore_dir()));
	take_new_mount(root, &st);
	r = check_private(&st, TEXT(podstore_dir()), err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(subdirs); i++)
		r = init_subdir(root, subdirs[i], err);
	return r;
}

static void mix(uint64_t *hash, const void *data, size_t len)
{
	/* FNV-1a, 64 bits: names of networks and times of directories, which only we and root write */
	for (const uint8_t *p = data; len--; p++)
		*hash = (*hash ^ *p) * 0x100000001b3u;
}

/* Of one directory of a network. */
static uint64_t stamp_of(int parent, const char *network)
{
	uint64_t hash = 0xcbf29ce484222325u;
	struct stat st = {0};

	if (fstatat(parent, network, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	mix(&hash, network, strlen(network));
	mix(&hash, &st.st_ino, sizeof(st.st_ino));
	mix(&hash, &st.st_mtim, sizeof(st.st_mtim));
	mix(&hash, &st.st_ctim, sizeof(st.st_ctim));
	return hash;
}

uint64_t podstore_stamp(void)
{
	static const char *const places[] = {"pods", "closing"};
	uint64_t stamp = 0;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int fd = podstore_open_dir(places[i], NULL);
		DIR *dir = fd < 0 ? NULL : fdopendir(fd);
		struct dirent *entry;

		if (fd < 0)
			continue;
		if (!dir)
			close(fd);
		stamp += i + 1;
		while (dir && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				stamp += stamp_of(fd, entry->d_name) << i; /* in whatever order they are listed */
		if (dir)
			closedir(dir);
	}
	return stamp;
}

void podstore_temp_name(char ret[PODSTORE_TEMP_MAX])
{
	uint64_t random;

	/* Not the process id: writers may live in different pid namespaces. Until the kernel's pool is ready, the clock must do. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		random = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	}
	snprintf(ret, PODSTORE_TEMP_MAX, PODSTORE_TEMP_PREFIX "%016llx", (unsigned long long)random);
}

int podstore_write_temp(int dir, const char *temp, const char *data, size_t len, struct err *err)
{
	int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int failed = 0;

	if (fd < 0)
		return err_errno(err, errno, "pod store %s: cannot make a file", TEXT(podstore_dir()));
	while (len > 0 && !failed) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			failed = n < 0 ? errno : EIO;
			break;
		}
		data += n;
		len -= (size_t)n;
	}
	if (close(fd) < 0 && !failed)
		failed = errno;
	if (!failed)
		return 0;
	unlinkat(dir, temp, 0);
	return err_errno(err, failed, "pod store %s: cannot write a state file", TEXT(podstore_dir()));
}

int podstore_writable(struct err *err)
{
	char temp[PODSTORE_TEMP_MAX], page[4096] = {0};
	CLEAN_CLOSE int dir = -1;
	int r = podstore_init(err);

	if (r < 0)
		return r;
	dir = podstore_open_dir("pods", err);
	if (dir < 0)
		return dir;
	/* a page, because an empty file fits on a full disk */
	podstore_temp_name(temp);
	r = podstore_write_temp(dir, temp, page, sizeof(page), err);
	if (r == 0)
		unlinkat(dir, temp, 0);
	return r;
}

int podstore_lock(unsigned wait_ms, struct err *err)
{
	CLEAN_CLOSE int root = podstore_open_root(err);
	int fd;

	if (root < 0)
		return root;
	fd = openat(root, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "pod store %s/lock", TEXT(podstore_dir()));
	for (unsigned waited = 0;; waited += LOCK_POLL_MS) {
		int failed;

		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		failed = errno;
		if ((failed != EWOULDBLOCK && failed != EINTR) || waited >= wait_ms) {
			close(fd);
			if (failed == EWOULDBLOCK)
				return err_set(err, ETIMEDOUT, "pod store %s/lock: another writer held it for %u ms",
					       TEXT(podstore_dir()), wait_ms);
			return err_errno(err, failed, "pod store %s/lock", TEXT(podstore_dir()));
		}
		nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
	}
}

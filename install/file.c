/* SPDX-License-Identifier: Apache-2.0 */
#include "install/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moat/text.h"

/* No runtime takes a configuration or a plugin of such a name. */
#define TEMP_PREFIX ".moat-install-"

int file_open_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(err, errno, "directory %s", TEXT(path)) : fd;
}

int file_read(int dir, const char *name, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	CLEAN_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEAN_FREE char *data = NULL;
	size_t len = 0, room;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "%s", TEXT(name));
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s is not a regular file", TEXT(name));
	room = (st.st_size > 0 && (size_t)st.st_size < max ? (size_t)st.st_size : max) + 2; /* one to see that there is more, and a NUL */
	data = mem_alloc(room);
	for (;;) {
		ssize_t got = read(fd, data + len, room - 1 - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, errno, "%s", TEXT(name));
		if (got == 0)
			break;
		len += (size_t)got;
		if (len == room - 1) /* it grows while it is read, or is too large */
			return len > max ? err_set(err, EFBIG, "%s is larger than %zu bytes", TEXT(name), max) :
					   err_set(err, EAGAIN, "%s is being written", TEXT(name));
	}
	data[len] = '\0';
	*ret = TAKE_PTR(data);
	*ret_len = len;
	return 0;
}

static bool is_so(int dir, const char *name, const char *data, size_t len, mode_t mode)
{
	CLEAN_FREE char *now = NULL;
	struct stat st;
	struct err err;
	size_t n;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == mode &&
	       (size_t)st.st_size == len && file_read(dir, name, len, &now, &n, &err) == 0 && n == len && !memcmp(now, data, len);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t put = write(fd, data, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		data += put;
		len -= (size_t)put;
	}
	return 0;
}

static int write_temp(int dir, const char *temp, const char *data, size_t len, mode_t mode)
{
	CLEAN_CLOSE int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int code;

	if (fd < 0)
		return -errno;
	code = write_all(fd, data, len);
	return code == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0) ? -errno : code;
}

int file_put(int dir, const char *name, const char *data, size_t len, mode_t mode, bool *ret_changed, struct err *err)
{
	char temp[sizeof(TEMP_PREFIX) + 16];
	uint64_t number = 0;
	int code;

	*ret_changed = false;
	if (is_so(dir, name, data, len, mode))
		return 0;
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = (uint64_t)getpid(); /* before the kernel has any; O_EXCL tells */
	snprintf(temp, sizeof(temp), TEMP_PREFIX "%016jx", (uintmax_t)number);
	code = write_temp(dir, temp, data, len, mode);
	if (code == 0 && renameat(dir, temp, dir, name) < 0)
		code = -errno;
	if (code < 0) {
		unlinkat(dir, temp, 0);
		return err_errno(err, -code, "%s cannot be written", TEXT(name));
	}
	*ret_changed = true;
	return fsync(dir) < 0 ? err_errno(err, errno, "the directory of %s", TEXT(name)) : 0;
}

void file_sweep(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (copy >= 0 && !entries)
		close(copy);
	while (entries && (entry = readdir(entries)))
		if (!strncmp(entry->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)))
			unlinkat(dir, entry->d_name, 0);
	if (entries)
		closedir(entries);
}

int file_remove(int dir, const char *name, bool *ret_changed, struct err *err)
{
	*ret_changed = unlinkat(dir, name, 0) == 0;
	if (!*ret_changed && errno != ENOENT)
		return err_errno(err, errno, "%s cannot be removed", TEXT(name));
	return fsync(dir) < 0 ? err_errno(err, errno, "the directory of %s", TEXT(name)) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the index that name an attachment of which there is no state file: what somebody left who removed files by hand. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/pod/podstore_internal.h"

static bool has_state_in(const char *place, const struct podstore_key *key)
{
	CLEAN_CLOSE int dir = podstore_open_network(place, key->network, false, NULL);
	struct stat st;

	if (dir < 0)
		return dir != -ENOENT; /* what cannot be looked at may be there */
	return fstatat(dir, key->file, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static size_t sweep(const char *index)
{
	int fd = podstore_open_dir(index, NULL);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t swept = 0;

	if (fd >= 0 && !dir)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		CLEAN_FREE char *owner = podstore_index_read(dirfd(dir), entry->d_name);
		struct podstore_key key;

		if (owner && podstore_key_parse(owner, &key) && !has_state_in("pods", &key) && !has_state_in("closing", &key))
			swept += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
	}
	if (dir)
		closedir(dir);
	return swept;
}

size_t podstore_sweep(void)
{
	static const char *const indexes[] = {"addrs", "ports", "macs"};
	CLEAN_CLOSE int pods = podstore_open_dir("pods", NULL);
	size_t swept = 0;

	for (size_t i = 0; pods >= 0 && i < ARRAY_SIZE(indexes); i++) /* a store that somebody removed says nothing */
		swept += sweep(indexes[i]);
	return swept;
}

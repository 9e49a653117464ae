/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose address, whose port: symbolic links whose text is "<key> <created> <port index>". The text is read, the link never
 * followed. What stands behind the key is there for a DEL that finds the state file unreadable: the names of the attachment's
 * chains depend on it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/podstore_internal.h"
#include "moat/text.h"

char *podstore_index_text(const struct attachment *a)
{
	CLEAN_FREE char *key = attachment_key(a);

	return mem_printf("%s %" PRIu64 " %" PRIu32, key, a->created, a->port_index);
}

/* The key, and if a is given what stands behind it. No name in a key has a space. */
static char *read_link(int dir, const char *name, struct attachment *a)
{
	char text[2 * (NAME_MAX + 1) + 40];
	ssize_t len = readlinkat(dir, name, text, sizeof(text) - 1);
	struct podstore_key key;
	char *space;

	if (len < 0)
		return NULL;
	text[len] = '\0';
	space = strchr(text, ' ');
	if (space)
		*space = '\0';
	if (!podstore_key_parse(text, &key))
		return NULL;
	if (a && space)
		sscanf(space + 1, "%" SCNu64 " %" SCNu32, &a->created, &a->port_index);
	return mem_strdup(text);
}

char *podstore_index_read(int dir, const char *name)
{
	return read_link(dir, name, NULL);
}

static char *owner_of(const char *index, const char *name)
{
	CLEAN_CLOSE int dir = podstore_open_dir(index, NULL);

	return dir < 0 ? NULL : podstore_index_read(dir, name);
}

char *podstore_owner_of_addr(const struct addr *addr)
{
	char buf[ADDR_TEXT_MAX];

	return owner_of("addrs", addr_text(addr, buf));
}

char *podstore_owner_of_port(const char *port)
{
	return text_is_ifname(port) ? owner_of("ports", port) : NULL;
}

static void drop_if_own(int dir, const char *name, const char *key)
{
	CLEAN_FREE char *owner = podstore_index_read(dir, name);

	if (owner && !strcmp(owner, key))
		unlinkat(dir, name, 0);
}

void podstore_index_drop(const struct attachment *a)
{
	CLEAN_CLOSE int addrs = podstore_open_dir("addrs", NULL);
	CLEAN_CLOSE int ports = podstore_open_dir("ports", NULL);
	CLEAN_FREE char *key = attachment_key(a);
	char buf[ADDR_TEXT_MAX];

	for (size_t i = 0; addrs >= 0 && i < a->n_addrs; i++)
		drop_if_own(addrs, addr_text(&a->addrs[i], buf), key);
	if (ports >= 0 && text_is_ifname(a->port))
		drop_if_own(ports, a->port, key);
}

static void recover_addr(struct attachment *a, const char *name)
{
	struct addr addr;

	if (a->n_addrs < ATTACHMENT_ADDRS_MAX && addr_parse(name, &addr, NULL) == 0 && addr_is_pod_address(&addr))
		a->addrs[a->n_addrs++] = addr;
}

static void recover_port(struct attachment *a, const char *name)
{
	if (text_is_ifname(name))
		snprintf(a->port, sizeof(a->port), "%s", name);
}

static int recover_from(const char *index, const char *key, struct attachment *a,
			void (*found)(struct attachment *a, const char *name), struct err *err)
{
	int fd = podstore_open_dir(index, err);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_errno(err, ENOMEM, "pod store: cannot list %s", index);
	}
	while ((entry = readdir(dir))) {
		struct attachment owner_data = {0};
		CLEAN_FREE char *owner = read_link(dirfd(dir), entry->d_name, &owner_data);

		if (!owner || strcmp(owner, key) != 0)
			continue;
		a->created = owner_data.created;
		a->port_index = owner_data.port_index;
		found(a, entry->d_name);
	}
	closedir(dir);
	return 0;
}

int podstore_recover(const char *key, struct attachment **ret, struct err *err)
{
	struct podstore_key parts;
	struct attachment *a;
	const char *colon;
	int r;

	if (!podstore_key_parse(key, &parts))
		return err_set(err, EINVAL, "\"%s\" is not the key of an attachment", TEXT(key));
	colon = strchr(parts.file, ':');
	a = mem_zalloc(sizeof(*a));
	a->network = mem_strdup(parts.network);
	a->container_id = mem_strndup(parts.file, (size_t)(colon - parts.file));
	a->ifname = mem_strdup(colon + 1);
	a->mode = MODE_STRICT;
	r = recover_from("addrs", key, a, recover_addr, err);
	if (r == 0)
		r = recover_from("ports", key, a, recover_port, err);
	if (r == 0)
		*ret = TAKE_PTR(a);
	attachment_free(a);
	return r;
}

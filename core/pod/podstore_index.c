/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose address, whose port, whose MAC: symbolic links whose text is "<key> <created> <port index>", and behind that the name of the bridge
 * if there is one. The text is read, the link never followed. What stands behind the key is there for a DEL that finds the state file unreadable: the names of the attachment's
 * chains depend on it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/pod/podstore_internal.h"
#include "moat/bridge.h"
#include "moat/text.h"

char *podstore_index_text(const struct attachment *a)
{
	CLEAN_FREE char *key = attachment_key(a);

	return mem_printf("%s %" PRIu64 " %" PRIu32 "%s%s", key, a->created, a->port_index, a->bridge[0] ? " " : "", a->bridge);
}

/* What is not there, or beyond what it can be, stays 0 or becomes the largest: then no chain and no link is found by it. */
static void read_rest(const char *text, struct attachment *a)
{
	unsigned long index;
	char *end;

	a->created = strtoull(text, &end, 10);
	index = strtoul(end, &end, 10);
	a->port_index = index > UINT32_MAX ? UINT32_MAX : (uint32_t)index;
	if (*end == ' ' && text_is_ifname(end + 1))
		memcpy(a->bridge, end + 1, strlen(end + 1) + 1);
}

/* The key, and if a is given what stands behind it. No name in a key has a space. */
static char *read_link(int dir, const char *name, struct attachment *a)
{
	char text[2 * (NAME_MAX + 1) + 60];
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
		read_rest(space + 1, a);
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

char *podstore_owner_of_mac(const uint8_t mac[6])
{
	char buf[ETHER_TEXT_MAX];

	return owner_of("macs", ether_text(mac, buf));
}

bool podstore_bridge_in_use(const char *bridge)
{
	int fd = podstore_open_dir("ports", NULL);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool used = false;

	if (fd >= 0 && !dir)
		close(fd);
	while (dir && !used && (entry = readdir(dir))) {
		struct attachment owner = {0};
		CLEAN_FREE char *key = read_link(dirfd(dir), entry->d_name, &owner);

		used = key && (bridge ? !strcmp(owner.bridge, bridge) : owner.bridge[0]);
	}
	if (dir)
		closedir(dir);
	return used;
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
	CLEAN_CLOSE int macs = a->bridge[0] ? podstore_open_dir("macs", NULL) : -1;
	char buf[ADDR_TEXT_MAX];

	for (size_t i = 0; addrs >= 0 && i < a->n_addrs; i++)
		drop_if_own(addrs, addr_text(&a->addrs[i], buf), key);
	if (ports >= 0 && text_is_ifname(a->port))
		drop_if_own(ports, a->port, key);
	if (macs >= 0)
		drop_if_own(macs, ether_text(a->mac, buf), key);
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

static void recover_mac(struct attachment *a, const char *name)
{
	ether_parse(name, a->mac);
}

static int recover_from(const char *index, const char *key, struct attachment *a,
			void (*found)(struct attachment *a, const char *name), struct err *err)
{
	int fd = podstore_open_dir(index, err);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd; /* what the others know counts */
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
		memcpy(a->bridge, owner_data.bridge, sizeof(a->bridge));
		found(a, entry->d_name);
	}
	closedir(dir);
	return 0;
}

/* Without the record of its bridge nobody knows what its elements are: those of the port stay until GC, and close. */
static int recover_bridge(struct attachment *a, const char *key, struct err *err)
{
	struct bridge_record record;

	if (bridge_record_get(a->bridge, &record, NULL) == 0) {
		a->bridge_index = record.bridge.index;
		memcpy(a->bridge_mac, record.bridge.mac, sizeof(a->bridge_mac));
	}
	return recover_from("macs", key, a, recover_mac, err);
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
	if (r == 0 && a->bridge[0])
		r = recover_bridge(a, key, err);
	if (r == 0)
		*ret = TAKE_PTR(a);
	attachment_free(a);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in <pod store>/bridges of a bridge: JSON, written and read with the care of a state file (podstore_file.c). */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/pod/podstore_internal.h"
#include "moat/bridge.h"
#include "moat/text.h"

#define RECORD_VERSION 1

static void *must(void *item)
{
	if (!item)
		abort();
	return item;
}

static char *encode(const struct bridge_record *r)
{
	cJSON *object = must(cJSON_CreateObject()), *addrs, *before;
	char buf[ADDR_TEXT_MAX], *text, *line;

	must(cJSON_AddNumberToObject(object, "version", RECORD_VERSION));
	must(cJSON_AddStringToObject(object, "bridge", r->bridge.name));
	must(cJSON_AddNumberToObject(object, "index", r->bridge.index));
	must(cJSON_AddStringToObject(object, "MAC", ether_text(r->bridge.mac, buf)));
	addrs = must(cJSON_AddArrayToObject(object, "addrs"));
	for (size_t i = 0; i < r->bridge.n_addrs; i++)
		cJSON_AddItemToArray(addrs, must(cJSON_CreateString(addr_text(&r->bridge.addrs[i], buf))));
	before = must(cJSON_AddObjectToObject(object, "before"));
	for (int s = 0; s < BRIDGE_SETTING_COUNT; s++)
		if (r->before.has[s])
			must(cJSON_AddNumberToObject(before, bridge_setting_name((enum bridge_setting)s), r->before.v[s]));
	text = must(cJSON_PrintUnformatted(object));
	line = mem_printf("%s\n", text);
	cJSON_free(text);
	cJSON_Delete(object);
	return line;
}

static bool get_number(const cJSON *item, uint32_t *ret)
{
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= UINT32_MAX) ||
	    item->valuedouble != (double)(uint32_t)item->valuedouble)
		return false;
	*ret = (uint32_t)item->valuedouble;
	return true;
}

static bool get_addrs(const cJSON *list, struct bridge *b)
{
	const cJSON *item;

	if (!cJSON_IsArray(list))
		return false;
	cJSON_ArrayForEach(item, list)
	{
		if (b->n_addrs == BRIDGE_ADDRS_MAX || !cJSON_IsString(item) ||
		    addr_parse(item->valuestring, &b->addrs[b->n_addrs], NULL) < 0)
			return false;
		b->n_addrs++;
	}
	return true;
}

static bool get_before(const cJSON *object, struct bridge_values *before)
{
	if (!cJSON_IsObject(object))
		return false;
	for (int s = 0; s < BRIDGE_SETTING_COUNT; s++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, bridge_setting_name((enum bridge_setting)s));

		if (!item)
			continue;
		if (!get_number(item, &before->v[s]))
			return false;
		before->has[s] = true;
	}
	return true;
}

static int decode(const char *data, size_t len, const char *name, struct bridge_record *ret, struct err *err)
{
	cJSON *object = cJSON_ParseWithLength(data, len);
	const char *own = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "bridge"));
	struct bridge_record r = {.bridge.name = ""};
	uint32_t version = 0;
	int code = 0;

	if (!get_number(cJSON_GetObjectItemCaseSensitive(object, "version"), &version) || version != RECORD_VERSION)
		code = err_set(err, EBADMSG, "record of bridge %s: version %u, this moat reads version %d", TEXT(name), version, RECORD_VERSION);
	else if (!own || strcmp(own, name) != 0 || !get_number(cJSON_GetObjectItemCaseSensitive(object, "index"), &r.bridge.index) ||
		 !ether_parse(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "MAC")), r.bridge.mac) ||
		 !get_addrs(cJSON_GetObjectItemCaseSensitive(object, "addrs"), &r.bridge) ||
		 !get_before(cJSON_GetObjectItemCaseSensitive(object, "before"), &r.before))
		code = err_set(err, EBADMSG, "record of bridge %s is malformed", TEXT(name));
	cJSON_Delete(object);
	if (code == 0) {
		snprintf(r.bridge.name, sizeof(r.bridge.name), "%s", name);
		*ret = r;
	}
	return code;
}

int bridge_record_get(const char *name, struct bridge_record *ret, struct err *err)
{
	CLEAN_CLOSE int dir = podstore_open_dir("bridges", err), fd = -1;
	char data[PODSTORE_FILE_MAX];
	size_t len = 0;
	struct stat st;

	if (dir < 0)
		return dir;
	if (!text_is_ifname(name))
		return err_set(err, EINVAL, "\"%s\" is not the name of a bridge", TEXT(name));
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "record of bridge %s", TEXT(name));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, EBADMSG, "record of bridge %s is not a regular file", TEXT(name));
	while (len < sizeof(data)) {
		ssize_t n = read(fd, data + len, sizeof(data) - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "record of bridge %s", TEXT(name));
		if (n == 0)
			return decode(data, len, name, ret, err);
		len += (size_t)n;
	}
	return err_set(err, EBADMSG, "record of bridge %s is larger than %d bytes", TEXT(name), PODSTORE_FILE_MAX);
}

int bridge_record_put(const struct bridge_record *r, struct err *err)
{
	CLEAN_CLOSE int dir = podstore_make_dir("bridges", err);
	CLEAN_FREE char *data = encode(r);
	char temp[PODSTORE_TEMP_MAX];
	int code;

	if (dir < 0)
		return dir;
	podstore_temp_name(temp);
	code = podstore_write_temp(dir, temp, data, strlen(data), err);
	if (code == 0 && renameat(dir, temp, dir, r->bridge.name) < 0) {
		code = err_errno(err, errno, "record of bridge %s", TEXT(r->bridge.name));
		unlinkat(dir, temp, 0);
	}
	return code;
}

void bridge_record_remove(const char *name)
{
	CLEAN_CLOSE int dir = podstore_open_dir("bridges", NULL);

	if (dir >= 0 && text_is_ifname(name))
		unlinkat(dir, name, 0);
}

void bridge_record_each(bridge_record_fn fn, void *arg)
{
	int fd = podstore_open_dir("bridges", NULL);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct bridge_record r;
	struct dirent *entry;

	if (fd >= 0 && !dir)
		close(fd);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && bridge_record_get(entry->d_name, &r, NULL) == 0)
			fn(&r, arg);
	if (dir)
		closedir(dir);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration of our own
 *
 * The primary's file belongs to whoever writes it: an edit is lost when that one writes it again, at boot at the latest, and then pods
 * start unchained, and nobody is told. So moat has a file that sorts first, and the runtime reads that one; the primary's is only read.
 * What is in ours is the primary's list as it stands, with moat at the end: taken over as text, since a decoder in between
 * loses numbers and what it does not know.
 */
#include "install/primary.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "install/file.h"
#include "moat/bridge.h"
#include "moat/text.h"
#include "plugin/cni_config.h"

#define PLUGINS_MAX 64 /* of one list */

static const char *text_of(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool is_config(const char *name) /* as libcni's ConfFiles has it */
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcmp(dot, ".conflist") || !strcmp(dot, ".conf") || !strcmp(dot, ".json"));
}

/* Calls fn for each configuration that is not moat's own. */
static int each_config(int conf_dir, void (*fn)(int conf_dir, const char *name, void *arg), void *arg, struct err *err)
{
	int fd = openat(conf_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return err_errno(err, errno, "the directory of network configurations");
	}
	while ((entry = readdir(dir)))
		if (is_config(entry->d_name) && strcmp(entry->d_name, CONFLIST_NAME) != 0)
			fn(conf_dir, entry->d_name, arg);
	closedir(dir);
	return 0;
}

static void keep_first(int conf_dir, const char *name, void *arg)
{
	char *first = arg;

	(void)conf_dir;
	if (!*first || strcmp(name, first) < 0)
		snprintf(first, NAME_MAX + 1, "%s", name);
}

int primary_find(int conf_dir, struct primary *ret, struct err *err)
{
	char first[NAME_MAX + 1] = "", *text;
	size_t len;
	int code = each_config(conf_dir, keep_first, first, err);

	memset(ret, 0, sizeof(*ret));
	if (code < 0)
		return code;
	if (!*first)
		return err_set(err, ENOENT, "there is no network configuration yet: the primary plugin writes it");
	if (strcmp(first, CONFLIST_NAME) < 0)
		return err_set(err, EEXIST, "%s sorts before " CONFLIST_NAME ", so that the runtime would not read ours; give it a later name",
			       TEXT(first));
	code = file_read(conf_dir, first, CONFLIST_MAX, &text, &len, err);
	return code < 0 ? code : primary_parse(first, text, len, ret, err);
}

/* Which of two a reader takes is his choice: the runtime must not see another list than moat. */
static int check_once(const cJSON *json, const char *file, struct err *err)
{
	static const char *const keys[] = {"cniVersion", "name", "plugins", "type"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const cJSON *item;
		int n = 0;

		cJSON_ArrayForEach(item, json)
			n += !strcmp(item->string, keys[i]);
		if (n > 1)
			return err_set(err, EINVAL, "%s has the key \"%s\" twice", TEXT(file), keys[i]);
	}
	return 0;
}

static int check_plugins(const struct primary *p, struct err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(p->json, "plugins"), *plugin;

	if (p->single)
		return text_of(p->json, "type") ? 0 : err_set(err, EINVAL, "%s has neither plugins nor a type", TEXT(p->file));
	if (!cJSON_IsArray(list) || !list->child || cJSON_GetArraySize(list) > PLUGINS_MAX)
		return err_set(err, EINVAL, "%s: plugins is not a list of 1 to %d plugins", TEXT(p->file), PLUGINS_MAX);
	cJSON_ArrayForEach(plugin, list)
		if (!text_of(plugin, "type"))
			return err_set(err, EINVAL, "%s has a plugin without a type", TEXT(p->file));
	return 0;
}

static int check_head(struct primary *p, struct err *err)
{
	const char *version = text_of(p->json, "cniVersion");

	p->name = text_of(p->json, "name");
	p->single = !cJSON_GetObjectItemCaseSensitive(p->json, "plugins");
	if (!text_is_cni_name(p->name ? p->name : "", NAME_MAX))
		return err_set(err, EINVAL, "%s has no name of a network", TEXT(p->file));
	for (size_t i = 0; version && cni_config_versions[i]; i++)
		if (!strcmp(version, cni_config_versions[i]))
			return 0;
	return err_set(err, EINVAL, "%s has cniVersion %s; moat supports 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0", TEXT(p->file),
		       version ? TEXT(version) : "0.1.0 (none is given)");
}

int primary_parse(const char *file, char *text, size_t len, struct primary *ret, struct err *err)
{
	*ret = (struct primary){.text = text, .len = len};
	snprintf(ret->file, sizeof(ret->file), "%s", file);
	if (json_has_nul(text, len))
		return err_set(err, EINVAL, "%s has a NUL character", TEXT(file));
	if (!strncmp(text, "\xef\xbb\xbf", 3))
		return err_set(err, EINVAL, "%s begins with a byte order mark, which no runtime takes", TEXT(file));
	ret->json = cJSON_ParseWithLengthOpts(text, len + 1, NULL, true);
	if (!cJSON_IsObject(ret->json))
		return err_set(err, EINVAL, "%s is not a JSON object, or not whole yet", TEXT(file));
	if (check_once(ret->json, file, err) < 0 || check_head(ret, err) < 0)
		return -err->code;
	return check_plugins(ret, err);
}

void primary_done(struct primary *p)
{
	cJSON_Delete(p->json);
	free(p->text);
	memset(p, 0, sizeof(*p));
}

/* -- can moat guard what it makes? -------------------------------------------------------------------------------------------- */

static bool is_true(const cJSON *object, const char *key)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static int judge_standing_bridge(const char *name, struct err *err)
{
	char port[IF_NAMESIZE], kind[16];
	struct bridge bridge;
	unsigned index = if_nametoindex(name);
	int code = index ? bridge_look(index, &bridge, err) : 0;

	if (!index || code == -ENODEV)
		return 0; /* the first pod makes it, and its ADD looks */
	if (code == -EMEDIUMTYPE)
		return err_set(err, EOPNOTSUPP, "%s is no bridge, though the primary takes it for one", TEXT(name));
	if (code < 0)
		return code;
	if (bridge.vlan_filtering)
		return err_set(err, EOPNOTSUPP, "bridge %s filters VLANs, which moat does not support", TEXT(name));
	code = bridge_find_foreign_port(&bridge, port, kind, err);
	if (code == 0 && port[0])
		return err_set(err, EOPNOTSUPP, "bridge %s has the port %s, which is no pod's (kind \"%s\"): moat guards bridges of pods only",
			       TEXT(name), TEXT(port), TEXT(kind));
	return code;
}

/* delegated: by flannel, which makes it a gateway unless told otherwise. */
static int judge_bridge(const cJSON *plugin, bool delegated, const char *file, struct err *err)
{
	const cJSON *vlan = cJSON_GetObjectItemCaseSensitive(plugin, "vlan"), *trunk = cJSON_GetObjectItemCaseSensitive(plugin, "vlanTrunk");
	const char *name = text_of(plugin, "bridge");
	bool gateway = is_true(plugin, "isGateway") || is_true(plugin, "isDefaultGateway") ||
		       (delegated && !cJSON_GetObjectItemCaseSensitive(plugin, "isGateway"));

	if ((cJSON_IsNumber(vlan) && vlan->valuedouble != 0) || cJSON_GetArraySize(trunk) > 0)
		return err_set(err, EOPNOTSUPP, "%s: a bridge with VLANs is not supported by moat", TEXT(file));
	if (!gateway)
		return err_set(err, EOPNOTSUPP, "%s: the bridge has no address of the node, so that moat cannot route between pods; set isGateway",
			       TEXT(file));
	return judge_standing_bridge(name && *name ? name : "cni0", err);
}

static bool is_accepted(const struct install_options *options, const char *type)
{
	for (size_t i = 0; i < options->accepted.n; i++)
		if (!strcmp(options->accepted.v[i], type))
			return true;
	return false;
}

static int judge_plugin(const cJSON *plugin, bool delegated, const char *file, const struct install_options *options, struct err *err)
{
	static const char *const no_veth[] = {"macvlan", "ipvlan", "host-device", "vlan", "tap", "dummy", "sriov", "cilium-cni"};
	const char *type = text_of(plugin, "type");

	if (!type)
		type = "bridge"; /* flannel's default delegate */
	if (!strcmp(type, "ptp"))
		return 0;
	if (!strcmp(type, "bridge"))
		return judge_bridge(plugin, delegated, file, err);
	if (!strcmp(type, "flannel") && !delegated)
		return judge_plugin(cJSON_GetObjectItemCaseSensitive(plugin, "delegate"), true, file, options, err);
	for (size_t i = 0; i < ARRAY_SIZE(no_veth); i++)
		if (!strcmp(type, no_veth[i]))
			return err_set(err, EOPNOTSUPP, "%s: packets of pods that plugin %s connects do not pass the node's rules: moat cannot guard them",
				       TEXT(file), TEXT(type));
	if (is_accepted(options, type))
		return 0;
	return err_set(err, EOPNOTSUPP, "%s: moat was not tried with plugin %s; if it gives pods a veth to which the node routes, say --accept-primary %s",
		       TEXT(file), TEXT(type), TEXT(type));
}

static bool chains_moat(const struct primary *p)
{
	const char *type = text_of(p->json, "type");
	const cJSON *plugin;

	if (p->single)
		return type && !strcmp(type, PLUGIN_NAME);
	cJSON_ArrayForEach(plugin, cJSON_GetObjectItemCaseSensitive(p->json, "plugins")) {
		type = text_of(plugin, "type");
		if (type && !strcmp(type, PLUGIN_NAME))
			return true;
	}
	return false;
}

int primary_judge(const struct primary *p, const struct install_options *options, struct err *err)
{
	const cJSON *first = p->single ? p->json : cJSON_GetObjectItemCaseSensitive(p->json, "plugins")->child;

	if (chains_moat(p))
		return err_set(err, EOPNOTSUPP, "%s has a plugin of type moat itself; remove it there: the installer chains it", TEXT(p->file));
	return judge_plugin(first, false, p->file, options, err);
}

static void look_for_moat(int conf_dir, const char *name, void *arg)
{
	struct primary p;
	struct err err;
	size_t len;
	char *text;

	if (file_read(conf_dir, name, CONFLIST_MAX, &text, &len, &err) < 0)
		return;
	if (primary_parse(name, text, len, &p, &err) == 0)
		*(bool *)arg |= chains_moat(&p);
	primary_done(&p);
}

bool primary_others_need_moat(int conf_dir)
{
	bool found = false;
	struct err err;

	each_config(conf_dir, look_for_moat, &found, &err);
	return found;
}

/* -- the list with moat ------------------------------------------------------------------------------------------------------- */

/* What the plugin would say of its entry, now instead of at the next pod. */
static int check_settings(const struct primary *p, const char *entry, struct err *err)
{
	CLEAN_FREE char *named = json_set_member(entry, strlen(entry), "name", p->name);
	char *whole = json_set_member(named, strlen(named), "cniVersion", CNI_VERSION_NEWEST);
	struct cni_config config;
	struct cni_error e = {0};
	int code = cni_config_parse(whole, strlen(whole), true, &config, &e);

	if (!code && config.prev_result)
		code = cni_fail(&e, CNI_INVALID_CONFIG, "prevResult is the runtime's to give");
	cni_config_done(&config);
	return code ? err_set(err, EINVAL, "settings: %s", e.msg) : 0;
}

int primary_chain(const struct primary *p, const char *settings, char **ret, struct err *err)
{
	CLEAN_FREE char *entry = json_set_member(settings, strlen(settings), "type", PLUGIN_NAME);
	struct span plugins, version;
	size_t before;

	if (check_settings(p, entry, err) < 0)
		return -err->code;
	if (p->single) {
		json_find_member(p->text, p->len, "cniVersion", &version);
		*ret = mem_printf("{\n  \"cniVersion\": %.*s,\n  \"name\": \"%s\",\n  \"plugins\": [\n%.*s, %s ]\n}\n", (int)version.len, version.at, p->name,
				  (int)p->len, p->text, entry);
	} else {
		if (!json_find_member(p->text, p->len, "plugins", &plugins) || plugins.at[plugins.len - 1] != ']')
			return err_set(err, EINVAL, "%s: its plugins cannot be found", TEXT(p->file));
		before = (size_t)(plugins.at - p->text) + plugins.len - 1;
		*ret = mem_printf("%.*s, %s ]%.*s", (int)before, p->text, entry, (int)(p->len - before - 1), p->text + before + 1);
	}
	if (strlen(*ret) > CONFLIST_MAX) {
		free(*ret);
		return err_set(err, EFBIG, "%s is too large to chain moat to it", TEXT(p->file));
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/source/conflist.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "moat/log.h"
#include "policyd/source/textfile.h"

void conflist_init(struct conflist *c, const char *path)
{
	memset(c, 0, sizeof(*c));
	c->path = mem_strdup(path);
}

void conflist_done(struct conflist *c)
{
	free(c->path);
	free(c->last);
}

struct entry {
	const char *network;
	enum mode mode;
	enum deny deny;
	struct tunnel_ports tunnel_ports;
};

static int read_settings(const cJSON *plugin, struct entry *ret, struct err *err)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(plugin, "mode");

	ret->mode = MODE_STRICT;
	if (value && !mode_parse(cJSON_GetStringValue(value), &ret->mode))
		return err_set(err, EINVAL, "its mode is none of strict, standard, preview, audit");
	value = cJSON_GetObjectItemCaseSensitive(plugin, "deny");
	ret->deny = DENY_DROP;
	if (value && !deny_parse(cJSON_GetStringValue(value), &ret->deny))
		return err_set(err, EINVAL, "its deny is none of drop, reject");
	if (tunnel_ports_parse(cJSON_GetObjectItemCaseSensitive(plugin, "tunnelPorts"), &ret->tunnel_ports, err) < 0)
		return -err->code;
	if (!ret->tunnel_ports.n)
		ret->tunnel_ports = tunnel_ports_default;
	return 0;
}

static int read_moat_entry(const cJSON *list, struct entry *ret, struct err *err)
{
	const cJSON *plugin;

	ret->network = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(list, "name"));
	if (!ret->network)
		return err_set(err, EINVAL, "it has no name");
	cJSON_ArrayForEach(plugin, cJSON_GetObjectItemCaseSensitive(list, "plugins")) {
		const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(plugin, "type"));

		if (type && !strcmp(type, "moat"))
			return read_settings(plugin, ret, err);
	}
	return err_set(err, ENOENT, "it has no plugin of type moat");
}

static bool fail(struct conflist *c, const char *why)
{
	char trouble[sizeof(c->trouble)];

	text_escape(why, trouble, sizeof(trouble));
	if (strcmp(c->trouble, trouble) != 0)
		log_warn("conflist-not-read file=\"%s\" error=\"%s\" in-force=%s", TEXT(c->path), trouble,
			 c->last ? "last-good-version" : "modes-of-each-ADD");
	memcpy(c->trouble, trouble, sizeof(trouble));
	return false;
}

bool conflist_read(struct conflist *c, struct cluster *cluster)
{
	CLEAN_FREE char *text = NULL;
	struct entry entry = {.network = NULL};
	struct err err;
	size_t len;
	cJSON *list;
	int code;

	if (!c->path)
		return false;
	text = textfile_read("conflist", c->path, CONFLIST_BYTES_MAX, &len, NULL, &err);
	if (!text)
		return fail(c, err.text);
	if (c->last && !strcmp(text, c->last)) {
		c->trouble[0] = '\0';
		return false;
	}
	list = cJSON_ParseWithOpts(text, NULL, true);
	code = list ? read_moat_entry(list, &entry, &err) : err_set(&err, EINVAL, "it is not JSON");
	if (code == 0) {
		cluster_set_network_mode(cluster, entry.network, entry.mode, entry.deny);
		cluster_set_tunnel_ports(cluster, &entry.tunnel_ports);
		log_info("conflist-read file=\"%s\" network=%s mode=%s deny=%s tunnel-ports=%zu", TEXT(c->path), TEXT(entry.network),
			 mode_name(entry.mode), deny_name(entry.deny), entry.tunnel_ports.n);
		free(c->last);
		c->last = TAKE_PTR(text);
		c->trouble[0] = '\0';
	}
	cJSON_Delete(list);
	return code == 0 ? true : fail(c, err.text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attachment as a file: JSON, so that an administrator can read it, versioned, so that an older moat refuses what it does not
 * understand. What is read is checked as if a stranger had written it: it ends up in rules.
 */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/pod/podstore_internal.h"
#include "moat/text.h"

bool podstore_key_parse(const char *key, struct podstore_key *ret)
{
	const char *slash = key ? strchr(key, '/') : NULL;
	const char *colon = slash ? strchr(slash, ':') : NULL;
	char container[NAME_MAX + 1];

	if (!colon || slash - key > PODSTORE_NETWORK_MAX || colon - slash - 1 > PODSTORE_CONTAINER_ID_MAX)
		return false;
	snprintf(ret->network, sizeof(ret->network), "%.*s", (int)(slash - key), key);
	snprintf(container, sizeof(container), "%.*s", (int)(colon - slash - 1), slash + 1);
	if (!text_is_cni_name(ret->network, PODSTORE_NETWORK_MAX) || !text_is_cni_name(container, PODSTORE_CONTAINER_ID_MAX) ||
	    !text_is_ifname(colon + 1))
		return false;
	memcpy(ret->file, slash + 1, strlen(slash + 1) + 1); /* fits: 239, a colon and 15 */
	return true;
}

static void add_text(cJSON *object, const char *name, const char *text)
{
	if (text && !cJSON_AddStringToObject(object, name, text))
		abort();
}

static void add_number(cJSON *object, const char *name, uint32_t number)
{
	if (!cJSON_AddNumberToObject(object, name, number))
		abort();
}

char *podstore_encode(const struct attachment *a)
{
	cJSON *object = cJSON_CreateObject(), *addrs;
	char created[24], buf[ADDR_TEXT_MAX], *text, *line;

	/* a string: a JSON number would lose nanoseconds beyond 2^53 */
	snprintf(created, sizeof(created), "%llu", (unsigned long long)a->created);
	add_number(object, "version", a->bridge[0] ? 2 : 1);
	add_text(object, "network", a->network);
	add_text(object, "containerID", a->container_id);
	add_text(object, "ifname", a->ifname);
	add_text(object, "podNamespace", a->pod_namespace);
	add_text(object, "podName", a->pod_name);
	add_text(object, "podUID", a->pod_uid);
	add_text(object, "port", a->port);
	add_number(object, "portIndex", a->port_index);
	add_number(object, "peerIndex", a->peer_index);
	if (a->bridge[0]) {
		add_text(object, "bridge", a->bridge);
		add_number(object, "bridgeIndex", a->bridge_index);
		add_text(object, "bridgeMAC", ether_text(a->bridge_mac, buf));
		add_text(object, "MAC", ether_text(a->mac, buf));
	}
	addrs = cJSON_AddArrayToObject(object, "addrs");
	for (size_t i = 0; i < a->n_addrs; i++)
		if (!cJSON_AddItemToArray(addrs, cJSON_CreateString(addr_text(&a->addrs[i], buf))))
			abort();
	add_text(object, "mode", mode_name(a->mode));
	add_text(object, "deny", deny_name(a->deny));
	if (a->tunnel_ports.n && !cJSON_AddItemToObject(object, "tunnelPorts", tunnel_ports_json(&a->tunnel_ports)))
		abort();
	if (a->adoption != ADOPTION_NONE)
		add_text(object, "adopted", a->adoption == ADOPTION_HELD ? "held" : "enforced");
	add_text(object, "created", created);
	text = cJSON_PrintUnformatted(object);
	if (!text)
		abort();
	line = mem_printf("%s\n", text);
	cJSON_free(text);
	cJSON_Delete(object);
	return line;
}

static const char *get_text(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool get_index(const cJSON *object, const char *name, uint32_t *ret)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= UINT32_MAX) ||
	    item->valuedouble != (double)(uint32_t)item->valuedouble)
		return false;
	*ret = (uint32_t)item->valuedouble;
	return true;
}

/* Absent is fine, anything but a name of at most `max` characters is not. */
static bool get_name(const cJSON *object, const char *name, size_t max, char **ret)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!item)
		return true;
	if (!cJSON_IsString(item) || !text_is_cni_name(item->valuestring, max))
		return false;
	*ret = mem_strdup(item->valuestring);
	return true;
}

static bool get_addrs(const cJSON *object, struct attachment *a)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "addrs"), *item;

	if (!cJSON_IsArray(list))
		return false;
	cJSON_ArrayForEach(item, list)
	{
		if (a->n_addrs == ATTACHMENT_ADDRS_MAX || !cJSON_IsString(item) ||
		    addr_parse(item->valuestring, &a->addrs[a->n_addrs], NULL) < 0 ||
		    !addr_is_pod_address(&a->addrs[a->n_addrs]))
			return false;
		a->n_addrs++;
	}
	return true;
}

static bool get_created(const cJSON *object, uint64_t *ret)
{
	const char *text = get_text(object, "created");
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && !*end;
}

/* Of a port of a bridge; NULL: all as they should be. */
static const char *decode_bridge(const cJSON *object, struct attachment *a)
{
	const char *bridge = get_text(object, "bridge");

	if (!text_is_ifname(bridge))
		return "bridge";
	snprintf(a->bridge, sizeof(a->bridge), "%s", bridge);
	if (!get_index(object, "bridgeIndex", &a->bridge_index))
		return "bridgeIndex";
	if (!ether_parse(get_text(object, "bridgeMAC"), a->bridge_mac))
		return "bridgeMAC";
	return ether_parse(get_text(object, "MAC"), a->mac) ? NULL : "MAC";
}

static bool get_adoption(const cJSON *object, enum adoption *ret)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "adopted");
	const char *text = cJSON_GetStringValue(item);

	*ret = !item ? ADOPTION_NONE : text && !strcmp(text, "held") ? ADOPTION_HELD : ADOPTION_ENFORCED;
	return !item || (text && (*ret == ADOPTION_HELD || !strcmp(text, "enforced")));
}

/* The first field that is not as podstore_encode writes it; NULL: all are. */
static const char *decode_fields(const cJSON *object, const char *key, uint32_t version, struct attachment *a)
{
	CLEAN_FREE char *own_key = NULL;
	const char *port = get_text(object, "port"), *wrong;

	a->network = mem_strdup(get_text(object, "network"));
	a->container_id = mem_strdup(get_text(object, "containerID"));
	a->ifname = mem_strdup(get_text(object, "ifname"));
	if (!a->network || !a->container_id || !a->ifname)
		return "network, containerID or ifname";
	own_key = attachment_key(a);
	if (strcmp(own_key, key) != 0)
		return "network, containerID or ifname (not those of the file's name)";
	if (!get_name(object, "podNamespace", 63, &a->pod_namespace))
		return "podNamespace";
	if (!get_name(object, "podName", 253, &a->pod_name))
		return "podName";
	if (!get_name(object, "podUID", 253, &a->pod_uid))
		return "podUID";
	if (!text_is_ifname(port))
		return "port";
	snprintf(a->port, sizeof(a->port), "%s", port);
	if (!get_index(object, "portIndex", &a->port_index))
		return "portIndex";
	if (!get_index(object, "peerIndex", &a->peer_index))
		return "peerIndex";
	if (version > 1 && (wrong = decode_bridge(object, a)))
		return wrong;
	if (!get_addrs(object, a))
		return "addrs";
	if (!mode_parse(get_text(object, "mode"), &a->mode))
		return "mode";
	if (!deny_parse(get_text(object, "deny"), &a->deny))
		return "deny";
	if (tunnel_ports_parse(cJSON_GetObjectItemCaseSensitive(object, "tunnelPorts"), &a->tunnel_ports, NULL) < 0)
		return "tunnelPorts";
	if (!get_adoption(object, &a->adoption))
		return "adopted";
	return get_created(object, &a->created) ? NULL : "created";
}

int podstore_decode(const char *data, size_t len, const char *key, struct attachment **ret, struct err *err)
{
	cJSON *object = cJSON_ParseWithLength(data, len);
	struct attachment *a = mem_zalloc(sizeof(*a));
	const char *wrong;
	uint32_t version = 0;
	int r;

	if (!cJSON_IsObject(object)) {
		r = err_set(err, EBADMSG, "state of %s: not a JSON object (truncated?)", TEXT(key));
	} else if (!get_index(object, "version", &version) || version < 1 || version > PODSTORE_VERSION) {
		r = err_set(err, EBADMSG, "state of %s: version %u, this moat reads versions 1 to %d", TEXT(key), version,
			    PODSTORE_VERSION);
	} else if ((wrong = decode_fields(object, key, version, a))) {
		r = err_set(err, EBADMSG, "state of %s: %s is missing or malformed", TEXT(key), wrong);
	} else {
		*ret = TAKE_PTR(a);
		r = 0;
	}
	cJSON_Delete(object);
	attachment_free(a);
	return r;
}

int podstore_read_file(int dir, const char *file, const char *key, struct attachment **ret, struct err *err)
{
	char data[PODSTORE_FILE_MAX + 1];
	size_t len = 0;
	struct stat st;
	/* O_NONBLOCK: a FIFO in its place must not hang the reader */
	CLEAN_CLOSE int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ENOENT, "no state of %s", TEXT(key));
	if (fd < 0 && errno != ELOOP && errno != ENXIO)
		return err_errno(err, errno, "state of %s", TEXT(key));
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, EBADMSG, "state of %s: not a regular file", TEXT(key));
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(err, EBADMSG, "state of %s: owner %u, mode %04o; expected owner %u, writable by nobody else", TEXT(key), st.st_uid,
			       st.st_mode & 07777, geteuid());
	while (len < sizeof(data)) {
		ssize_t n = read(fd, data + len, sizeof(data) - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "state of %s", TEXT(key));
		if (n == 0)
			return podstore_decode(data, len, key, ret, err);
		len += (size_t)n;
	}
	return err_set(err, EBADMSG, "state of %s: larger than %d bytes", TEXT(key), PODSTORE_FILE_MAX);
}

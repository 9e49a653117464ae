/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cni_config.h"

#include <string.h>
#include <unistd.h>

#include "moat/podstore.h"
#include "moat/text.h"

#define KEYS_MAX 256 /* of an object whose keys are compared with each other */
#define CNI_CONFIG_USUAL 16384 /* bytes of room at first */
#define CNI_DEV "cni.dev/"

const char *const cni_config_versions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", NULL};

static int version_rank(const char *version)
{
	for (int i = 0; cni_config_versions[i]; i++)
		if (!strcmp(cni_config_versions[i], version))
			return i;
	return -1;
}

bool cni_version_at_least(const char *version, const char *other)
{
	return version_rank(version) >= version_rank(other);
}

int cni_config_read(int fd, char **ret_text, size_t *ret_len, struct cni_error *e)
{
	size_t len = 0, room = CNI_CONFIG_USUAL; /* for a zero behind it too */
	char *text = mem_alloc(room);

	while (len <= CNI_CONFIG_MAX) {
		size_t end;
		ssize_t n;

		if (len + 1 == room)
			text = mem_realloc(text, room *= 2, 1);
		end = room - 1 < CNI_CONFIG_MAX + 1 ? room - 1 : CNI_CONFIG_MAX + 1;
		n = read(fd, text + len, end - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			struct err cause;

			err_errno(&cause, errno, "standard input");
			free(text);
			return cni_fail_cause(e, CNI_IO_FAILURE, &cause, "cannot read the network configuration");
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* "12", "1.5": digits with an optional fraction, as nanoseconds of the unit behind them. */
static const char *parse_term(const char *p, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};
	uint64_t whole = 0, fraction = 0, scale = 1;
	const char *start = p;

	for (; *p >= '0' && *p <= '9'; p++)
		if ((whole = whole * 10 + (uint64_t)(*p - '0')) > 1000000)
			return NULL;
	if (p == start)
		return NULL;
	if (*p == '.') {
		for (start = ++p; *p >= '0' && *p <= '9'; p++) {
			if (scale < 1000000) {
				scale *= 10;
				fraction = fraction * 10 + (uint64_t)(*p - '0');
			}
		}
		if (p == start)
			return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t len = strlen(units[i].name);

		/* "m" must not take the first letter of "ms", which stands before it in the table */
		if (strncmp(p, units[i].name, len) != 0)
			continue;
		*ret_ns = whole * units[i].ns + fraction * units[i].ns / scale;
		return p + len;
	}
	return NULL;
}

bool cni_config_parse_wait(const char *text, unsigned *ret_ms)
{
	uint64_t total = 0, term;

	if (!strcmp(text, "0")) {
		*ret_ms = 0;
		return true;
	}
	if (!*text)
		return false;
	while (*text) {
		text = parse_term(text, &term);
		if (!text)
			return false;
		total += term;
		if (total > (uint64_t)CNI_WAIT_MAX_MS * 1000000)
			return false;
	}
	*ret_ms = (unsigned)(total / 1000000);
	return true;
}

/* design §7: what libcni, other plugins of the list and the specification put there. */
static bool key_is_known(const char *key)
{
	static const char *const known[] = {"cniVersion", "name", "type", "prevResult", "runtimeConfig", "capabilities",
					    "args",       "ipam", "dns",  "ipMasq",     "mode",          "deny",
					    "waitForPolicy", "tunnelPorts"};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(key, known[i]))
			return true;
	return !strncmp(key, CNI_DEV, strlen(CNI_DEV));
}

static int check_unknown(const cJSON *json, struct cni_error *e)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json)
	{
		char *value;

		if (key_is_known(item->string))
			continue;
		value = cJSON_PrintUnformatted(item);
		cni_fail(e, CNI_UNSUPPORTED_FIELD, "unknown key \"%s\" with value %s in the network configuration; remove it or correct its name",
			 TEXT(item->string), TEXT(value));
		cJSON_free(value);
		return CNI_UNSUPPORTED_FIELD;
	}
	return 0;
}

/* Which of two a reader takes is his choice: the runtime, other plugins and moat must not see different configurations. */
static int check_duplicates(const cJSON *object, const char *what, struct cni_error *e)
{
	const cJSON *item, *other;

	if (cJSON_GetArraySize(object) > KEYS_MAX)
		return cni_fail(e, CNI_INVALID_CONFIG, "%s has more than %d keys", what, KEYS_MAX);
	cJSON_ArrayForEach(item, object)
		for (other = item->next; other; other = other->next)
			if (!strcmp(item->string, other->string))
				return cni_fail(e, CNI_INVALID_CONFIG, "%s has the key \"%s\" twice", what, TEXT(item->string));
	return 0;
}

static int read_version(struct cni_config *c, struct cni_error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->json, "cniVersion");
	const char *text = cJSON_GetStringValue(item);
	int rank = text ? version_rank(text) : -1;

	if (item && !text)
		return cni_fail(e, CNI_INVALID_CONFIG, "cniVersion must be a string");
	/* section 1: without it the version is 0.1.0 */
	if (rank < 0)
		return cni_fail(e, CNI_INCOMPATIBLE_VERSION, "cniVersion %s is not supported; supported are 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0",
				text ? TEXT(text) : "0.1.0 (none is given)");
	c->version = cni_config_versions[rank];
	return 0;
}

static int read_name(struct cni_config *c, struct cni_error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->json, "name");

	if (!cJSON_IsString(item) || !text_is_cni_name(item->valuestring, PODSTORE_NETWORK_MAX))
		return cni_fail(e, CNI_INVALID_CONFIG,
				"name is %s; a network's name is a letter or digit, then letters, digits, '_', '.', '-', at most %d",
				cJSON_IsString(item) ? TEXT(item->valuestring) : "missing or not a string", PODSTORE_NETWORK_MAX);
	c->name = mem_strdup(item->valuestring);
	return 0;
}

/* A member's text, NULL if it is absent; a value of another type is an error that says what is expected. */
static int read_word(const struct cni_config *c, const char *key, const char *expected, const char **ret, struct cni_error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->json, key);

	*ret = cJSON_GetStringValue(item);
	if (item && !*ret)
		return cni_fail(e, CNI_INVALID_CONFIG, "%s must be a string: %s", key, expected);
	return 0;
}

static int read_settings(struct cni_config *c, struct cni_error *e)
{
	static const char modes[] = "strict, standard, preview or audit", denies[] = "drop or reject",
			  waits[] = "a duration of at most 30s, like 1s, 500ms or 0s";
	const char *mode, *deny, *wait;
	struct err err;

	c->mode = MODE_STRICT;
	c->deny = DENY_DROP;
	c->wait_ms = CNI_WAIT_DEFAULT_MS;
	if (read_word(c, "mode", modes, &mode, e) || read_word(c, "deny", denies, &deny, e) ||
	    read_word(c, "waitForPolicy", waits, &wait, e))
		return (int)e->code;
	if (mode && !mode_parse(mode, &c->mode))
		return cni_fail(e, CNI_INVALID_CONFIG, "mode is \"%s\"; expected %s", TEXT(mode), modes);
	if (deny && !deny_parse(deny, &c->deny))
		return cni_fail(e, CNI_INVALID_CONFIG, "deny is \"%s\"; expected %s", TEXT(deny), denies);
	if (wait && !cni_config_parse_wait(wait, &c->wait_ms))
		return cni_fail(e, CNI_INVALID_CONFIG, "waitForPolicy is \"%s\"; expected %s", TEXT(wait), waits);
	if (tunnel_ports_parse(cJSON_GetObjectItemCaseSensitive(c->json, "tunnelPorts"), &c->tunnel_ports, &err) < 0)
		return cni_fail(e, CNI_INVALID_CONFIG, "%s", err.text);
	return 0;
}

static int read_prev_result(struct cni_config *c, struct cni_error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->json, "prevResult");

	if (!item || cJSON_IsNull(item))
		return 0;
	if (!cJSON_IsObject(item))
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult must be an object");
	c->prev_result = item;
	json_find_member(c->text, c->len, "prevResult", &c->prev_text);
	return check_duplicates(item, "prevResult", e);
}

int cni_config_parse(char *text, size_t len, bool refuse_unknown, struct cni_config *ret, struct cni_error *e)
{
	const char *end = NULL;
	int code;

	memset(ret, 0, sizeof(*ret));
	ret->text = text;
	ret->len = len;
	ret->version = CNI_VERSION_NEWEST;
	if (len > CNI_CONFIG_MAX)
		return cni_fail(e, CNI_INVALID_CONFIG, "the network configuration is larger than %lu bytes", CNI_CONFIG_MAX);
	if (json_has_nul(text, len))
		return cni_fail(e, CNI_DECODE_FAILURE, "the network configuration has a NUL character");
	ret->json = cJSON_ParseWithLengthOpts(text, len + 1, &end, true);
	if (!ret->json)
		return cni_fail(e, CNI_DECODE_FAILURE, "the network configuration is not JSON: malformed at byte %zu of %zu",
				end ? (size_t)(end - text) : 0, len);
	if (!cJSON_IsObject(ret->json))
		return cni_fail(e, CNI_DECODE_FAILURE, "the network configuration is JSON but not an object");
	if ((code = check_duplicates(ret->json, "the network configuration", e)) || (code = read_version(ret, e)) ||
	    (code = read_name(ret, e)) || (refuse_unknown && (code = check_unknown(ret->json, e))) ||
	    (code = read_settings(ret, e)))
		return code;
	return read_prev_result(ret, e);
}

/* The member's text if it is a string that may be read so far; the caller frees. */
static char *find_text(const char *text, size_t len, const char *name)
{
	struct span value;
	cJSON *json;
	char *copy;

	if (!json_find_member(text, len, name, &value) || json_has_nul(value.at, value.len))
		return NULL;
	json = cJSON_ParseWithLength(value.at, value.len);
	copy = mem_strdup(cJSON_GetStringValue(json));
	cJSON_Delete(json);
	return copy;
}

int cni_config_parse_name(char *text, size_t len, struct cni_config *ret, struct cni_error *e)
{
	CLEAN_FREE char *version = find_text(text, len, "cniVersion");
	int rank = version ? version_rank(version) : -1;
	struct span value;

	memset(ret, 0, sizeof(*ret));
	ret->text = text;
	ret->len = len;
	ret->version = rank < 0 ? CNI_VERSION_NEWEST : cni_config_versions[rank];
	ret->name = find_text(text, len, "name");
	if (!ret->name && !json_find_member(text, len, "name", &value))
		return cni_fail(e, CNI_DECODE_FAILURE, "no network name can be found in the configuration: which attachment to delete is unknown");
	if (ret->name && !text_is_cni_name(ret->name, PODSTORE_NETWORK_MAX)) {
		free(ret->name);
		ret->name = NULL;
	}
	return 0;
}

void cni_config_done(struct cni_config *config)
{
	cJSON_Delete(config->json);
	free(config->name);
	free(config->text);
	memset(config, 0, sizeof(*config));
}

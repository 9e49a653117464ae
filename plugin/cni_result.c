/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cni_result.h"

#include <string.h>
#include <sys/stat.h>

#include "moat/text.h"

#define LIST_MAX 256 /* interfaces, and ips; looked through once per address */

struct reader {
	const cJSON *interfaces; /* NULL: none given */
	const char *ifname, *netns;
	struct addr *addrs;
	size_t n;
};

/* A list, absent and null being an empty one. */
static int get_list(const cJSON *object, const char *name, const cJSON **ret, struct cni_error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	*ret = NULL;
	if (!item || cJSON_IsNull(item))
		return 0;
	if (!cJSON_IsArray(item))
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult: %s must be a list", name);
	if (cJSON_GetArraySize(item) > LIST_MAX)
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult: %s has more than %d entries", name, LIST_MAX);
	*ret = item;
	return 0;
}

/* /run/netns/x and /var/run/netns/x are one namespace with two names. */
static bool same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	if (!strcmp(a, b))
		return true;
	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Does the entry of "ips" belong to the container's interface? */
static int is_own(const struct reader *r, const cJSON *ip, bool *ret, struct cni_error *e)
{
	const cJSON *index = cJSON_GetObjectItemCaseSensitive(ip, "interface"), *interface;
	const char *name, *sandbox;

	*ret = true;
	if (!index || cJSON_IsNull(index))
		return 0;
	if (!cJSON_IsNumber(index) || !(index->valuedouble >= 0 && index->valuedouble <= LIST_MAX) ||
	    index->valuedouble != (double)(int)index->valuedouble)
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult: \"interface\" of an address must be an index into interfaces");
	interface = cJSON_GetArrayItem(r->interfaces, (int)index->valuedouble);
	if (!cJSON_IsObject(interface))
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult: an address names interface %d, and interfaces has %d entries",
				(int)index->valuedouble, cJSON_GetArraySize(r->interfaces));
	name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(interface, "name"));
	sandbox = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(interface, "sandbox"));
	*ret = name && sandbox && *sandbox && !strcmp(name, r->ifname) && same_file(sandbox, r->netns);
	return 0;
}

static bool is_link_local(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->bytes[0] == 169 && a->bytes[1] == 254;
	return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/* "address/prefix": the address itself, with the bits that the prefix does not cover. */
static int parse_address(const char *text, struct addr *ret, struct cni_error *e)
{
	CLEAN_FREE char *address = NULL;
	struct block block;
	struct err cause;

	if (addr_parse_block(text, &block, &cause) == 0) {
		address = mem_strndup(text, (size_t)(strchr(text, '/') - text));
		if (addr_parse(address, ret, &cause) == 0)
			return 0;
	}
	return cni_fail_cause(e, CNI_INVALID_CONFIG, &cause, "prevResult has a malformed address");
}

static int add_address(struct reader *r, const cJSON *ip, struct cni_error *e)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ip, "address"));
	struct addr a;
	int code;

	if (!text)
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult: an entry of ips has no address, or it is not a string");
	code = parse_address(text, &a, e);
	if (code || is_link_local(&a))
		return code;
	if (!addr_is_pod_address(&a))
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult gives the pod %s, which is not a unicast address", TEXT(text));
	for (size_t i = 0; i < r->n; i++)
		if (addr_equal(&r->addrs[i], &a))
			return 0;
	if (r->n == ATTACHMENT_ADDRS_MAX)
		return cni_fail(e, CNI_INVALID_CONFIG, "prevResult gives %s more than %d addresses", TEXT(r->ifname),
				ATTACHMENT_ADDRS_MAX);
	r->addrs[r->n++] = a;
	return 0;
}

static int check_version(const cJSON *prev, struct cni_error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(prev, "cniVersion");
	const char *text = cJSON_GetStringValue(item);

	for (size_t i = 0; text && cni_config_versions[i]; i++)
		if (!strcmp(text, cni_config_versions[i]))
			return 0;
	if (!item)
		return 0;
	return cni_fail(e, CNI_INVALID_CONFIG, "prevResult: cniVersion is %s, whose results moat cannot read",
			text ? TEXT(text) : "not a string");
}

int cni_result_read_addrs(const struct cni_config *config, const char *ifname, const char *netns,
			  struct addr addrs[ATTACHMENT_ADDRS_MAX], size_t *ret_n, struct cni_error *e)
{
	struct reader r = {.ifname = ifname, .netns = netns, .addrs = addrs};
	const cJSON *ips, *ip;
	int code = check_version(config->prev_result, e);

	if (code || (code = get_list(config->prev_result, "interfaces", &r.interfaces, e)) ||
	    (code = get_list(config->prev_result, "ips", &ips, e)))
		return code;
	cJSON_ArrayForEach(ip, ips)
	{
		bool own;

		if (!cJSON_IsObject(ip))
			return cni_fail(e, CNI_INVALID_CONFIG, "prevResult: an entry of ips is not an object");
		if ((code = is_own(&r, ip, &own, e)) || (own && (code = add_address(&r, ip, e))))
			return code;
	}
	*ret_n = r.n;
	return 0;
}

char *cni_result_echo(const struct cni_config *config)
{
	const char *version =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config->prev_result, "cniVersion"));

	if (version && !strcmp(version, config->version))
		return mem_strndup(config->prev_text.at, config->prev_text.len);
	return json_set_member(config->prev_text.at, config->prev_text.len, "cniVersion", config->version);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The question "would this packet pass, and why", from JSON to the pure explain and back. */
#include <cjson/cJSON.h>
#include <netinet/in.h>
#include <string.h>

#include "moat/text.h"
#include "policyd/control/ctl.h"
#include "policyd/model/explain.h"

/* "namespace/name", "name" (namespace default) or an address. The names are copied to buf. */
static bool parse_party(const char *text, char buf[512], struct explain_party *ret)
{
	struct err err;
	char *slash;

	memset(ret, 0, sizeof(*ret));
	if (!text || strlen(text) >= 512)
		return false;
	if (addr_parse(text, &ret->addr, &err) == 0)
		return true;
	memset(&ret->addr, 0, sizeof(ret->addr));
	memcpy(buf, text, strlen(text) + 1);
	slash = strchr(buf, '/');
	if (slash)
		*slash++ = '\0';
	ret->ns = slash ? buf : "default";
	ret->name = slash ? slash : buf;
	return text_is_dns1123_label(ret->ns) && text_is_dns1123_subdomain(ret->name);
}

static bool parse_protocol(const char *text, uint8_t *ret)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}, {"icmp", IPPROTO_ICMP}};

	for (size_t i = 0; text && i < ARRAY_SIZE(protocols); i++) {
		if (!strcmp(text, protocols[i].name)) {
			*ret = protocols[i].number;
			return true;
		}
	}
	return false;
}

static void add_rules(cJSON *end, const char *key, const struct explain_rule *rules, size_t n, bool with_index)
{
	cJSON *list = cJSON_AddArrayToObject(end, key);

	for (size_t i = 0; i < n; i++) {
		cJSON *rule = cJSON_CreateObject();

		cJSON_AddStringToObject(rule, "policy", rules[i].policy);
		if (with_index)
			cJSON_AddNumberToObject(rule, "rule", (double)rules[i].index);
		cJSON_AddItemToArray(list, rule);
	}
}

static cJSON *end_json(const struct explain_end *e)
{
	cJSON *end = cJSON_CreateObject();

	cJSON_AddStringToObject(end, "name", e->name);
	cJSON_AddStringToObject(end, "direction", direction_name(e->direction));
	cJSON_AddStringToObject(end, "verdict", explain_verdict_name(e->verdict));
	if (e->attached)
		cJSON_AddStringToObject(end, "mode", mode_name(e->mode));
	add_rules(end, "isolating", e->isolating.v, e->isolating.n, false);
	add_rules(end, "allowing", e->allowing.v, e->allowing.n, true);
	cJSON_AddStringToObject(end, "reason", e->reason);
	return end;
}

struct cJSON *ctl_explain(struct cluster *c, const struct cJSON *request)
{
	const cJSON *port = cJSON_GetObjectItemCaseSensitive(request, "port");
	struct explain_query query = {0};
	struct explain_result result;
	char source[512], destination[512];
	CLEAN_FREE char *text = NULL;
	cJSON *answer;

	if (!parse_party(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, "from")), source, &query.source) ||
	    !parse_party(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, "to")), destination, &query.destination))
		return ctl_refuse("explain needs from and to: each namespace/pod, a pod of namespace default, or an address");
	if (!parse_protocol(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, "protocol")), &query.protocol))
		return ctl_refuse("explain needs a protocol: tcp, udp, sctp or icmp");
	if (query.protocol != IPPROTO_ICMP) {
		if (!cJSON_IsNumber(port) || port->valuedouble < 1 || port->valuedouble > 65535)
			return ctl_refuse("explain needs a port from 1 to 65535");
		query.port = (uint16_t)port->valuedouble;
	}
	explain(c, &query, &result);
	text = explain_text(&result);
	answer = cJSON_CreateObject();
	cJSON_AddBoolToObject(answer, "ok", true);
	cJSON_AddStringToObject(answer, "traffic", result.traffic);
	cJSON_AddStringToObject(answer, "verdict", explain_verdict_name(result.verdict));
	cJSON_AddItemToObject(answer, "source", end_json(&result.source));
	cJSON_AddItemToObject(answer, "destination", end_json(&result.destination));
	cJSON_AddStringToObject(answer, "text", text);
	explain_result_done(&result);
	return answer;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cni_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct cursor {
	const char *at, *end;
};

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (unsigned char)*c->at <= ' ')
		c->at++;
}

static bool skip_char(struct cursor *c, char expected)
{
	skip_space(c);
	if (c->at == c->end || *c->at != expected)
		return false;
	c->at++;
	return true;
}

static bool skip_string(struct cursor *c)
{
	if (c->at == c->end || *c->at != '"')
		return false;
	for (c->at++; c->at < c->end; c->at++) {
		if (*c->at == '"') {
			c->at++;
			return true;
		}
		if (*c->at == '\\' && ++c->at == c->end)
			return false;
	}
	return false;
}

/* An object or array, by counting; no recursion, so depth costs nothing. */
static bool skip_nested(struct cursor *c)
{
	size_t depth = 0;

	while (c->at < c->end) {
		char ch = *c->at;

		if (ch == '"') {
			if (!skip_string(c))
				return false;
			continue;
		}
		c->at++;
		if (ch == '{' || ch == '[')
			depth++;
		else if ((ch == '}' || ch == ']') && --depth == 0)
			return true;
	}
	return false;
}

static bool skip_value(struct cursor *c, struct span *ret)
{
	bool whole = true;

	skip_space(c);
	if (c->at == c->end)
		return false;
	ret->at = c->at;
	if (*c->at == '"')
		whole = skip_string(c);
	else if (*c->at == '{' || *c->at == '[')
		whole = skip_nested(c);
	else
		while (c->at < c->end && !strchr(",}] \t\r\n", *c->at))
			c->at++;
	ret->len = (size_t)(c->at - ret->at);
	return whole && ret->len > 0;
}

/* Compares as decoded: a key may be written with escapes. */
static bool key_is(const struct span *key, const char *name)
{
	cJSON *decoded;
	bool same;

	if (!memchr(key->at, '\\', key->len))
		return key->len == strlen(name) + 2 && !memcmp(key->at + 1, name, key->len - 2);
	decoded = cJSON_ParseWithLength(key->at, key->len);
	same = cJSON_IsString(decoded) && !strcmp(decoded->valuestring, name);
	cJSON_Delete(decoded);
	return same;
}

bool json_find_member(const char *text, size_t len, const char *name, struct span *ret)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	struct cursor c = {text, text + len};
	struct span key, value;

	if (len >= 3 && !memcmp(text, byte_order_mark, 3))
		c.at += 3;
	if (!skip_char(&c, '{'))
		return false;
	do {
		skip_space(&c);
		key.at = c.at;
		if (!skip_string(&c))
			return false;
		key.len = (size_t)(c.at - key.at);
		if (!skip_char(&c, ':') || !skip_value(&c, &value))
			return false;
		if (key_is(&key, name)) {
			*ret = value;
			return true;
		}
	} while (skip_char(&c, ','));
	return false;
}

bool json_has_nul(const char *text, size_t len)
{
	if (memchr(text, '\0', len))
		return true;
	for (size_t i = 0; i + 1 < len; i++) {
		if (text[i] != '\\')
			continue;
		i++; /* whatever is escaped, a backslash too, is no backslash of the next escape */
		if (text[i] == 'u' && len - i > 4 && !memcmp(text + i + 1, "0000", 4))
			return true;
	}
	return false;
}

char *json_set_member(const char *text, size_t len, const char *name, const char *value)
{
	CLEAN_FREE char *literal = NULL;
	cJSON *string = cJSON_CreateString(value);
	const char *rest, *open;
	struct cursor c;
	struct span old;
	char *printed = cJSON_PrintUnformatted(string);

	if (!printed)
		abort();
	cJSON_Delete(string);
	if (json_find_member(text, len, name, &old)) {
		literal = mem_strdup(printed);
		open = old.at;
		rest = old.at + old.len;
	} else {
		open = memchr(text, '{', len);
		open = open ? open + 1 : text + len;
		rest = open;
		c = (struct cursor){rest, text + len};
		skip_space(&c);
		literal = mem_printf("\"%s\":%s%s", name, printed, c.at < c.end && *c.at != '}' ? "," : "");
	}
	cJSON_free(printed);
	return mem_printf("%.*s%s%.*s", (int)(open - text), text, literal, (int)(text + len - rest), rest);
}

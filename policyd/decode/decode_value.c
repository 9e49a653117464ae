/* SPDX-License-Identifier: Apache-2.0 */
/* Where we are in an object, how it is told, and the values that several kinds of objects have. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "moat/text.h"
#include "policyd/decode/decode_internal.h"

size_t decode_enter(struct decode *d, const char *field)
{
	size_t mark = strlen(d->path);

	snprintf(d->path + mark, sizeof(d->path) - mark, "%s%s", mark ? "." : "", field);
	return mark;
}

size_t decode_enter_item(struct decode *d, size_t index)
{
	size_t mark = strlen(d->path);

	snprintf(d->path + mark, sizeof(d->path) - mark, "[%zu]", index);
	return mark;
}

void decode_leave(struct decode *d, size_t mark)
{
	d->path[mark] = '\0';
}

static char *message(const struct decode *d, const struct doc *at, const char *fmt, va_list args)
{
	CLEAN_FREE char *text = NULL, *line = NULL;
	char *escaped = mem_alloc(ERR_TEXT_MAX);

	if (vasprintf(&text, fmt, args) < 0)
		abort();
	line = mem_printf("line %u: %s%s%s: %s", at->line, d->what, d->path[0] ? ": " : "", d->path, text);
	text_escape(line, escaped, ERR_TEXT_MAX);
	return escaped;
}

void decode_error(struct decode *d, const struct doc *at, const char *fmt, ...)
{
	va_list args;

	d->failed = true;
	if (++d->errors > DECODE_ERRORS_PER_OBJECT)
		return;
	va_start(args, fmt);
	VEC_PUSH(&d->result->errors, message(d, at, fmt, args));
	va_end(args);
}

void decode_warn(struct decode *d, const struct doc *at, const char *fmt, ...)
{
	va_list args;

	if (++d->warnings > DECODE_ERRORS_PER_OBJECT)
		return;
	va_start(args, fmt);
	VEC_PUSH(&d->result->warnings, message(d, at, fmt, args));
	va_end(args);
}

static const char *kind_words(enum doc_kind kind)
{
	static const char *const words[] = {
		[DOC_NULL] = "null",	   [DOC_BOOL] = "a boolean", [DOC_NUMBER] = "a number",
		[DOC_STRING] = "a string", [DOC_LIST] = "a list",    [DOC_MAP] = "a map",
	};

	return words[kind];
}

bool decode_expect(struct decode *d, const struct doc *doc, enum doc_kind kind)
{
	if (doc->kind == kind)
		return true;
	if (kind == DOC_STRING && (doc->kind == DOC_NUMBER || doc->kind == DOC_BOOL))
		decode_error(d, doc, "%s is %s; quote it to make it a string", TEXT(doc->text), kind_words(doc->kind));
	else
		decode_error(d, doc, "is %s; expected %s", kind_words(doc->kind), kind_words(kind));
	return false;
}

const struct doc *decode_field(struct decode *d, const struct doc *map, const char *key, enum doc_kind kind)
{
	const struct doc *doc = doc_get(map, key);
	size_t mark;
	bool good;

	if (!doc)
		return NULL;
	mark = decode_enter(d, key);
	good = decode_expect(d, doc, kind);
	decode_leave(d, mark);
	return good ? doc : NULL;
}

const char *decode_string(struct decode *d, const struct doc *map, const char *key)
{
	const struct doc *doc = decode_field(d, map, key, DOC_STRING);

	return doc ? doc->text : NULL;
}

static bool is_known(const char *key, const char *const known[])
{
	for (; *known; known++)
		if (!strcmp(key, *known))
			return true;
	return false;
}

void decode_known_fields(struct decode *d, const struct doc *map, const char *const known[])
{
	char list[128] = "";

	for (size_t i = 0; known[i]; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", known[i]);
	for (size_t i = 0; i < map->n; i++) {
		size_t mark;

		if (is_known(map->keys[i], known))
			continue;
		mark = decode_enter(d, TEXT(map->keys[i]));
		decode_error(d, &map->items[i], "is not a known field; known here: %s", list);
		decode_leave(d, mark);
	}
}

bool decode_is_true(const struct doc *doc)
{
	/* the others are false, no, n, off */
	return doc->text[0] == 't' || doc->text[0] == 'T' || doc->text[0] == 'y' || doc->text[0] == 'Y' ||
	       doc->text[1] == 'n' || doc->text[1] == 'N';
}

bool decode_port_number(struct decode *d, const struct doc *doc, uint16_t *ret)
{
	size_t len = doc->kind == DOC_NUMBER ? strlen(doc->text) : 0;
	unsigned long value = 0;

	/* no octal, hexadecimal, fraction: readers disagree on what these are */
	if (len > 0 && len <= 5 && strspn(doc->text, "0123456789") == len && doc->text[0] != '0')
		value = strtoul(doc->text, NULL, 10);
	if (value < 1 || value > 65535) {
		decode_error(d, doc, "%s is not a port; use 1 to 65535", doc->text ? TEXT(doc->text) : kind_words(doc->kind));
		return false;
	}
	*ret = (uint16_t)value;
	return true;
}

bool decode_protocol(struct decode *d, const struct doc *map, uint8_t *ret)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = {{"TCP", IPPROTO_TCP}, {"UDP", IPPROTO_UDP}, {"SCTP", IPPROTO_SCTP}};
	const struct doc *doc = doc_get(map, "protocol");
	bool found = false;
	size_t mark;

	*ret = IPPROTO_TCP;
	if (!doc)
		return true;
	mark = decode_enter(d, "protocol");
	if (decode_expect(d, doc, DOC_STRING)) {
		for (size_t i = 0; !found && i < ARRAY_SIZE(protocols); i++) {
			found = !strcmp(doc->text, protocols[i].name);
			if (found)
				*ret = protocols[i].number;
		}
		if (!found)
			decode_error(d, doc, "protocol \"%s\" is not known; use TCP, UDP or SCTP", TEXT(doc->text));
	}
	decode_leave(d, mark);
	return found;
}

/* A zero before another digit of the same decimal part: 010 is ten here and in Kubernetes, eight elsewhere. */
static bool has_legacy_zero(const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p == '0' && p[1] >= '0' && p[1] <= '9' && (p == text || p[-1] == '.' || p[-1] == '/'))
			return true;
	return false;
}

bool decode_block(struct decode *d, const struct doc *doc, struct block *ret)
{
	char shown[BLOCK_TEXT_MAX];
	CLEAN_FREE char *address = NULL;
	struct addr written;
	struct err err;

	if (!decode_expect(d, doc, DOC_STRING))
		return false;
	if (addr_parse_block(doc->text, ret, &err) < 0) {
		decode_error(d, doc, "%s", err.text);
		return false;
	}
	addr_block_text(ret, shown);
	address = mem_strndup(doc->text, (size_t)(strchr(doc->text, '/') - doc->text));
	if (addr_parse(address, &written, NULL) == 0 && !addr_equal(&written, &ret->base))
		decode_warn(d, doc, "%s has bits behind its prefix; read as %s", TEXT(doc->text), shown);
	if (ret->base.family == AF_INET && has_legacy_zero(doc->text))
		decode_warn(d, doc, "%s has leading zeros; read as decimal, %s", TEXT(doc->text), shown);
	return true;
}

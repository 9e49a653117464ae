/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to a tree. libyaml reads JSON too, and takes five times as long (125 µs against 27 for a Pod of 4 kB, measured): it is made for
 * text that somebody indents, and the API server sends all Pods of a cluster at a start.
 *
 * What an API server sends it has validated, as far as it means anything: but tenants choose keys of maps that nobody reads (an ephemeral
 * volume's attributes), which may become equal here, and managedFields, whose depth has no bound. Neither may make an object unreadable,
 * since a list with one such object would be. So keys may be there twice, the first counts; and managedFields are passed over unread.
 */
#include <errno.h>
#include <string.h>

#include "moat/text.h"
#include "policyd/decode/doc_internal.h"

struct reader {
	const char *at, *end;
	unsigned line;
	size_t nodes;
	struct err *err;
};

static int broken(struct reader *r, const char *what)
{
	if (r->at >= r->end)
		return err_set(r->err, EINVAL, "line %u: broken JSON: it ends early, %s", r->line, what);
	return err_set(r->err, EINVAL, "line %u: broken JSON: %s at \"%s\"", r->line, what,
		       TEXT(((char[2]){*r->at, '\0'})));
}

static void skip_space(struct reader *r)
{
	for (; r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'); r->at++)
		r->line += *r->at == '\n';
}

static bool take(struct reader *r, char c)
{
	skip_space(r);
	if (r->at >= r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits of \uXXXX, which are there or not (-1). */
static int32_t take_unit(struct reader *r)
{
	int32_t unit = 0;

	if (r->end - r->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(r->at[i]);

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	r->at += 4;
	return unit;
}

static char *put_utf8(char *out, uint32_t code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

/* Behind "\u". A character takes no more bytes than its escape. */
static int take_escaped_code(struct reader *r, char **out)
{
	int32_t high = take_unit(r), low;
	uint32_t code;

	if (high < 0)
		return broken(r, "\\u needs four hexadecimal digits");
	code = (uint32_t)high;
	if (high >= 0xd800 && high < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
		const char *before = r->at;

		r->at += 2;
		low = take_unit(r);
		if (low >= 0xdc00 && low < 0xe000)
			code = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
		else
			r->at = before;
	}
	if (!code || (code >= 0xd800 && code < 0xe000))
		code = 0xfffd;
	*out = put_utf8(*out, code);
	return 0;
}

static int take_escape(struct reader *r, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;

	r->at++;
	if (r->at >= r->end)
		return broken(r, "in a string");
	if (*r->at == 'u') {
		r->at++;
		return take_escaped_code(r, out);
	}
	found = strchr(from, *r->at);
	if (!found || !*r->at)
		return broken(r, "an unknown escape");
	*(*out)++ = to[found - from];
	r->at++;
	return 0;
}

/* How many bytes are between the quotes; r stands behind the first. */
static int measure_string(struct reader *r, size_t *ret)
{
	const char *p = r->at;

	for (; p < r->end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20) {
			r->at = p;
			return broken(r, "a control character in a string");
		}
		p += *p == '\\';
	}
	if (p >= r->end) {
		r->at = r->end;
		return broken(r, "in a string");
	}
	*ret = (size_t)(p - r->at);
	return 0;
}

static int take_string(struct reader *r, char **ret)
{
	CLEAN_FREE char *text = NULL;
	const char *end;
	size_t len = 0;
	char *out;
	int code;

	r->at++;
	code = measure_string(r, &len);
	if (code < 0)
		return code;
	end = r->at + len;
	out = text = mem_alloc(len + 1);
	while (r->at < end) {
		const char *escape = memchr(r->at, '\\', (size_t)(end - r->at));
		size_t plain = (size_t)((escape ? escape : end) - r->at);

		memcpy(out, r->at, plain);
		out += plain;
		r->at += plain;
		code = escape ? take_escape(r, &out) : 0;
		if (code < 0)
			return code;
	}
	r->at++;
	*out = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

static void skip_digits(struct reader *r)
{
	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
}

static bool skip_some_digits(struct reader *r)
{
	const char *before = r->at;

	skip_digits(r);
	return r->at > before;
}

static int take_number(struct reader *r, struct doc *ret)
{
	const char *start = r->at;

	r->at += *r->at == '-';
	if (r->at < r->end && *r->at == '0')
		r->at++;
	else if (!skip_some_digits(r))
		return broken(r, "a value was expected");
	if (r->at < r->end && *r->at == '.') {
		r->at++;
		if (!skip_some_digits(r))
			return broken(r, "digits were expected");
	}
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
		r->at++;
		r->at += r->at < r->end && (*r->at == '-' || *r->at == '+');
		if (!skip_some_digits(r))
			return broken(r, "digits were expected");
	}
	ret->kind = DOC_NUMBER;
	ret->text = mem_strndup(start, (size_t)(r->at - start));
	return 0;
}

static int take_word(struct reader *r, struct doc *ret)
{
	static const struct {
		const char *word;
		enum doc_kind kind;
	} words[] = {{"null", DOC_NULL}, {"true", DOC_BOOL}, {"false", DOC_BOOL}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i].word);

		if ((size_t)(r->end - r->at) < len || memcmp(r->at, words[i].word, len) != 0)
			continue;
		r->at += len;
		ret->kind = words[i].kind;
		ret->text = ret->kind == DOC_BOOL ? mem_strdup(words[i].word) : NULL;
		return 0;
	}
	return take_number(r, ret);
}

static int take_value(struct reader *r, unsigned depth, bool metadata, struct doc *ret);

static int take_list(struct reader *r, unsigned depth, struct doc *ret)
{
	VEC(struct doc) items = {0};
	int code = 0;

	ret->kind = DOC_LIST;
	r->at++;
	if (take(r, ']'))
		return 0;
	do {
		struct doc item = {0};

		code = take_value(r, depth + 1, false, &item);
		if (code == 0)
			VEC_PUSH(&items, item);
	} while (code == 0 && take(r, ','));
	if (code == 0 && !take(r, ']'))
		code = broken(r, "',' or ']' was expected");
	ret->items = items.v;
	ret->n = items.n;
	return code;
}

/* A value of any depth, of which only strings and brackets are looked at. */
static int pass_value(struct reader *r)
{
	size_t depth = 0, len;

	skip_space(r);
	do {
		if (r->at >= r->end)
			return broken(r, "in a value");
		switch (*r->at++) {
		case '"':
			if (measure_string(r, &len) < 0)
				return -EINVAL;
			r->at += len + 1;
			break;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			break;
		default: /* a word, or what is between values */
			while (!depth && r->at < r->end && !strchr(",}] \t\r\n", *r->at))
				r->at++;
			break;
		}
	} while (depth);
	return 0;
}

/* One key and its value. metadata: of the map that this is in. */
static int take_pair(struct reader *r, unsigned depth, bool metadata, char **ret_key, struct doc *ret)
{
	CLEAN_FREE char *key = NULL;
	int code;

	skip_space(r);
	if (r->at >= r->end || *r->at != '"')
		return broken(r, "a key was expected");
	code = take_string(r, &key);
	if (code == 0 && !take(r, ':'))
		code = broken(r, "':' was expected");
	if (code == 0 && metadata && !strcmp(key, "managedFields"))
		code = pass_value(r);
	else if (code == 0)
		code = take_value(r, depth + 1, depth == 1 && !strcmp(key, "metadata"), ret);
	if (code == 0)
		*ret_key = TAKE_PTR(key);
	return code;
}

static int take_map(struct reader *r, unsigned depth, bool metadata, struct doc *ret)
{
	VEC(struct doc) items = {0};
	VEC(char *) keys = {0};
	int code = 0;

	ret->kind = DOC_MAP;
	r->at++;
	if (take(r, '}'))
		return 0;
	do {
		struct doc item = {0};
		char *key = NULL;

		code = take_pair(r, depth, metadata, &key, &item);
		if (code == 0) {
			VEC_PUSH(&items, item);
			VEC_PUSH(&keys, key);
		}
	} while (code == 0 && take(r, ','));
	if (code == 0 && !take(r, '}'))
		code = broken(r, "',' or '}' was expected");
	ret->items = items.v;
	ret->keys = keys.v;
	ret->n = items.n;
	return code;
}

/* On error ret holds nothing. */
static int take_value(struct reader *r, unsigned depth, bool metadata, struct doc *ret)
{
	int code;

	skip_space(r);
	ret->line = r->line;
	if (r->at >= r->end)
		return broken(r, "a value was expected");
	if (depth > DOC_DEPTH_MAX)
		return err_set(r->err, E2BIG, "line %u: nested more than %u deep", r->line, DOC_DEPTH_MAX);
	if (++r->nodes > DOC_NODES_MAX)
		return err_set(r->err, E2BIG, "line %u: more than %u values", r->line, DOC_NODES_MAX);
	switch (*r->at) {
	case '{':
		code = take_map(r, depth, metadata, ret);
		break;
	case '[':
		code = take_list(r, depth, ret);
		break;
	case '"':
		ret->kind = DOC_STRING;
		code = take_string(r, &ret->text);
		break;
	default:
		code = take_word(r, ret);
	}
	if (code < 0) {
		doc_done(ret);
		*ret = (struct doc){0};
	}
	return code;
}

int doc_parse_json(const char *text, size_t len, struct doc **ret, struct err *err)
{
	struct reader r = {.at = text, .end = text + len, .line = 1, .err = err};
	struct doc root = {0};
	int code = take_value(&r, 1, false, &root);

	skip_space(&r);
	if (code == 0 && r.at < r.end) {
		code = broken(&r, "nothing more was expected");
		doc_done(&root);
	}
	if (code < 0)
		return code;
	*ret = mem_alloc(sizeof(**ret));
	**ret = root;
	return 0;
}

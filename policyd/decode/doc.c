/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to a tree, on libyaml's events. Events and not libyaml's own documents, because those resolve aliases before
 * anybody can count (an alias bomb of 1 kB is 10 GB), know no limits and keep the last of duplicate keys without a word.
 */
#include "policyd/decode/doc.h"

#include <string.h>
#include <yaml.h>

#include "moat/text.h"
#include "policyd/decode/doc_internal.h"

#define FEW 8 /* keys: as many are compared each with each, faster than sorted */

struct builder {
	yaml_parser_t parser;
	const char *input;
	size_t len, nodes;
	struct err *err;
};

static unsigned mark_line(yaml_mark_t mark)
{
	return mark.line >= UINT32_MAX ? UINT32_MAX : (unsigned)mark.line + 1;
}

static unsigned line_of_offset(const struct builder *b, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset && i < b->len; i++)
		line += b->input[i] == '\n';
	return line;
}

/* The reader fails before it has lines: it knows the byte only. */
static int syntax_error(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	const char *problem = p->problem ? p->problem : "not YAML";

	if (p->error == YAML_MEMORY_ERROR)
		abort();
	if (p->error == YAML_READER_ERROR)
		return err_set(b->err, EINVAL, "line %u: %s; the file must be UTF-8 text without control characters",
			       line_of_offset(b, p->problem_offset), problem);
	if (p->context)
		return err_set(b->err, EINVAL, "line %u: broken YAML: %s (%s that began on line %u)",
			       mark_line(p->problem_mark), problem, p->context, mark_line(p->context_mark));
	return err_set(b->err, EINVAL, "line %u: broken YAML: %s", mark_line(p->problem_mark), problem);
}

static int next_event(struct builder *b, yaml_event_t *ret)
{
	return yaml_parser_parse(&b->parser, ret) ? 0 : syntax_error(b);
}

void doc_done(struct doc *d)
{
	for (size_t i = 0; i < d->n; i++) {
		doc_done(&d->items[i]);
		if (d->keys)
			free(d->keys[i]);
	}
	free(d->items);
	free(d->keys);
	free(d->text);
}

/* Aliases are refused at their anchor: nothing in a manifest needs them, and a bomb is made of them. */
static int check_plain(struct builder *b, unsigned line, const yaml_char_t *anchor, const yaml_char_t *tag,
		       const char *expected)
{
	if (anchor)
		return err_set(b->err, EINVAL, "line %u: anchor &%s: anchors and aliases are not supported; write the value out",
			       line, TEXT((const char *)anchor));
	if (tag && strcmp((const char *)tag, expected) != 0)
		return err_set(b->err, EINVAL, "line %u: tag %s is not supported; remove it", line, TEXT((const char *)tag));
	return 0;
}

static int count_node(struct builder *b, unsigned line)
{
	if (++b->nodes > DOC_NODES_MAX)
		return err_set(b->err, E2BIG, "line %u: more than %u values in one file; split it", line, DOC_NODES_MAX);
	return 0;
}

static int build_scalar(struct builder *b, const yaml_event_t *event, struct doc *ret)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !tag;
	int r;

	ret->line = mark_line(event->start_mark);
	if (tag && !strcmp(tag, "!")) /* the non-specific tag means: a string, whatever it looks like */
		tag = YAML_STR_TAG;
	r = check_plain(b, ret->line, event->data.scalar.anchor, (const yaml_char_t *)tag, YAML_STR_TAG);
	if (r < 0)
		return r;
	if (strlen(text) != event->data.scalar.length)
		return err_set(b->err, EINVAL, "line %u: a NUL character in a string; remove it", ret->line);
	ret->kind = plain ? doc_scalar_kind(text) : DOC_STRING;
	if (ret->kind != DOC_NULL)
		ret->text = mem_strdup(text);
	return 0;
}

static int build_node(struct builder *b, yaml_event_t *event, unsigned depth, struct doc *ret);

/* Reads the items of a list, its start event being read. */
static int build_list(struct builder *b, unsigned depth, struct doc *ret)
{
	VEC(struct doc) items = {0};
	int r;

	for (;;) {
		yaml_event_t event;
		struct doc item = {0};
		bool end;

		r = next_event(b, &event);
		if (r < 0)
			break;
		end = event.type == YAML_SEQUENCE_END_EVENT;
		if (!end)
			r = build_node(b, &event, depth + 1, &item);
		yaml_event_delete(&event);
		if (end || r < 0)
			break;
		VEC_PUSH(&items, item);
	}
	ret->items = items.v;
	ret->n = items.n;
	return r;
}

struct key_place {
	const char *key;
	unsigned line;
};

static int compare_places(const void *a, const void *b)
{
	const struct key_place *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static bool few_are_unique(const struct doc *map)
{
	for (size_t i = 0; i < map->n; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(map->keys[i], map->keys[k]))
				return false;
	return true;
}

/* Sorted, because a hostile map has a million keys. Of several doubles the first one in the file is told. */
static int check_unique(const struct doc *map, const unsigned *lines, struct err *err)
{
	CLEAN_FREE struct key_place *places = NULL;
	const struct key_place *twice = NULL;

	if (map->n <= FEW && few_are_unique(map))
		return 0;
	places = mem_alloc(map->n * sizeof(*places));
	for (size_t i = 0; i < map->n; i++)
		places[i] = (struct key_place){.key = map->keys[i], .line = lines[i]};
	if (map->n > 1)
		qsort(places, map->n, sizeof(*places), compare_places);
	for (size_t i = 1; i < map->n; i++)
		if (!strcmp(places[i - 1].key, places[i].key) && (!twice || places[i].line < twice->line))
			twice = &places[i];
	if (!twice)
		return 0;
	return err_set(err, EINVAL, "line %u: key \"%s\" is given twice in one map, first on line %u; remove one of them",
		       twice->line, TEXT(twice->key), twice[-1].line);
}

static int build_key(struct builder *b, const yaml_event_t *event, struct doc *ret)
{
	int r;

	ret->line = mark_line(event->start_mark);
	if (event->type != YAML_SCALAR_EVENT)
		return err_set(b->err, EINVAL, "line %u: a key of a map must be a string", ret->line);
	r = build_scalar(b, event, ret);
	if (r < 0)
		return r;
	if (ret->kind != DOC_STRING)
		return err_set(b->err, EINVAL, "line %u: key %s reads as a %s; quote it", ret->line,
			       ret->text ? TEXT(ret->text) : "(empty)",
			       ret->kind == DOC_NUMBER ? "number" : ret->kind == DOC_BOOL ? "boolean" : "null");
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !strcmp(ret->text, "<<"))
		return err_set(b->err, EINVAL, "line %u: merge keys (<<) are not supported; write the keys out", ret->line);
	return 0;
}

/* Reads one key and its value into the places given. *ret_end: it was the end of the map instead. */
static int build_pair(struct builder *b, unsigned depth, struct doc *ret_key, struct doc *ret_value, bool *ret_end)
{
	yaml_event_t event;
	int r = next_event(b, &event);

	if (r < 0)
		return r;
	*ret_end = event.type == YAML_MAPPING_END_EVENT;
	if (!*ret_end)
		r = build_key(b, &event, ret_key);
	yaml_event_delete(&event);
	if (*ret_end || r < 0)
		return r;

	r = next_event(b, &event);
	if (r < 0)
		return r;
	r = build_node(b, &event, depth + 1, ret_value);
	yaml_event_delete(&event);
	return r;
}

static int build_map(struct builder *b, unsigned depth, struct doc *ret)
{
	VEC(struct doc) items = {0};
	VEC(char *) keys = {0};
	VEC(unsigned) lines = {0};
	int r;

	for (;;) {
		struct doc key = {0}, value = {0};
		bool end = false;

		r = build_pair(b, depth, &key, &value, &end);
		if (r < 0)
			doc_done(&key);
		if (end || r < 0)
			break;
		VEC_PUSH(&items, value);
		VEC_PUSH(&keys, key.text);
		VEC_PUSH(&lines, key.line);
	}
	ret->items = items.v;
	ret->keys = keys.v;
	ret->n = items.n;
	if (r == 0 && ret->n > 1)
		r = check_unique(ret, lines.v, b->err);
	VEC_DONE(&lines);
	return r;
}

/* The node that begins with event. On error ret holds nothing. */
static int build_node(struct builder *b, yaml_event_t *event, unsigned depth, struct doc *ret)
{
	unsigned line = mark_line(event->start_mark);
	int r = count_node(b, line);

	ret->line = line;
	if (r == 0 && depth > DOC_DEPTH_MAX)
		r = err_set(b->err, E2BIG, "line %u: nested more than %u deep", line, DOC_DEPTH_MAX);
	if (r < 0)
		return r;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		r = build_scalar(b, event, ret);
		break;
	case YAML_SEQUENCE_START_EVENT:
		ret->kind = DOC_LIST;
		r = check_plain(b, line, event->data.sequence_start.anchor, event->data.sequence_start.tag, YAML_SEQ_TAG);
		if (r == 0)
			r = build_list(b, depth, ret);
		break;
	case YAML_MAPPING_START_EVENT:
		ret->kind = DOC_MAP;
		r = check_plain(b, line, event->data.mapping_start.anchor, event->data.mapping_start.tag, YAML_MAP_TAG);
		if (r == 0)
			r = build_map(b, depth, ret);
		break;
	case YAML_ALIAS_EVENT:
		r = err_set(b->err, EINVAL, "line %u: alias *%s: anchors and aliases are not supported; write the value out",
			    line, TEXT((const char *)event->data.alias.anchor));
		break;
	default:
		r = err_set(b->err, EINVAL, "line %u: not a value", line);
	}
	if (r < 0) {
		doc_done(ret);
		*ret = (struct doc){0};
	}
	return r;
}

/* libyaml compares each %TAG line with all before it. */
static int check_directives(struct builder *b)
{
	static const char directive[] = "\n%TAG";
	const char *at = NULL;

	if (b->len > 4 && !memcmp(b->input, directive + 1, 4))
		at = b->input;
	else if (b->len)
		at = memmem(b->input, b->len, directive, sizeof(directive) - 1);
	if (!at)
		return 0;
	return err_set(b->err, EINVAL, "line %u: %%TAG directives are not supported; remove it",
		       line_of_offset(b, (size_t)(at - b->input) + 1));
}

static int build_stream(struct builder *b, struct doc_list *list)
{
	for (;;) {
		yaml_event_t event;
		struct doc root = {0};
		bool end;
		int r = next_event(b, &event);

		if (r < 0)
			return r;
		end = event.type == YAML_STREAM_END_EVENT;
		/* of stream and document starts and ends nothing is to be read; all else begins a root */
		if (event.type == YAML_SCALAR_EVENT || event.type == YAML_SEQUENCE_START_EVENT ||
		    event.type == YAML_MAPPING_START_EVENT || event.type == YAML_ALIAS_EVENT)
			r = build_node(b, &event, 1, &root);
		yaml_event_delete(&event);
		if (r < 0)
			return r;
		if (root.kind != DOC_NULL) {
			struct doc *heap = mem_alloc(sizeof(*heap));

			*heap = root;
			VEC_PUSH(list, heap);
		}
		if (end)
			return 0;
	}
}

int doc_parse(const char *text, size_t len, struct doc_list *ret, struct err *err)
{
	static const char mark[] = "\xef\xbb\xbf";
	struct builder b = {.input = text, .len = len, .err = err};
	struct doc_list list = {0};
	int r;

	if (len > DOC_FILE_BYTES_MAX)
		return err_set(err, EFBIG, "line 1: the file has %zu bytes, more than %u; split it", len, DOC_FILE_BYTES_MAX);
	/* libyaml would count the mark as a column, and so as an indentation of the first line */
	if (len >= strlen(mark) && !memcmp(text, mark, strlen(mark))) {
		b.input += strlen(mark);
		b.len -= strlen(mark);
	}
	r = check_directives(&b);
	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&b.parser))
		abort();
	/* told, not guessed: else two bytes that look like a UTF-16 mark change what the file says */
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)b.input, b.len);
	r = build_stream(&b, &list);
	yaml_parser_delete(&b.parser);
	if (r < 0)
		doc_list_done(&list);
	else
		*ret = list;
	return r;
}

const struct doc *doc_get(const struct doc *map, const char *key)
{
	if (!map || map->kind != DOC_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (!strcmp(map->keys[i], key))
			return map->items[i].kind == DOC_NULL ? NULL : &map->items[i];
	return NULL;
}

const char *doc_text(const struct doc *map, const char *key)
{
	const struct doc *doc = doc_get(map, key);

	return doc && doc->kind == DOC_STRING ? doc->text : NULL;
}

void doc_free(struct doc *d)
{
	if (!d)
		return;
	doc_done(d);
	free(d);
}

void doc_list_done(struct doc_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		doc_free(l->v[i]);
	VEC_DONE(l);
}

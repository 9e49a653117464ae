/* SPDX-License-Identifier: Apache-2.0 */
/* Labels and label selectors, with the validation of k8s.io/apimachinery/pkg/apis/meta/v1/validation. */
#include <string.h>

#include "moat/text.h"
#include "policyd/model/bounds.h"
#include "policyd/decode/decode_internal.h"

static bool check_key(struct decode *d, const struct doc *at, const char *key)
{
	if (text_is_label_key(key))
		return true;
	decode_error(d, at, "\"%s\" is not a label key; use [prefix/]name of letters, digits, '-', '_' and '.', at most 63",
		     TEXT(key));
	return false;
}

static bool check_value(struct decode *d, const struct doc *doc)
{
	if (doc->kind == DOC_NULL) {
		decode_error(d, doc, "is null; write \"\" for an empty value");
		return false;
	}
	if (!decode_expect(d, doc, DOC_STRING))
		return false;
	if (text_is_label_value(doc->text))
		return true;
	decode_error(d, doc,
		     "\"%s\" is not a label value; use letters, digits, '-', '_' and '.', at most 63, alphanumeric at both ends",
		     TEXT(doc->text));
	return false;
}

static bool check_pair(struct decode *d, const struct doc *map, size_t i)
{
	size_t mark = decode_enter(d, TEXT(map->keys[i]));
	bool good = check_key(d, &map->items[i], map->keys[i]);

	good = check_value(d, &map->items[i]) && good;
	decode_leave(d, mark);
	return good;
}

static int compare_labels(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

void decode_labels(struct decode *d, const struct doc *root, struct labels *ret)
{
	VEC(struct label) sorted = {0};
	size_t mark = decode_enter(d, "metadata"), inner;
	const struct doc *map = decode_field(d, doc_get(root, "metadata"), "labels", DOC_MAP);

	inner = decode_enter(d, "labels");
	if (decode_text_bytes(map) > LABEL_BYTES_MAX) {
		decode_warn(d, map, "has %zu bytes, at most %d are read: the object is not used, and pods that depend on it stay closed",
			    decode_text_bytes(map), LABEL_BYTES_MAX);
		d->unused = true;
		map = NULL;
	}
	for (size_t i = 0; map && i < map->n; i++)
		if (check_pair(d, map, i))
			VEC_PUSH(&sorted, ((struct label){.key = map->keys[i], .value = map->items[i].text}));
	decode_leave(d, inner);
	decode_leave(d, mark);
	/* in order labels_set appends; out of order it moves what is behind */
	if (sorted.n > 1)
		qsort(sorted.v, sorted.n, sizeof(sorted.v[0]), compare_labels);
	for (size_t i = 0; i < sorted.n; i++)
		labels_set(ret, sorted.v[i].key, sorted.v[i].value);
	VEC_DONE(&sorted);
}

static void match_labels(struct decode *d, const struct doc *map, struct selector *ret)
{
	size_t mark;

	if (!map)
		return;
	mark = decode_enter(d, "matchLabels");
	for (size_t i = 0; i < map->n; i++)
		if (check_pair(d, map, i))
			selector_add(ret, map->keys[i], OP_IN, (const char *const[]){map->items[i].text}, 1);
	decode_leave(d, mark);
}

static bool parse_operator(struct decode *d, const struct doc *item, enum selector_op *ret)
{
	static const char *const names[] = {
		[OP_IN] = "In", [OP_NOT_IN] = "NotIn", [OP_EXISTS] = "Exists", [OP_DOES_NOT_EXIST] = "DoesNotExist"};
	const struct doc *doc = doc_get(item, "operator");
	size_t mark = decode_enter(d, "operator");
	bool found = false;

	if (!doc) {
		decode_error(d, item, "is missing; use In, NotIn, Exists or DoesNotExist");
	} else if (decode_expect(d, doc, DOC_STRING)) {
		for (size_t i = 0; !found && i < ARRAY_SIZE(names); i++) {
			found = !strcmp(doc->text, names[i]);
			if (found)
				*ret = (enum selector_op)i;
		}
		if (!found)
			decode_error(d, doc, "operator \"%s\" is not known; use In, NotIn, Exists or DoesNotExist",
				     TEXT(doc->text));
	}
	decode_leave(d, mark);
	return found;
}

static bool check_values(struct decode *d, const struct doc *item, const struct doc *values, enum selector_op op)
{
	bool wants = op == OP_IN || op == OP_NOT_IN;
	size_t mark = decode_enter(d, "values"), n = values ? values->n : 0;
	bool good = wants == (n > 0);

	if (wants && !n)
		decode_error(d, values ? values : item, "is empty; In and NotIn need at least one value");
	else if (!wants && n)
		decode_error(d, values, "has %zu values; Exists and DoesNotExist take none", n);
	for (size_t i = 0; wants && i < n; i++) {
		size_t inner = decode_enter_item(d, i);

		good = check_value(d, &values->items[i]) && good;
		decode_leave(d, inner);
	}
	decode_leave(d, mark);
	return good;
}

static void match_expression(struct decode *d, const struct doc *item, struct selector *ret)
{
	static const char *const known[] = {"key", "operator", "values", NULL};
	const struct doc *key, *values;
	enum selector_op op;
	VEC(const char *) texts = {0};
	size_t mark;
	bool good;

	if (!decode_expect(d, item, DOC_MAP))
		return;
	decode_known_fields(d, item, known);
	key = decode_field(d, item, "key", DOC_STRING);
	values = decode_field(d, item, "values", DOC_LIST);
	mark = decode_enter(d, "key");
	if (!doc_get(item, "key"))
		decode_error(d, item, "is missing");
	good = key && check_key(d, key, key->text);
	decode_leave(d, mark);
	if (!parse_operator(d, item, &op) || !check_values(d, item, values, op) || !good)
		return;
	for (size_t i = 0; values && i < values->n; i++)
		VEC_PUSH(&texts, values->items[i].text);
	selector_add(ret, key->text, op, texts.v, texts.n);
	VEC_DONE(&texts);
}

bool decode_selector(struct decode *d, const struct doc *map, struct selector *ret)
{
	static const char *const known[] = {"matchLabels", "matchExpressions", NULL};
	bool failed = d->failed, good;
	const struct doc *list;

	d->failed = false;
	decode_known_fields(d, map, known);
	match_labels(d, decode_field(d, map, "matchLabels", DOC_MAP), ret);
	list = decode_field(d, map, "matchExpressions", DOC_LIST);
	for (size_t i = 0; list && i < list->n; i++) {
		size_t mark = decode_enter(d, "matchExpressions");

		decode_enter_item(d, i);
		match_expression(d, &list->items[i], ret);
		decode_leave(d, mark);
	}
	good = !d->failed;
	d->failed |= failed;
	if (!good) /* a selector without one of its requirements selects more than was meant */
		selector_done(ret);
	return good;
}

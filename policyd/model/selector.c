/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/model/selector.h"

#include <stdio.h>
#include <string.h>

/* The index of key, or of the first label behind it. */
static size_t labels_find(const struct labels *l, const char *key, bool *ret_found)
{
	size_t low = 0, high = l->n;

	*ret_found = false;
	/* labels that arrive in order are appended without a search */
	if (l->n && strcmp(l->v[l->n - 1].key, key) < 0)
		return l->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(l->v[middle].key, key);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void labels_set(struct labels *l, const char *key, const char *value)
{
	bool found;
	size_t at = labels_find(l, key, &found);
	struct label label;

	if (found) {
		char *former = l->v[at].value;

		l->v[at].value = mem_strdup(value);
		free(former);
		return;
	}
	label = (struct label){.key = mem_strdup(key), .value = mem_strdup(value)};
	VEC_PUSH(l, label);
	memmove(&l->v[at + 1], &l->v[at], (l->n - 1 - at) * sizeof(l->v[0]));
	l->v[at] = label;
}

const char *labels_get(const struct labels *l, const char *key)
{
	bool found;
	size_t at = labels_find(l, key, &found);

	return found ? l->v[at].value : NULL;
}

bool labels_equal(const struct labels *a, const struct labels *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].key, b->v[i].key) != 0 || strcmp(a->v[i].value, b->v[i].value) != 0)
			return false;
	return true;
}

void labels_done(struct labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	VEC_DONE(l);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts texts and frees doubles; returns how many are left. */
static size_t sort_unique(char **texts, size_t n)
{
	size_t kept = 0;

	if (n > 1)
		qsort(texts, n, sizeof(texts[0]), compare_texts);
	for (size_t i = 0; i < n; i++) {
		if (kept && !strcmp(texts[kept - 1], texts[i]))
			free(texts[i]);
		else
			texts[kept++] = texts[i];
	}
	return kept;
}

void selector_add(struct selector *s, const char *key, enum selector_op op, const char *const *values, size_t n_values)
{
	struct requirement r = {.key = mem_strdup(key), .op = op};

	for (size_t i = 0; i < n_values; i++)
		VEC_PUSH(&r.values, mem_strdup(values[i]));
	r.values.n = sort_unique(r.values.v, r.values.n);
	VEC_PUSH(s, r);
}

static bool has_value(const struct requirement *r, const char *value)
{
	return r->values.n && bsearch(&value, r->values.v, r->values.n, sizeof(r->values.v[0]), compare_texts);
}

static bool requirement_matches(const struct requirement *r, const struct labels *labels)
{
	const char *value = labels_get(labels, r->key);

	switch (r->op) {
	case OP_IN:
		return value && has_value(r, value);
	case OP_NOT_IN:
		return !value || !has_value(r, value);
	case OP_EXISTS:
		return value != NULL;
	case OP_DOES_NOT_EXIST:
		return value == NULL;
	}
	return false;
}

bool selector_matches(const struct selector *s, const struct labels *labels)
{
	for (size_t i = 0; i < s->n; i++)
		if (!requirement_matches(&s->v[i], labels))
			return false;
	return true;
}

/*
 * The notation of kubectl's --selector. Keys and values were validated as such, so none holds a separator and no two
 * different requirements read the same.
 */
static char *requirement_text(const struct requirement *r)
{
	char *text = NULL;
	size_t len;
	FILE *out;

	if (r->op == OP_EXISTS || r->op == OP_DOES_NOT_EXIST)
		return mem_printf("%s%s", r->op == OP_EXISTS ? "" : "!", r->key);

	out = open_memstream(&text, &len);
	if (!out)
		abort();
	fprintf(out, "%s %s (", r->key, r->op == OP_IN ? "in" : "notin");
	for (size_t i = 0; i < r->values.n; i++)
		fprintf(out, "%s%s", i ? "," : "", r->values.v[i]);
	fputc(')', out);
	if (fclose(out))
		abort();
	return text;
}

char *selector_canonical(const struct selector *s)
{
	VEC(char *) parts = {0};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	for (size_t i = 0; i < s->n; i++)
		VEC_PUSH(&parts, requirement_text(&s->v[i]));
	parts.n = sort_unique(parts.v, parts.n);
	for (size_t i = 0; i < parts.n; i++) {
		fprintf(out, "%s%s", i ? "," : "", parts.v[i]);
		free(parts.v[i]);
	}
	VEC_DONE(&parts);
	if (fclose(out))
		abort();
	return text;
}

void selector_copy(struct selector *to, const struct selector *from)
{
	struct selector copy = {0};

	for (size_t i = 0; i < from->n; i++) {
		const struct requirement *r = &from->v[i];

		selector_add(&copy, r->key, r->op, (const char *const *)r->values.v, r->values.n);
	}
	*to = copy;
}

void selector_done(struct selector *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t j = 0; j < s->v[i].values.n; j++)
			free(s->v[i].values.v[j]);
		VEC_DONE(&s->v[i].values);
		free(s->v[i].key);
	}
	VEC_DONE(s);
}

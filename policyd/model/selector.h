/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors (LabelSelector of apimachinery): matchLabels and matchExpressions, all of which must hold. */
#ifndef POLICYD_SELECTOR_H
#define POLICYD_SELECTOR_H

#include "moat/base.h"

struct label {
	char *key, *value;
};

struct labels {
	struct label *v; /* sorted by key, keys unique */
	size_t n, cap;
};

enum selector_op { OP_IN, OP_NOT_IN, OP_EXISTS, OP_DOES_NOT_EXIST };

struct requirement {
	char *key;
	enum selector_op op;
	VEC(char *) values; /* OP_IN, OP_NOT_IN: one or more; else none */
};

/* Empty (zeroed) selects everything. A matchLabels entry is OP_IN with one value. */
struct selector {
	struct requirement *v;
	size_t n, cap;
};

void labels_set(struct labels *l, const char *key, const char *value); /* copies; replaces the value of a key it has */
const char *labels_get(const struct labels *l, const char *key);       /* NULL if absent */
bool labels_equal(const struct labels *a, const struct labels *b);
void labels_done(struct labels *l);

/* Adds a requirement; copies key and values (kept sorted, doubles dropped). */
void selector_add(struct selector *s, const char *key, enum selector_op op, const char *const *values, size_t n_values);
/* NotIn and DoesNotExist match an object without the key (k8s.io/apimachinery/pkg/labels, Requirement.Matches). */
bool selector_matches(const struct selector *s, const struct labels *labels);
/* One text for all selectors that mean the same by form: requirements and values sorted, doubles dropped. Caller frees. */
char *selector_canonical(const struct selector *s);
void selector_copy(struct selector *to, const struct selector *from); /* deep */
void selector_done(struct selector *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parsed document: the tree that decode.c reads, whether it was YAML or JSON. Every node knows its line, so that an
 * error names it.
 */
#ifndef POLICYD_DOC_H
#define POLICYD_DOC_H

#include "moat/err.h"

enum doc_kind { DOC_NULL, DOC_BOOL, DOC_NUMBER, DOC_STRING, DOC_LIST, DOC_MAP };

struct doc {
	enum doc_kind kind;
	unsigned line; /* 1-based, in the file */
	char *text;    /* DOC_STRING: NUL-terminated, no NUL inside; DOC_NUMBER and DOC_BOOL: as written */
	char **keys;   /* DOC_MAP: n keys, unique; else NULL */
	struct doc *items; /* DOC_LIST, DOC_MAP: n values */
	size_t n;
};

/* Limits of one file: beyond them it is an error, never a slow or large parse. */
#define DOC_FILE_BYTES_MAX (4u << 20) /* the API server takes 3 MiB objects at most (etcd's request limit 1.5 MiB) */
#define DOC_DEPTH_MAX 64              /* a NetworkPolicy needs 10 */
#define DOC_NODES_MAX 2000000u        /* a List of 10,000 pods has some 500,000 */

struct doc_list {
	struct doc **v;
	size_t n, cap;
};

/*
 * Parses the len bytes of text: YAML 1.1 as Kubernetes reads it (multi-document, JSON included). Anchors and aliases,
 * duplicate keys, keys that are no strings, NUL bytes and whatever passes the limits are errors. Empty documents are left out.
 * On error nothing is returned and err says "line N: …". ret is filled with roots that doc_list_done frees.
 */
int doc_parse(const char *text, size_t len, struct doc_list *ret, struct err *err);

/*
 * Parses len bytes that are one JSON value (RFC 8259), strictly, within the limits above but for the size, which the caller bounds.
 * Duplicate keys are errors; U+0000 and lone surrogates in strings become U+FFFD: what an API server validates has none, and what it
 * does not (a variable of a container) is not looked at. The root's metadata.managedFields is left out: it is half of most objects,
 * and nobody's business here. Lines count from the value's first. ret: the caller frees it with doc_free.
 */
int doc_parse_json(const char *text, size_t len, struct doc **ret, struct err *err);

const struct doc *doc_get(const struct doc *map, const char *key); /* NULL if map is NULL, no map, lacks it, or it is null */
const char *doc_text(const struct doc *map, const char *key); /* of a string; NULL if there is none */
void doc_free(struct doc *d);                                 /* of doc_parse_json; accepts NULL */
void doc_list_done(struct doc_list *l);

#endif

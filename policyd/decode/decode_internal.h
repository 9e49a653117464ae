/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of decode_document share: where in which object we are, and how that is told. */
#ifndef POLICYD_DECODE_INTERNAL_H
#define POLICYD_DECODE_INTERNAL_H

#include "policyd/decode/decode.h"

#define DECODE_PATH_MAX 512
#define DECODE_ERRORS_PER_OBJECT 16 /* a hostile object has a million */

/* One object being decoded. */
struct decode {
	struct decode_result *result;
	char what[400];             /* "NetworkPolicy ns/name" */
	char path[DECODE_PATH_MAX]; /* "spec.ingress[0]" */
	unsigned errors, warnings;
	bool failed; /* the object is not what the API server would take */
	bool unused; /* beyond a bound (bounds.h): as if it were not there */
};

/* Steps into a field or an element; the result is what decode_leave needs to step out again. */
size_t decode_enter(struct decode *d, const char *field);
size_t decode_enter_item(struct decode *d, size_t index);
void decode_leave(struct decode *d, size_t mark);

/* "line N: <what>: <path>: <message>", escaped. decode_error marks the object as failed. */
void decode_error(struct decode *d, const struct doc *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void decode_warn(struct decode *d, const struct doc *at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Is the doc of this kind? An error at the current path if not. A NULL kind node (`- null`) never is. */
bool decode_expect(struct decode *d, const struct doc *doc, enum doc_kind kind);
/* The field, checked for its kind; NULL if it is absent, null (the same thing) or of another kind (an error). */
const struct doc *decode_field(struct decode *d, const struct doc *map, const char *key, enum doc_kind kind);
const char *decode_string(struct decode *d, const struct doc *map, const char *key);
/* Every key of map that is not in the NULL-terminated list is an error: what it would restrict is unknown. */
void decode_known_fields(struct decode *d, const struct doc *map, const char *const known[]);

/* A boolean as written: true, yes, y, on in their capitalisations. */
bool decode_is_true(const struct doc *doc);
/* A port number of plain decimal digits, 1…65535; else an error at the current path. */
bool decode_port_number(struct decode *d, const struct doc *doc, uint16_t *ret);
/* A protocol name; absent (NULL) is TCP. */
bool decode_protocol(struct decode *d, const struct doc *map, uint8_t *ret);
/* A CIDR block; unmasked bits and legacy zeros are warned about. */
bool decode_block(struct decode *d, const struct doc *doc, struct block *ret);

/* Bytes of all keys and texts. */
size_t decode_text_bytes(const struct doc *doc);
/* Why a policy is beyond the bounds (caller frees), or NULL. */
char *decode_policy_excess(const struct doc *spec);

/* podSelector, ingress and egress alone; isolates[] are the directions that have rules. */
void decode_policy_rules(struct decode *d, const struct doc *map, struct policy *ret);

/* The labels of an object, its metadata.labels. */
void decode_labels(struct decode *d, const struct doc *root, struct labels *ret);
/* map: a LabelSelector; ret stays empty on error. */
bool decode_selector(struct decode *d, const struct doc *map, struct selector *ret);

/* Bodies: obj has its names; root is the whole object. */
void decode_policy(struct decode *d, const struct doc *root, struct object *obj);
void decode_pod(struct decode *d, const struct doc *root, struct object *obj);
void decode_node(struct decode *d, const struct doc *root, struct object *obj);
void decode_endpoints(struct decode *d, const struct doc *root, struct object *obj);
/* The tightest reading of a policy that is an error. */
struct object *decode_closed_policy(const struct doc *root, const char *ns, const char *name);

#endif

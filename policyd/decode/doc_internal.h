/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of doc_parse share. */
#ifndef POLICYD_DOC_INTERNAL_H
#define POLICYD_DOC_INTERNAL_H

#include "policyd/decode/doc.h"

/* Null, boolean, number or string: what an unquoted, untagged scalar is. */
enum doc_kind doc_scalar_kind(const char *s);

/* An error if a key is given twice. lines: of the keys, or NULL if they are all on the map's. */
int doc_check_unique(const struct doc *map, const unsigned *lines, struct err *err);

void doc_done(struct doc *d); /* what is in it */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of doc_parse share. */
#ifndef POLICYD_DOC_INTERNAL_H
#define POLICYD_DOC_INTERNAL_H

#include "policyd/decode/doc.h"

/* Null, boolean, number or string: what an unquoted, untagged scalar is. */
enum doc_kind doc_scalar_kind(const char *s);

void doc_done(struct doc *d); /* what is in it */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions: a canonical text of what policies say, and the name made from it. Tenants write what goes in, so the name is
 * a cryptographic hash: nobody can make two definitions share a chain.
 */
#ifndef POLICYD_DEFINITION_H
#define POLICYD_DEFINITION_H

#include "policyd/model/compile.h"

struct definition {
	char *v; /* NUL-terminated once something was added */
	size_t n, cap;
};

void definition_add(struct definition *d, const char *text);
void definition_addf(struct definition *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void definition_name(const struct definition *d, char name[DEFINITION_NAME_MAX]);
void definition_done(struct definition *d);

#endif

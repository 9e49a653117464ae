/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/model/definition.h"

#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void definition_add(struct definition *d, const char *text)
{
	size_t len = strlen(text);

	if (d->n + len + 1 > d->cap) {
		d->cap = 2 * (d->n + len + 1);
		d->v = mem_realloc(d->v, d->cap, 1);
	}
	memcpy(d->v + d->n, text, len + 1);
	d->n += len;
}

void definition_addf(struct definition *d, const char *fmt, ...)
{
	char text[256];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* only numbers, names of protocols and hashes are formatted; a cut text would let two definitions meet */
	if (len < 0 || (size_t)len >= sizeof(text))
		abort();
	definition_add(d, text);
}

void definition_name(const struct definition *d, char name[DEFINITION_NAME_MAX])
{
	uint8_t digest[(DEFINITION_NAME_MAX - 1) / 2];
	struct sha256_ctx hash;

	sha256_init(&hash);
	sha256_update(&hash, d->n, (const uint8_t *)d->v);
	sha256_digest(&hash, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(name + 2 * i, 3, "%02x", digest[i]);
}

void definition_done(struct definition *d)
{
	free(d->v);
	*d = (struct definition){0};
}

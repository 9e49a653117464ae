/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "moat/text.h"

#undef err_set /* what an analyzer is told of them */
#undef err_errno

static void set_text(struct err *err, const char *fmt, va_list args)
{
	CLEAN_FREE char *raw = NULL;

	if (vasprintf(&raw, fmt, args) < 0)
		abort();
	text_escape(raw, err->text, sizeof(err->text));
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return -code;
	err->code = code;
	va_start(args, fmt);
	set_text(err, fmt, args);
	va_end(args);
	return -code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	CLEAN_FREE char *context = NULL, *whole = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&context, fmt, args) < 0)
		abort();
	va_end(args);
	whole = mem_printf("%s: %s", context, err->text);
	text_escape(whole, err->text, sizeof(err->text));
	return -err->code;
}

int err_errno(struct err *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return -code;
	err->code = code;
	va_start(args, fmt);
	set_text(err, fmt, args);
	va_end(args);

	size_t used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(code));
	return -code;
}

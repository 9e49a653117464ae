/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/log.h"

#include <stdarg.h>
#include <stdio.h>

static void line(const char *level, const char *fmt, va_list args)
{
	fprintf(stderr, "level=%s event=", level);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line("info", fmt, args);
	va_end(args);
}

void log_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line("warn", fmt, args);
	va_end(args);
}

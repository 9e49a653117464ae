/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines on stderr, key=value; the caller escapes text from outside (TEXT). Layers 0 to 3 do not log. */
#ifndef MOAT_LOG_H
#define MOAT_LOG_H

#include "moat/base.h"
#include "moat/text.h"

void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cni_error.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <string.h>

#include "moat/text.h"

#undef cni_fail /* what an analyzer is told of them */
#undef cni_fail_cause

static void format(char *out, size_t size, const char *fmt, va_list args)
{
	char *raw;

	if (vasprintf(&raw, fmt, args) < 0)
		abort();
	text_escape(raw, out, size);
	free(raw);
}

int cni_fail(struct cni_error *e, enum cni_code code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	format(e->msg, sizeof(e->msg), fmt, args);
	va_end(args);
	e->details[0] = '\0';
	e->code = code;
	return code;
}

static enum cni_code code_of_cause(enum cni_code otherwise, int cause)
{
	switch (cause) {
	case EPERM:
	case EACCES:
		/* the pod store's own complaint about owner and mode is one about files */
		return otherwise == CNI_IO_FAILURE ? otherwise : CNI_NOT_PERMITTED;
	case EAGAIN:
	case EBUSY:
	case EINTR:
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case ETIMEDOUT:
		return CNI_TRY_AGAIN;
	default:
		return otherwise;
	}
}

int cni_fail_cause(struct cni_error *e, enum cni_code code, const struct err *cause, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	format(e->msg, sizeof(e->msg), fmt, args);
	va_end(args);
	text_escape(cause->text, e->details, sizeof(e->details));
	e->code = code_of_cause(code, cause->code);
	if (e->code == CNI_NOT_PERMITTED) {
		size_t used = strlen(e->msg);

		snprintf(e->msg + used, sizeof(e->msg) - used,
			 "; the runtime must run moat with CAP_NET_ADMIN and CAP_SYS_ADMIN in the node's network namespace");
	}
	return (int)e->code;
}

void cni_error_print(const struct cni_error *e, const char *cni_version, FILE *out)
{
	cJSON *object = cJSON_CreateObject();
	char *text;

	if (!cJSON_AddStringToObject(object, "cniVersion", cni_version) || !cJSON_AddNumberToObject(object, "code", e->code) ||
	    !cJSON_AddStringToObject(object, "msg", e->msg) ||
	    (e->details[0] && !cJSON_AddStringToObject(object, "details", e->details)) ||
	    !(text = cJSON_PrintUnformatted(object)))
		abort();
	fprintf(out, "%s\n", text);
	cJSON_free(text);
	cJSON_Delete(object);
}

void cni_warn(const char *fmt, ...)
{
	char line[ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	format(line, sizeof(line), fmt, args);
	va_end(args);
	fprintf(stderr, "moat: %s\n", line);
}

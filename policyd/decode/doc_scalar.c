/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plain scalar is. The rules are those of the YAML 1.1 reader behind sigs.k8s.io/yaml, hence of kubectl: a label
 * value that kubectl would send as a number or a boolean must not be a string here.
 */
#include <string.h>

#include "policyd/decode/doc_internal.h"

static bool one_of(const char *s, const char *const list[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(s, list[i]))
			return true;
	return false;
}

static bool is_digit(char c, int base)
{
	if (base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
		return true;
	return c >= '0' && c <= '9' && c - '0' < base;
}

/* Digits of the base, underscores between them. */
static bool all_digits(const char *s, int base)
{
	if (!is_digit(*s, base))
		return false;
	for (; *s; s++)
		if (!is_digit(*s, base) && *s != '_')
			return false;
	return true;
}

static bool is_integer(const char *s)
{
	s += *s == '+' || *s == '-';
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		return all_digits(s + 2, 16);
	if (s[0] == '0' && (s[1] == 'o' || s[1] == 'O'))
		return all_digits(s + 2, 8);
	if (s[0] == '0' && (s[1] == 'b' || s[1] == 'B'))
		return all_digits(s + 2, 2);
	return all_digits(s, 10);
}

static const char *skip_digits(const char *s)
{
	while (is_digit(*s, 10))
		s++;
	return s;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? or an infinity or NaN. */
static bool is_float(const char *s)
{
	static const char *const special[] = {".nan", ".NaN", ".NAN",  ".inf",	".Inf",	 ".INF",
					      "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"};
	const char *whole, *end;

	if (one_of(s, special, ARRAY_SIZE(special)))
		return true;
	s += *s == '+' || *s == '-';
	whole = s;
	end = skip_digits(s);
	if (*end == '.') {
		const char *fraction = end + 1;
		bool leading = end > whole;

		end = skip_digits(fraction);
		if (!leading && end == fraction)
			return false;
	} else if (end == whole) {
		return false;
	}
	if (*end == 'e' || *end == 'E') {
		const char *exponent = end + 1;

		exponent += *exponent == '+' || *exponent == '-';
		end = skip_digits(exponent);
		if (end == exponent)
			return false;
	}
	return *end == '\0';
}

enum doc_kind doc_scalar_kind(const char *s)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
	static const char *const bools[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on",	"On",  "ON",  "y", "Y",
					    "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"};

	if (one_of(s, nulls, ARRAY_SIZE(nulls)))
		return DOC_NULL;
	if (one_of(s, bools, ARRAY_SIZE(bools)))
		return DOC_BOOL;
	if (is_integer(s) || is_float(s))
		return DOC_NUMBER;
	return DOC_STRING;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/text.h"

#include <stdio.h>
#include <string.h>

const char *text_escape(const char *text, char *out, size_t size)
{
	size_t used = 0;

	if (!text)
		text = "(none)";
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		bool plain = *p >= 0x20 && *p < 0x7f;
		size_t need = plain ? 1 : 4;

		/* keep room for "..." and NUL unless this is the end */
		if (used + need + (p[1] ? 4 : 1) > size) {
			snprintf(out + used, size - used, "...");
			return out;
		}
		if (plain)
			out[used++] = (char)*p;
		else
			used += (size_t)snprintf(out + used, size - used, "\\x%02x", *p);
	}
	out[used] = '\0';
	return out;
}

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* One DNS label of len characters, without the length limit (subdomains limit the whole). */
static bool is_label_text(const char *s, size_t len)
{
	if (len == 0 || !is_lower_alnum(s[0]) || !is_lower_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_lower_alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

static bool is_subdomain_text(const char *s, size_t len)
{
	const char *end = s + len;

	if (len > 253)
		return false;
	for (;;) {
		const char *dot = memchr(s, '.', (size_t)(end - s));
		const char *stop = dot ? dot : end;

		if (!is_label_text(s, (size_t)(stop - s)))
			return false;
		if (!dot)
			return true;
		s = dot + 1;
	}
}

bool text_is_dns1123_label(const char *s)
{
	return s && strlen(s) <= 63 && is_label_text(s, strlen(s));
}

bool text_is_dns1123_subdomain(const char *s)
{
	return s && is_subdomain_text(s, strlen(s));
}

/* The name part of a label key, and a non-empty label value. */
static bool is_qualified_text(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > 63 || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i]) && !strchr("._-", s[i]))
			return false;
	return true;
}

bool text_is_label_key(const char *s)
{
	const char *slash = s ? strchr(s, '/') : NULL;

	if (!s)
		return false;
	if (!slash)
		return is_qualified_text(s);
	return is_subdomain_text(s, (size_t)(slash - s)) && is_qualified_text(slash + 1);
}

bool text_is_label_value(const char *s)
{
	return s && (!*s || is_qualified_text(s));
}

bool text_is_port_name(const char *s)
{
	bool letter = false;

	if (!s || strlen(s) > 15 || !is_label_text(s, strlen(s)) || strstr(s, "--"))
		return false;
	for (; *s; s++)
		letter |= *s >= 'a' && *s <= 'z';
	return letter;
}

bool text_is_cni_name(const char *s, size_t max)
{
	if (!s || !is_alnum(s[0]) || strlen(s) > max)
		return false;
	for (; *s; s++)
		if (!is_alnum(*s) && !strchr("_.-", *s))
			return false;
	return true;
}

bool text_is_ifname(const char *s)
{
	if (!s || !*s || strlen(s) > 15 || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s == '/' || *s == ':' || *s == 0x7f)
			return false;
	return true;
}

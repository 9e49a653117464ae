/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are in JSON text. cJSON gives values but not their bytes, and its doubles lose large numbers: what is passed on
 * unchanged is passed on as text.
 */
#ifndef MOAT_PLUGIN_CNI_JSON_H
#define MOAT_PLUGIN_CNI_JSON_H

#include "moat/base.h"

struct span {
	const char *at;
	size_t len;
};

/*
 * The value of the first member `name` of the object that is the text; false if there is none. The text needs to be well-formed up to
 * the end of that value only. Nothing is allocated; at most `len` bytes are looked at.
 */
bool json_find_member(const char *text, size_t len, const char *name, struct span *ret);

/* Has the text a NUL, raw or as \u0000? C strings made of it would end early and mean something else than what others read. */
bool json_has_nul(const char *text, size_t len);

/* A well-formed object's text with its member `name` set to a string (added as the first if there is none). Caller frees. */
char *json_set_member(const char *text, size_t len, const char *name, const char *value);

#endif

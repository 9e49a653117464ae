/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/mode.h"

#include <string.h>

static const char *const mode_names[MODE_COUNT] = {"audit", "standard", "preview", "strict"};
static const char *const deny_names[DENY_COUNT] = {"drop", "reject"};
static const char *const direction_names[DIRECTION_COUNT] = {"ingress", "egress"};

static bool find(const char *const names[], int count, const char *text, int *ret)
{
	for (int i = 0; text && i < count; i++) {
		if (!strcmp(text, names[i])) {
			*ret = i;
			return true;
		}
	}
	return false;
}

const char *mode_name(enum mode mode)
{
	return mode_names[mode];
}

bool mode_parse(const char *text, enum mode *ret)
{
	int i;

	if (!find(mode_names, MODE_COUNT, text, &i))
		return false;
	*ret = (enum mode)i;
	return true;
}

bool mode_is_tighter(enum mode a, enum mode than)
{
	return a > than;
}

const char *deny_name(enum deny deny)
{
	return deny_names[deny];
}

bool deny_parse(const char *text, enum deny *ret)
{
	int i;

	if (!find(deny_names, DENY_COUNT, text, &i))
		return false;
	*ret = (enum deny)i;
	return true;
}

const char *direction_name(enum direction d)
{
	return direction_names[d];
}

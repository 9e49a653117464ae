/* SPDX-License-Identifier: Apache-2.0 */
/* The network configuration that moat chains itself to: which it is, and whether moat can guard the pods that it makes. */
#ifndef INSTALL_PRIMARY_H
#define INSTALL_PRIMARY_H

#include <cjson/cJSON.h>
#include <limits.h>

#include "install/options.h"
#include "moat/err.h"

struct primary {
	char file[NAME_MAX + 1]; /* in the runtime's directory */
	char *text;
	size_t len;
	cJSON *json;
	const char *name; /* of the network */
	bool single;      /* a .conf: one plugin, no list */
};

/*
 * The one that the runtime would take if moat's were not there: the first *.conflist, *.conf or *.json in the order of bytes, as
 * libcni sorts. -ENOENT: none. -EEXIST: it sorts before moat's, which then nobody would read. *ret is to be released by primary_done.
 */
int primary_find(int conf_dir, struct primary *ret, struct err *err);

/* The same of a text that is taken over: for the one that moat makes itself. */
int primary_parse(const char *file, char *text, size_t len, struct primary *ret, struct err *err);
void primary_done(struct primary *p);

/*
 * -EOPNOTSUPP says why moat cannot guard its pods, and what to do: a kind of interface that is no veth, a plugin nobody has tried (unless
 * accepted), a bridge that is not plain, by what is configured and, if it is there, by what it is.
 */
int primary_judge(const struct primary *p, const struct install_options *options, struct err *err);

/* Does any configuration of the directory but moat's own chain moat? Then somebody else needs its binary. */
bool primary_others_need_moat(int conf_dir);

/* The conflist with moat behind the rest, byte by byte as the primary has it. settings: a JSON object of the moat entry's keys. Caller frees. */
int primary_chain(const struct primary *p, const char *settings, char **ret, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The network configuration on standard input (CNI 1.1.0, section 1, as the runtime derives it for one plugin). */
#ifndef MOAT_PLUGIN_CNI_CONFIG_H
#define MOAT_PLUGIN_CNI_CONFIG_H

#include <cjson/cJSON.h>

#include "moat/mode.h"
#include "moat/tunnel.h"
#include "plugin/cni_error.h"
#include "plugin/cni_json.h"

#define CNI_CONFIG_MAX (1ul << 20) /* bytes of standard input */
#define CNI_VERSION_NEWEST "1.1.0"   /* of an answer when the configuration names none */
#define CNI_WAIT_MAX_MS 30000
#define CNI_WAIT_DEFAULT_MS 1000

struct cni_config {
	char *text; /* as it came */
	size_t len;
	cJSON *json; /* NULL for DEL, which reads the name only */

	const char *version; /* one of cni_config_versions */
	char *name;
	enum mode mode;   /* default strict */
	enum deny deny;   /* default drop */
	unsigned wait_ms; /* waitForPolicy, default 1 s */
	struct tunnel_ports tunnel_ports; /* tunnelPorts; n 0: the default, untouched */

	const cJSON *prev_result; /* NULL if absent, */
	struct span prev_text;    /* and its bytes */
};

extern const char *const cni_config_versions[]; /* oldest first, NULL at the end */

/* Is the version (one of cni_config_versions) at least the other? */
bool cni_version_at_least(const char *version, const char *other);

/* Everything up to the end, at most CNI_CONFIG_MAX bytes; *ret_text is NUL-terminated and the caller's. */
int cni_config_read(int fd, char **ret_text, size_t *ret_len, struct cni_error *e);

/*
 * Parses the whole; text is taken over, also on failure. Unknown keys are an error if refuse_unknown (ADD, CHECK, STATUS: the
 * specification's code 2). *ret is to be released by cni_config_done in any case; its version is valid as soon as it was read.
 */
int cni_config_parse(char *text, size_t len, bool refuse_unknown, struct cni_config *ret, struct cni_error *e);

/*
 * For DEL: the name and whatever else, broken or not. A pod that cannot be deleted because of its configuration sticks for ever. A
 * name that no ADD would have accepted gives name NULL.
 */
int cni_config_parse_name(char *text, size_t len, struct cni_config *ret, struct cni_error *e);

/* "1s", "500ms", "1.5s", "1s500ms", "0": a Go duration of 0 to 30 s in h, m, s, ms, us, ns; rounded down to ms. */
bool cni_config_parse_wait(const char *text, unsigned *ret_ms);

void cni_config_done(struct cni_config *config);

#endif

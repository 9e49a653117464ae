/* SPDX-License-Identifier: Apache-2.0 */
/* From the environment and standard input to a verb, and from its outcome to standard output. */
#include <string.h>

#include "moat/text.h"
#include "plugin/cni.h"

struct verb {
	const char *command;
	const char *since; /* the oldest cniVersion that has it; NULL: whatever the configuration says */
	unsigned need;     /* of the environment */
	bool refuse_unknown;
	int (*run)(struct cni_call *call, struct cni_error *e);
};

static const struct verb verbs[] = {
	{"ADD", "0.3.0", CNI_ENV_CONTAINER | CNI_ENV_NETNS | CNI_ENV_ARGS, true, cni_add},
	{"DEL", NULL, CNI_ENV_CONTAINER, false, cni_del},
	{"CHECK", "0.4.0", CNI_ENV_CONTAINER | CNI_ENV_NETNS, true, cni_check},
	{"GC", "1.1.0", CNI_ENV_NOTHING, false, cni_gc},
	{"STATUS", "1.1.0", CNI_ENV_NOTHING, true, cni_status},
	{"VERSION", NULL, CNI_ENV_NOTHING, false, cni_version},
};

static const struct verb *find_verb(struct cni_error *e)
{
	const char *command = getenv("CNI_COMMAND");

	for (size_t i = 0; command && i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(command, verbs[i].command))
			return &verbs[i];
	if (!command || !*command)
		cni_fail(e, CNI_INVALID_ENVIRONMENT,
			 "missing in the environment: CNI_COMMAND; moat is a CNI plugin that a container runtime starts, see moat(8)");
	else
		cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_COMMAND is \"%s\"; expected ADD, DEL, CHECK, GC, STATUS or VERSION",
			 TEXT(command));
	return NULL;
}

/* DEL and VERSION must work with a configuration that nobody else can read. */
static int read_config(const struct verb *verb, char *text, size_t len, struct cni_config *config, struct cni_error *e)
{
	struct cni_error ignored;

	if (verb->run == cni_del)
		return cni_config_parse_name(text, len, config, e);
	if (verb->run == cni_version) {
		cni_config_parse_name(text, len, config, &ignored);
		return 0;
	}
	return cni_config_parse(text, len, verb->refuse_unknown, config, e);
}

static int read_env(const struct verb *verb, struct cni_env *env, struct cni_error *e)
{
	int code;

	if (verb->run != cni_del)
		return cni_env_read(verb->need, env, e);
	code = cni_env_require(verb->need, env, e);
	if (!code)
		cni_env_read_uid(env);
	return code;
}

static int run_verb(const struct verb *verb, struct cni_call *call, struct cni_error *e)
{
	int code;

	if (verb->since && !cni_version_at_least(call->config.version, verb->since))
		return cni_fail(e, CNI_INCOMPATIBLE_VERSION, "%s needs cniVersion %s or newer; the configuration says %s",
				verb->command, verb->since, call->config.version);
	code = read_env(verb, &call->env, e);
	if (!code)
		code = verb->run(call, e);
	if (!code && fflush(call->out) != 0)
		code = cni_fail(e, CNI_IO_FAILURE, "cannot write the result to standard output");
	return code;
}

int cni_run(int input, FILE *out)
{
	struct cni_call call = {.config.version = CNI_VERSION_NEWEST, .out = out};
	struct cni_error e = {0};
	const struct verb *verb = find_verb(&e);
	char *text;
	size_t len;

	if (verb && !cni_config_read(input, &text, &len, &e) && !read_config(verb, text, len, &call.config, &e))
		run_verb(verb, &call, &e);
	if (e.code)
		cni_error_print(&e, call.config.version, out);
	cni_env_done(&call.env);
	cni_config_done(&call.config);
	return e.code ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cni_env.h"

#include <string.h>
#include <strings.h>

#include "moat/podstore.h"
#include "moat/text.h"

#define ARGS_MAX 4096  /* characters of CNI_ARGS */
#define NETNS_MAX 4096 /* PATH_MAX */

/* An empty variable says as little as a missing one. */
static const char *get(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int cni_env_require(unsigned need, struct cni_env *ret, struct cni_error *e)
{
	char missing[64];

	memset(ret, 0, sizeof(*ret));
	ret->container_id = get("CNI_CONTAINERID");
	ret->ifname = get("CNI_IFNAME");
	ret->netns = get("CNI_NETNS");
	snprintf(missing, sizeof(missing), "%s%s%s", (need & CNI_ENV_CONTAINER) && !ret->container_id ? " CNI_CONTAINERID" : "",
		 (need & CNI_ENV_NETNS) && !ret->netns ? " CNI_NETNS" : "",
		 (need & CNI_ENV_CONTAINER) && !ret->ifname ? " CNI_IFNAME" : "");
	if (missing[0])
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "missing in the environment:%s; a CNI runtime sets them", missing);
	return 0;
}

bool cni_env_is_possible(const struct cni_env *env)
{
	return text_is_cni_name(env->container_id, PODSTORE_CONTAINER_ID_MAX) && text_is_ifname(env->ifname);
}

static int check_names(const struct cni_env *env, struct cni_error *e)
{
	if (!text_is_cni_name(env->container_id, PODSTORE_CONTAINER_ID_MAX))
		return cni_fail(e, CNI_INVALID_ENVIRONMENT,
				"CNI_CONTAINERID is \"%s\"; expected a letter or digit, then letters, digits, '_', '.', '-', at most %d",
				TEXT(env->container_id), PODSTORE_CONTAINER_ID_MAX);
	if (!text_is_ifname(env->ifname))
		return cni_fail(e, CNI_INVALID_ENVIRONMENT,
				"CNI_IFNAME is \"%s\"; expected at most 15 characters without slash, colon and space",
				TEXT(env->ifname));
	return 0;
}

/* Go's strconv.ParseBool is wider, but this is what libcni's args accept. */
static bool parse_bool(const char *text, bool *ret)
{
	*ret = !strcmp(text, "1") || !strcasecmp(text, "true");
	return *ret || !strcmp(text, "0") || !strcasecmp(text, "false");
}

struct args {
	const char *namespace, *name, *uid, *infra, *ignore;
	const char *unknown; /* the first */
};

/* One KEY=VALUE, cut in place. */
static int read_pair(char *pair, struct args *args, struct cni_error *e)
{
	const struct {
		const char *key;
		const char **value;
	} known[] = {{"K8S_POD_NAMESPACE", &args->namespace},
		     {"K8S_POD_NAME", &args->name},
		     {"K8S_POD_UID", &args->uid},
		     {"K8S_POD_INFRA_CONTAINER_ID", &args->infra},
		     {"IgnoreUnknown", &args->ignore}};
	char *equals = strchr(pair, '=');

	if (!equals || equals == pair)
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has \"%s\"; expected KEY=VALUE pairs with ';' between them",
				TEXT(pair));
	*equals = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(pair, known[i].key) != 0)
			continue;
		if (*known[i].value)
			return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has %s twice", known[i].key);
		*known[i].value = equals + 1;
		return 0;
	}
	if (!args->unknown)
		args->unknown = pair;
	return 0;
}

static int check_args(const struct args *args, struct cni_error *e)
{
	bool ignore = false;

	if (args->ignore && !parse_bool(args->ignore, &ignore))
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has IgnoreUnknown=%s; expected 1, true, 0 or false",
				TEXT(args->ignore));
	if (args->unknown && !ignore)
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has the unknown key %s, and no IgnoreUnknown=1",
				TEXT(args->unknown));
	if (args->namespace && !args->name)
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has K8S_POD_NAMESPACE but no K8S_POD_NAME");
	if (args->namespace && !text_is_dns1123_label(args->namespace))
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has K8S_POD_NAMESPACE=%s, which is not the name of a namespace",
				TEXT(args->namespace));
	/* without a namespace it is podman's name of a pod or container: upper case and underscores are usual */
	if (args->name && !(args->namespace ? text_is_dns1123_subdomain(args->name) : text_is_cni_name(args->name, 253)))
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has K8S_POD_NAME=%s, which is not the name of a pod",
				TEXT(args->name));
	if (args->uid && !text_is_cni_name(args->uid, 253))
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has K8S_POD_UID=%s, which is not a UID", TEXT(args->uid));
	return 0;
}

static const char *not_empty(const char *text)
{
	return text && *text ? text : NULL;
}

static int read_args(const char *text, struct cni_env *ret, struct cni_error *e)
{
	CLEAN_FREE char *copy = mem_strdup(text);
	struct args args = {0};
	char *rest = copy, *pair;
	int code;

	if (strlen(text) > ARGS_MAX)
		return cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_ARGS is longer than %d characters", ARGS_MAX);
	while ((pair = strsep(&rest, ";")))
		if (*pair && (code = read_pair(pair, &args, e))) /* a last ';' is usual */
			return code;
	args.namespace = not_empty(args.namespace);
	args.name = not_empty(args.name);
	args.uid = not_empty(args.uid);
	code = check_args(&args, e);
	if (code)
		return code;
	/* podman knows no namespaces: its containers are pods of `default`, as what kubectl is told without one */
	if (args.name && !args.namespace && text_is_dns1123_subdomain(args.name))
		args.namespace = "default";
	ret->pod_namespace = mem_strdup(args.namespace);
	ret->pod_name = mem_strdup(args.name);
	ret->pod_uid = mem_strdup(args.uid);
	return 0;
}

void cni_env_read_uid(struct cni_env *ret)
{
	static const char key[] = "K8S_POD_UID=";
	CLEAN_FREE char *copy = mem_strdup(get("CNI_ARGS"));
	char *rest = copy, *pair;

	while (rest && (pair = strsep(&rest, ";"))) {
		const char *uid = pair + strlen(key);

		if (strncmp(pair, key, strlen(key)) != 0 || ret->pod_uid || !text_is_cni_name(uid, 253))
			continue;
		ret->pod_uid = mem_strdup(uid);
	}
}

int cni_env_read(unsigned need, struct cni_env *ret, struct cni_error *e)
{
	const char *args = get("CNI_ARGS");
	int code = cni_env_require(need, ret, e);

	if (!code && (need & CNI_ENV_CONTAINER))
		code = check_names(ret, e);
	if (!code && (need & CNI_ENV_NETNS) && strlen(ret->netns) >= NETNS_MAX)
		code = cni_fail(e, CNI_INVALID_ENVIRONMENT, "CNI_NETNS is longer than a path can be");
	if (!code && (need & CNI_ENV_ARGS) && args)
		code = read_args(args, ret, e);
	return code;
}

void cni_env_done(struct cni_env *env)
{
	free(env->pod_namespace);
	free(env->pod_name);
	free(env->pod_uid);
	memset(env, 0, sizeof(*env));
}

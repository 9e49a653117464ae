/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cnidriver: libcni's part for the stories. It walks the plugins of a conflist in order (DEL: backwards), gives each its
 * configuration with name, cniVersion, prevResult and runtimeConfig on stdin, and keeps the final result in a cache, as
 * https://www.cni.dev/docs/spec/#section-3-execution-of-network-configurations says.
 *
 *   cnidriver add|del|check|status|gc|version --conflist FILE --path DIRS [--netns PATH] [--container ID] [--ifname NAME]
 *             [--args K=V;...] [--capabilities JSON] [--cache DIR] [--only TYPE] [--prev FILE] [--result FILE]
 *
 * Results are text that is handed on as it came: a driver that parsed and printed them would hide a plugin that changes
 * large numbers. A failing ADD ends with the plugin's error on stdout and exit code 1; DEL is the caller's decision.
 */
#include <cjson/cJSON.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moat/base.h"

struct driver {
	const char *verb; /* upper case: CNI_COMMAND */
	const char *conflist, *path, *netns, *container, *ifname, *args, *cache, *only, *prev, *result;
	const char *capabilities; /* JSON object: what the runtime offers, by capability */
	cJSON *list;
	const char *name, *version;
};

static void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("cnidriver: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

/* Everything up to the end of fd, NUL-terminated. */
static char *read_all(int fd)
{
	VEC(char) text = { 0 };
	char part[4096];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) > 0 || (n < 0 && errno == EINTR))
		for (ssize_t i = 0; i < n; i++)
			VEC_PUSH(&text, part[i]);
	VEC_PUSH(&text, '\0');
	return text.v;
}

static char *read_file(const char *path) /* NULL: no such file */
{
	CLEAN_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : read_all(fd);
}

static void write_file(const char *path, const char *text)
{
	CLEAN_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s: %s", path, strerror(errno));
}

static const char *string_of(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* ---- the cache: one file per attachment, <container>:<ifname>, holding the last result ------------------------------ */

static char *cache_file(const struct driver *d)
{
	return mem_printf("%s/%s/%s:%s", d->cache, d->name, d->container, d->ifname);
}

static void cache_store(const struct driver *d, const char *result)
{
	CLEAN_FREE char *dir = mem_printf("%s/%s", d->cache, d->name), *file = cache_file(d);

	if ((mkdir(d->cache, 0700) && errno != EEXIST) || (mkdir(dir, 0700) && errno != EEXIST))
		die("%s: %s", dir, strerror(errno));
	write_file(file, result);
}

/* GC, section 4 of the specification: every attachment that this runtime still knows. */
static cJSON *cache_attachments(const struct driver *d)
{
	CLEAN_FREE char *path = mem_printf("%s/%s", d->cache, d->name);
	cJSON *list = cJSON_CreateArray();
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char *colon = strchr(e->d_name, ':');
		cJSON *item;

		if (!colon)
			continue;
		*colon = '\0';
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "containerID", e->d_name);
		cJSON_AddStringToObject(item, "ifname", colon + 1);
		cJSON_AddItemToArray(list, item);
	}
	if (dir)
		closedir(dir);
	return list;
}

/* ---- one plugin ----------------------------------------------------------------------------------------------------- */

/* runtimeConfig: of what the runtime offers, what the plugin's "capabilities" ask for. */
static void add_runtime_config(const struct driver *d, cJSON *config)
{
	cJSON *offered = cJSON_Parse(d->capabilities), *wanted = cJSON_DetachItemFromObject(config, "capabilities"), *given, *want;

	if (d->capabilities && !offered)
		die("--capabilities is not JSON");
	given = cJSON_CreateObject();
	cJSON_ArrayForEach(want, wanted)
		if (cJSON_IsTrue(want) && cJSON_HasObjectItem(offered, want->string))
			cJSON_AddItemToObject(given, want->string, cJSON_DetachItemFromObject(offered, want->string));
	if (given->child)
		cJSON_AddItemToObject(config, "runtimeConfig", given);
	else
		cJSON_Delete(given);
	cJSON_Delete(wanted);
	cJSON_Delete(offered);
}

static char *plugin_config(const struct driver *d, const cJSON *plugin, const char *prev_result)
{
	cJSON *config = cJSON_Duplicate(plugin, true);
	char *text;

	cJSON_DeleteItemFromObject(config, "name");
	cJSON_DeleteItemFromObject(config, "cniVersion");
	cJSON_AddStringToObject(config, "name", d->name);
	cJSON_AddStringToObject(config, "cniVersion", d->version);
	add_runtime_config(d, config);
	if (prev_result)
		cJSON_AddRawToObject(config, "prevResult", prev_result);
	if (!strcmp(d->verb, "GC"))
		cJSON_AddItemToObject(config, "cni.dev/valid-attachments", cache_attachments(d));
	text = cJSON_PrintUnformatted(config);
	cJSON_Delete(config);
	return text;
}

static void exec_plugin(const struct driver *d, const char *type, int in, int out) __attribute__((noreturn));
static void exec_plugin(const struct driver *d, const char *type, int in, int out)
{
	char *dirs = mem_strdup(d->path), *rest;

	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	setenv("CNI_COMMAND", d->verb, 1);
	setenv("CNI_PATH", d->path, 1);
	if (d->container)
		setenv("CNI_CONTAINERID", d->container, 1);
	if (d->netns)
		setenv("CNI_NETNS", d->netns, 1);
	setenv("CNI_IFNAME", d->ifname, 1);
	if (d->args)
		setenv("CNI_ARGS", d->args, 1);
	for (char *dir = strtok_r(dirs, ":", &rest); dir; dir = strtok_r(NULL, ":", &rest)) {
		char *file = mem_printf("%s/%s", dir, type);

		execl(file, type, (char *)NULL);
		free(file);
	}
	fprintf(stderr, "cnidriver: no plugin %s in %s\n", type, d->path);
	_exit(127);
}

/* Runs one plugin; its whole stdout is the caller's. Returns its exit code, 128 + signal if it died of one. */
static int run_plugin(const struct driver *d, const cJSON *plugin, const char *prev_result, char **ret_output)
{
	CLEAN_FREE char *config = plugin_config(d, plugin, prev_result);
	const char *type = string_of(plugin, "type");
	/* A file, not a pipe: a plugin that never reads its configuration must not block its driver. */
	CLEAN_CLOSE int in = memfd_create("config", MFD_CLOEXEC);
	int out[2], status;
	pid_t child;

	if (!type)
		die("%s: a plugin without type", d->conflist);
	if (in < 0 || write(in, config, strlen(config)) != (ssize_t)strlen(config) || lseek(in, 0, SEEK_SET) ||
	    pipe2(out, O_CLOEXEC))
		die("preparing %s: %s", type, strerror(errno));
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child)
		exec_plugin(d, type, in, out[1]);
	close(out[1]);
	*ret_output = read_all(out[0]);
	close(out[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- the list ------------------------------------------------------------------------------------------------------- */

static int walk(const struct driver *d)
{
	const cJSON *plugins = cJSON_GetObjectItemCaseSensitive(d->list, "plugins");
	bool add = !strcmp(d->verb, "ADD"), backwards = !strcmp(d->verb, "DEL");
	int n = cJSON_GetArraySize(plugins);
	CLEAN_FREE char *prev = d->prev ? read_file(d->prev) : NULL;
	CLEAN_FREE char *cached = d->container ? cache_file(d) : NULL;

	if (!n)
		die("%s: no plugins", d->conflist);
	if (!prev && cached && (backwards || !strcmp(d->verb, "CHECK")))
		prev = read_file(cached);
	for (int i = 0; i < n; i++) {
		const cJSON *plugin = cJSON_GetArrayItem(plugins, backwards ? n - 1 - i : i);
		CLEAN_FREE char *output = NULL;
		int code;

		if (d->only && strcmp(d->only, string_of(plugin, "type")))
			continue;
		code = run_plugin(d, plugin, prev, &output);
		if (code || !add)
			fputs(output, stdout);
		if (code) {
			fprintf(stderr, "cnidriver: %s %s: exit code %d\n", d->verb, string_of(plugin, "type"), code);
			return 1;
		}
		if (add) {
			free(prev);
			prev = TAKE_PTR(output);
		}
	}
	if (add && prev) {
		cache_store(d, prev);
		if (d->result)
			write_file(d->result, prev);
		else
			fputs(prev, stdout);
	} else if (backwards && !d->only) {
		unlink(cached);
	}
	return 0;
}

static const char *verb_of(const char *text)
{
	static const char *const verbs[][2] = { { "add", "ADD" }, { "del", "DEL" }, { "check", "CHECK" },
						{ "status", "STATUS" }, { "gc", "GC" }, { "version", "VERSION" } };

	for (size_t i = 0; text && i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(text, verbs[i][0]))
			return verbs[i][1];
	die("the first argument is one of add, del, check, status, gc, version");
}

static void parse(struct driver *d, int argc, char **argv)
{
	enum { CONFLIST, PATH, NETNS, CONTAINER, IFNAME, ARGS, CACHE, ONLY, PREV, RESULT, CAPABILITIES, COUNT };
	static const struct option options[] = {
		{ "conflist", 1, NULL, CONFLIST }, { "path", 1, NULL, PATH },     { "netns", 1, NULL, NETNS },
		{ "container", 1, NULL, CONTAINER }, { "ifname", 1, NULL, IFNAME }, { "args", 1, NULL, ARGS },
		{ "cache", 1, NULL, CACHE },       { "only", 1, NULL, ONLY },     { "prev", 1, NULL, PREV },
		{ "result", 1, NULL, RESULT },     { "capabilities", 1, NULL, CAPABILITIES }, { NULL, 0, NULL, 0 },
	};
	const char **const values[COUNT] = { &d->conflist, &d->path, &d->netns, &d->container, &d->ifname, &d->args,
					     &d->cache, &d->only, &d->prev, &d->result, &d->capabilities };
	int c;

	d->verb = verb_of(argv[1]);
	while ((c = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1) {
		if (c < 0 || c >= COUNT)
			die("see the head of cnidriver.c for the options");
		*values[c] = optarg;
	}
	if (!d->conflist || !d->path)
		die("--conflist and --path are needed");
}

int main(int argc, char **argv)
{
	struct driver d = { .ifname = "eth0", .cache = "/run/cnidriver" };
	CLEAN_FREE char *text = NULL;
	int code;

	parse(&d, argc, argv);
	text = read_file(d.conflist);
	d.list = cJSON_Parse(text);
	if (!d.list)
		die("%s: missing or not JSON", d.conflist);
	d.name = string_of(d.list, "name");
	d.version = string_of(d.list, "cniVersion");
	if (!d.name || !d.version)
		die("%s: name and cniVersion are needed", d.conflist);
	code = walk(&d);
	cJSON_Delete(d.list);
	return code;
}

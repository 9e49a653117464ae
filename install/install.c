/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "install/file.h"
#include "install/primary.h"
#include "install/standalone.h"
#include "moat/log.h"
#include "moat/pod.h"
#include "moat/podstore.h"

/* As it should be: NULL text says that what stands is to be kept, for the reason in `why`. */
struct wanted {
	char *text;
	char primary[NAME_MAX + 1];
	struct err why;
};

static bool stands(int conf_dir)
{
	struct stat st;

	return fstatat(conf_dir, CONFLIST_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static int read_settings(const struct install_options *options, char **ret, struct err *err)
{
	cJSON *json;
	size_t len;
	bool object;

	if (!options->settings) {
		*ret = mem_strdup("{}");
		return 0;
	}
	if (file_read(AT_FDCWD, options->settings, CONFLIST_MAX, ret, &len, err) < 0)
		return -err->code;
	json = strlen(*ret) == len ? cJSON_ParseWithOpts(*ret, NULL, true) : NULL;
	object = cJSON_IsObject(json);
	cJSON_Delete(json);
	return object ? 0 : err_set(err, EINVAL, "settings %s are not a JSON object", TEXT(options->settings));
}

static int find(const struct install_options *options, int conf_dir, struct primary *ret, struct err *err)
{
	int code = options->standalone ? standalone_make(ret, err) : primary_find(conf_dir, ret, err);

	return code == 0 && !options->standalone ? primary_judge(ret, options, err) : code;
}

static int want(const struct install_options *options, int conf_dir, struct wanted *ret, struct err *err)
{
	CLEAN_FREE char *settings = NULL;
	struct primary p;
	int code = find(options, conf_dir, &p, err);

	ret->text = NULL;
	memcpy(ret->primary, p.file, sizeof(ret->primary));
	/* it vanished, or is not known yet: the runtime goes on with ours */
	if ((code == -ENOENT || code == -EAGAIN) && stands(conf_dir)) {
		ret->why = *err;
		code = 0;
	} else if (code == 0) {
		code = read_settings(options, &settings, err);
		if (code == 0)
			code = primary_chain(&p, settings, &ret->text, err);
	}
	primary_done(&p);
	return code;
}

struct place {
	int conf_dir, bin_dir;
};

static void close_place(const struct place *p)
{
	mem_clean_close(&p->conf_dir);
	mem_clean_close(&p->bin_dir);
}

static int open_place(const struct install_options *options, struct place *ret, struct err *err)
{
	ret->bin_dir = -1;
	ret->conf_dir = file_open_dir(options->conf_dir, err);
	if (ret->conf_dir >= 0)
		ret->bin_dir = file_open_dir(options->bin_dir, err);
	return ret->conf_dir < 0 || ret->bin_dir < 0 ? -err->code : 0;
}

static int put_plugin(const struct install_options *options, const struct place *p, struct err *err)
{
	CLEAN_FREE char *binary = NULL;
	bool changed;
	size_t len;
	int code = file_read(AT_FDCWD, options->plugin, PLUGIN_MAX, &binary, &len, err);

	if (code == 0)
		code = file_put(p->bin_dir, PLUGIN_NAME, binary, len, 0755, &changed, err);
	if (code == 0 && changed)
		log_info("plugin-installed directory=\"%s\" bytes=%zu", TEXT(options->bin_dir), len);
	return code;
}

int install_put(const struct install_options *options, struct err *err)
{
	CLEAN(close_place) struct place p;
	struct wanted wanted = {.text = NULL};
	bool changed = false;
	int code = open_place(options, &p, err);

	if (code == 0)
		code = want(options, p.conf_dir, &wanted, err);
	if (code < 0)
		return code;
	code = put_plugin(options, &p, err);
	if (code == 0 && wanted.text)
		code = file_put(p.conf_dir, CONFLIST_NAME, wanted.text, strlen(wanted.text), 0644, &changed, err);
	if (code == 0 && changed)
		log_info("conflist-installed file=\"%s/" CONFLIST_NAME "\" primary=\"%s\"", TEXT(options->conf_dir), TEXT(wanted.primary));
	free(wanted.text);
	return code;
}

static int same(int dir, const char *name, const char *data, size_t len, struct err *err)
{
	CLEAN_FREE char *now = NULL;
	size_t n;

	if (file_read(dir, name, PLUGIN_MAX, &now, &n, err) < 0)
		return -err->code;
	return n == len && !memcmp(now, data, len) ? 0 : err_set(err, ESTALE, "%s is not as it should be", name);
}

int install_check(const struct install_options *options, struct err *err)
{
	CLEAN(close_place) struct place p;
	CLEAN_FREE char *binary = NULL;
	struct wanted wanted = {.text = NULL};
	size_t len;
	int code = open_place(options, &p, err);

	if (code == 0)
		code = want(options, p.conf_dir, &wanted, err);
	if (code < 0)
		return code;
	if (wanted.text)
		code = same(p.conf_dir, CONFLIST_NAME, wanted.text, strlen(wanted.text), err);
	free(wanted.text);
	if (code == 0)
		code = file_read(AT_FDCWD, options->plugin, PLUGIN_MAX, &binary, &len, err);
	return code == 0 ? same(p.bin_dir, PLUGIN_NAME, binary, len, err) : code;
}

int install_preflight(const struct install_options *options, struct err *err)
{
	CLEAN_CLOSE int conf_dir = -1;
	struct primary p;
	int code;

	if (pod_ruleset_supported(err) < 0 || podstore_writable(err) < 0)
		return -err->code;
	if (options->standalone)
		return 0;
	conf_dir = file_open_dir(options->conf_dir, err);
	if (conf_dir < 0)
		return conf_dir;
	code = find(options, conf_dir, &p, err);
	primary_done(&p);
	return code == -ENOENT ? 0 : code; /* it is waited for */
}

int install_remove(const struct install_options *options, struct err *err)
{
	CLEAN(close_place) struct place p;
	bool conflist = false, binary = false;
	int code = open_place(options, &p, err);

	if (code == 0)
		code = file_remove(p.conf_dir, CONFLIST_NAME, &conflist, err);
	if (code < 0)
		return code;
	file_sweep(p.conf_dir);
	file_sweep(p.bin_dir);
	if (primary_others_need_moat(p.conf_dir))
		log_warn("plugin-kept directory=\"%s\" reason=\"another network configuration chains moat\"", TEXT(options->bin_dir));
	else
		code = file_remove(p.bin_dir, PLUGIN_NAME, &binary, err);
	log_info("uninstalled conflist=%s plugin=%s", conflist ? "removed" : "was-not-there", binary ? "removed" : "not-removed");
	return code;
}

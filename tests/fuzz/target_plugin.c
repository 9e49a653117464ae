/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of the plugin. The input is lines "CNI_…=value" of the environment, an empty line, and standard input. The kernel complies,
 * so that an ADD that is accepted goes all the way; its pod store is empty but for an earlier attachment of container "old".
 */
#include <cjson/cJSON.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "moat/podstore.h"
#include "moat/text.h"
#include "plugin/cni.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/kernel.h"

static const char *const variables[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"};

static void prepare(void)
{
	fuzz_rundir_make();
	stderr = fopen("/dev/null", "we"); /* warnings are many; a sanitizer's report goes to the descriptor */
}

static void read_variable(const char *line)
{
	const char *equals = strchr(line, '=');

	for (size_t i = 0; equals && i < ARRAY_SIZE(variables); i++)
		if (!strncmp(line, variables[i], (size_t)(equals - line)) && strlen(variables[i]) == (size_t)(equals - line))
			setenv(variables[i], equals + 1, 1);
}

static void read_environment(struct fuzz_input *in)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	while (in->left && *in->at != '\n') {
		CLEAN_FREE char *line = fuzz_text_until(in, '\n');

		read_variable(line);
	}
	fuzz_byte(in);
	/* it is opened: of devices even that may be an act */
	if (getenv("CNI_NETNS") && strstr(getenv("CNI_NETNS"), "dev"))
		unsetenv("CNI_NETNS");
}

static void put_old(void)
{
	struct attachment old = {.network = (char[]){"net"}, .container_id = (char[]){"old"}, .ifname = (char[]){"eth0"},
				 .port = "veth9", .port_index = 9, .mode = MODE_STRICT, .created = 1, .n_addrs = 1};

	FUZZ_CHECK(addr_parse("10.1.0.2", &old.addrs[0], NULL) == 0);
	FUZZ_CHECK(podstore_init(NULL) == 0 && podstore_put(&old, NULL) == 0);
}

static const char *member(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* CNI 1.1.0, section 5, "Error"; never 3, which tells the runtime that no DEL is needed. */
static void check_error(const char *printed)
{
	cJSON *error = cJSON_ParseWithOpts(printed, NULL, true);
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");

	FUZZ_CHECK(cJSON_IsObject(error) && member(error, "cniVersion") && member(error, "msg") && *member(error, "msg"));
	FUZZ_CHECK(cJSON_IsNumber(code) && code->valuedouble > 0 && code->valuedouble != 3);
	for (const char *p = printed; *p && *p != '\n'; p++)
		FUZZ_CHECK(*p >= ' ' && *p < 0x7f);
	cJSON_Delete(error);
}

/* Invariant 1: whoever answers that the pod may start has closed it, or its mode lets everything through. */
static void check_added(const char *printed, const char *config_text)
{
	cJSON *result = cJSON_ParseWithOpts(printed, NULL, true), *config = cJSON_Parse(config_text);
	const char *mode = member(config, "mode"), *version = member(config, "cniVersion");
	CLEAN_FREE char *key = mem_printf("%s/%s:%s", member(config, "name"), getenv("CNI_CONTAINERID"), getenv("CNI_IFNAME"));
	struct attachment *a = NULL;

	FUZZ_CHECK(cJSON_IsObject(result) && version && member(result, "cniVersion"));
	FUZZ_CHECK(!strcmp(version, member(result, "cniVersion")));
	if (!mode || (strcmp(mode, "audit") != 0 && strcmp(mode, "preview") != 0)) {
		FUZZ_CHECK(fuzz_kernel_commits() > 0);
		FUZZ_CHECK(podstore_get(key, &a, NULL) == 0 && !a->closing && a->n_addrs > 0);
	}
	attachment_free(a);
	cJSON_Delete(config);
	cJSON_Delete(result);
}

static void check_deleted(const char *config_text)
{
	cJSON *config = cJSON_Parse(config_text);
	const char *name = member(config, "name");
	CLEAN_FREE char *key = mem_printf("%s/%s:%s", name ? name : "", getenv("CNI_CONTAINERID"), getenv("CNI_IFNAME"));
	struct attachment *a = NULL;

	FUZZ_CHECK(podstore_get(key, &a, NULL) < 0 || a->closing);
	attachment_free(a);
	cJSON_Delete(config);
}

static void run(const uint8_t *data, size_t len)
{
	struct fuzz_input in = {data, len};
	char *printed = NULL;
	size_t n_printed = 0;
	FILE *out = open_memstream(&printed, &n_printed);
	CLEAN_FREE char *config = NULL;
	const char *command;
	int input, status;

	put_old();
	read_environment(&in);
	command = getenv("CNI_COMMAND") ? getenv("CNI_COMMAND") : "";
	config = in.left ? mem_strndup((const char *)in.at, in.left) : mem_strdup("");
	input = memfd_create("standard-input", MFD_CLOEXEC);
	FUZZ_CHECK(out && input >= 0 && write(input, in.at, in.left) == (ssize_t)in.left && lseek(input, 0, SEEK_SET) == 0);

	fuzz_kernel_complies(getenv("CNI_IFNAME") ? getenv("CNI_IFNAME") : "");
	status = cni_run(input, out);
	fclose(out);
	close(input);
	FUZZ_CHECK(status == 0 || status == 1);
	if (status)
		check_error(printed);
	else if (!strcmp(command, "ADD"))
		check_added(printed, config);
	else if (!strcmp(command, "DEL") && strlen(config) == in.left)
		check_deleted(config);
	free(printed);
	fuzz_rundir_clear();
}

const struct fuzz_target fuzz_plugin = {"plugin", prepare, run};

/* SPDX-License-Identifier: Apache-2.0 */
/* Replays the corpora of the fuzz targets: what was found once must never come back, whatever the compiler. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define INPUTS_MIN 10 /* of a target: a corpus that is not there proves nothing */
#define INPUT_MAX 65536

static const struct fuzz_target *const targets[] = {&fuzz_plugin, &fuzz_manifest, &fuzz_policy,	&fuzz_selector, &fuzz_cluster,
						    &fuzz_netlink, &fuzz_control,  &fuzz_moatctl, &fuzz_podstore, &fuzz_conflist,
						    &fuzz_watch,  &fuzz_kube};

static void replay(const struct fuzz_target *target, const char *path)
{
	static uint8_t buf[INPUT_MAX];
	FILE *file = fopen(path, "re");
	uint8_t *data;
	size_t len;

	ck_assert_msg(file != NULL, "%s", path);
	len = fread(buf, 1, sizeof(buf), file);
	fclose(file);
	/* exactly as large as it is, so that a sanitizer or valgrind sees a step beyond */
	data = mem_alloc(len);
	memcpy(data, buf, len);
	target->run(data, len);
	free(data);
}

START_TEST(what_was_found_once_does_not_come_back)
{
	const struct fuzz_target *target = targets[_i];
	CLEAN_FREE char *directory = mem_printf("tests/fuzz/corpus/%s", target->name);
	DIR *dir = opendir(directory);
	struct dirent *entry;
	unsigned n = 0;

	ck_assert_msg(dir != NULL, "%s: no corpus (run from the top of the tree)", directory);
	if (target->prepare)
		target->prepare();
	target->run((const uint8_t *)"", 0);
	while ((entry = readdir(dir))) {
		CLEAN_FREE char *path = mem_printf("%s/%s", directory, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		replay(target, path);
		n++;
	}
	closedir(dir);
	ck_assert_uint_ge(n, INPUTS_MIN);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("corpora");
	Suite *s = suite_create("fuzz");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, what_was_found_once_does_not_come_back, 0, ARRAY_SIZE(targets));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

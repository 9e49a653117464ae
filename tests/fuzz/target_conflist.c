/* SPDX-License-Identifier: Apache-2.0 */
/* The conflist that the daemon follows: a version of it that is wrong changes nothing, and the next good one counts. */
#include <string.h>

#include "policyd/model/compile.h"
#include "policyd/source/conflist.h"
#include "tests/build.h"
#include "tests/fuzz/fuzz.h"

static const char good[] = "{\"name\":\"net\",\"plugins\":[{\"type\":\"moat\",\"mode\":\"audit\"}]}";

static void prepare(void)
{
	fuzz_rundir_make();
	stderr = fopen("/dev/null", "we");
}

static enum mode mode_now(struct cluster *c)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
	return build_local(c, "c1")->mode;
}

static void run(const uint8_t *data, size_t len)
{
	CLEAN_FREE char *path = fuzz_rundir_path("conflist");
	struct attachment *a = build_attachment("c1", "a", "p", "10.0.0.1");
	struct cluster *c = cluster_new();
	struct conflist conflist;
	enum mode before;

	cluster_attach(c, a);
	conflist_init(&conflist, path);
	fuzz_write_file(path, data, len);
	if (!conflist_read(&conflist, c))
		FUZZ_CHECK(conflist.trouble[0] && mode_now(c) == MODE_STRICT);
	else
		FUZZ_CHECK(!conflist.trouble[0]);
	FUZZ_CHECK(mode_now(c) < MODE_COUNT);

	fuzz_write_file(path, good, strlen(good));
	conflist_read(&conflist, c);
	FUZZ_CHECK(mode_now(c) == MODE_AUDIT && !conflist.trouble[0]);
	before = mode_now(c);
	fuzz_write_file(path, data, len);
	if (!conflist_read(&conflist, c))
		FUZZ_CHECK(mode_now(c) == before);
	conflist_done(&conflist);
	cluster_free(c);
	attachment_free(a);
}

const struct fuzz_target fuzz_conflist = {"conflist", prepare, run};

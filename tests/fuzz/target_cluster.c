/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a cluster, one after the other, each byte a choice of tests/random.c; compiled in between and compared with the oracle. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/world.h"
#include "tests/random.h"

#define CHANGES_BETWEEN 8

static void compile(struct cluster *c)
{
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
}

static void run(const uint8_t *data, size_t len)
{
	struct cluster *c = cluster_new();
	struct world w = {0};
	uint64_t created = 0;

	random_feed(data, len);
	while (random_is_fed()) {
		for (unsigned i = 0; i < CHANGES_BETWEEN && random_is_fed(); i++)
			random_change(&w, c, &created);
		compile(c);
		fuzz_world_agree(&w, c, 17);
	}
	fuzz_world_program(c);
	cluster_free(c);
	random_world_done(&w);
}

const struct fuzz_target fuzz_cluster = {"cluster", NULL, run};

/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the manifests' directory, from its bytes to profiles: world.h says what is checked. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/world.h"

static void run(const uint8_t *data, size_t len)
{
	fuzz_world_check((const char *)data, len);
}

const struct fuzz_target fuzz_manifest = {"manifest", NULL, run};

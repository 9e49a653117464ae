/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer's way into one target: compiled once per target, with FUZZ_TARGET its name. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (FUZZ_TARGET.prepare)
		FUZZ_TARGET.prepare();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	FUZZ_TARGET.run(data, len);
	return 0;
}

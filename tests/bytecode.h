/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction as text, without the kernel: one paragraph per message, rules as bytecode. For golden files. */
#ifndef TESTS_BYTECODE_H
#define TESTS_BYTECODE_H

#include "moat/txn.h"

/* Caller frees. */
char *bytecode_of(struct txn *t);

/* Compares with tests/golden/<name>; with MOAT_UPDATE_GOLDEN=1 in the environment writes it instead. Fails the test if they differ. */
void bytecode_check(const char *name, const char *text);

#endif

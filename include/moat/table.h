/* SPDX-License-Identifier: Apache-2.0 */
/* uthash with our memory: out of memory aborts in tables too. */
#ifndef MOAT_TABLE_H
#define MOAT_TABLE_H

#include "moat/base.h"

#define uthash_malloc(size) mem_alloc(size)
#include <uthash.h>

#endif

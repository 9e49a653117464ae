/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICYD_DECODE_BASELINE_H
#define POLICYD_DECODE_BASELINE_H

#include "policyd/decode/decode.h"
#include "policyd/model/baseline.h"

/*
 * The one document of a baseline file. What is not understood is an error, and then there is none (NULL): errors in result, as
 * decode_document's. baseline_free.
 */
struct baseline *decode_baseline(const struct doc *root, struct decode_result *result);

#endif

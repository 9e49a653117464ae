/* SPDX-License-Identifier: Apache-2.0 */
/* A small cluster for the targets that read objects: what is decoded goes into it, and what comes out must be what the oracle says. */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include "tests/oracle.h"

/*
 * Decodes the text as a file of manifests into a cluster with two namespaces, four pods, three of which are attached here (strict and
 * standard), and checks:
 *
 * - an error of a policy leaves a closed reading, or is told as lost; a closed reading isolates both directions and has no rules;
 * - what the profiles of the attached pods allow is what the oracle reads in the objects that were decoded, so nothing that was not;
 * - a policy more that selects everything and allows nothing isolates every pod.
 */
void fuzz_world_check(const char *text, size_t len);

/*
 * Profiles against the oracle: on every address of the world and every port that a rule begins or ends at, and its neighbours; of these
 * packets every stride-th.
 */
void fuzz_world_agree(const struct world *w, struct cluster *c, unsigned stride);
/* What reconcile would queue for it: builds the messages, asks nobody. */
void fuzz_world_program(struct cluster *c);

#endif

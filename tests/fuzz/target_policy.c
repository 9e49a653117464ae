/* SPDX-License-Identifier: Apache-2.0 */
/* The spec of one NetworkPolicy, in YAML's flow style or JSON, so that mutations meet the selectors, peers and ports at once. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/world.h"

static const char head[] = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: n, namespace: a}, spec: ";

static void run(const uint8_t *data, size_t len)
{
	char *text = mem_alloc(sizeof(head) + len + 1);

	memcpy(text, head, sizeof(head) - 1);
	if (len)
		memcpy(text + sizeof(head) - 1, data, len);
	text[sizeof(head) - 1 + len] = '}';
	fuzz_world_check(text, sizeof(head) + len);
	free(text);
}

const struct fuzz_target fuzz_policy = {"policy", NULL, run};

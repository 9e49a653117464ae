/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations as lines of text, and their end. */
#include <stdio.h>

#include "moat/text.h"
#include "policyd/model/explain.h"

const char *explain_verdict_name(enum explain_verdict v)
{
	static const char *const names[] = {
		[EXPLAIN_NO_SAY] = "not isolated", [EXPLAIN_ALLOWED] = "allowed",       [EXPLAIN_OBSERVED] = "let through",
		[EXPLAIN_DEPENDS] = "depends",     [EXPLAIN_DENIED] = "denied",
	};

	return names[v];
}

static void end_text(FILE *out, const struct explain_end *end)
{
	fprintf(out, "  %-7s of %s: %s\n", direction_name(end->direction), end->name, explain_verdict_name(end->verdict));
	fprintf(out, "          %s\n", end->reason);
	if (end->attached)
		fprintf(out, "          attached here, mode %s\n", mode_name(end->mode));
	/* the reason names the first one */
	for (size_t i = 1; i < end->allowing.n; i++)
		fprintf(out, "          also by %s, %s[%zu]\n", TEXT(end->allowing.v[i].policy),
			direction_name(end->direction), end->allowing.v[i].index);
}

char *explain_text(const struct explain_result *r)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	fprintf(out, "%s from %s to %s: %s\n", r->traffic, r->source.name, r->destination.name,
		explain_verdict_name(r->verdict));
	end_text(out, &r->source);
	end_text(out, &r->destination);
	if (fclose(out))
		abort();
	return text;
}

static void end_done(struct explain_end *end)
{
	for (size_t i = 0; i < end->isolating.n; i++)
		free(end->isolating.v[i].policy);
	for (size_t i = 0; i < end->allowing.n; i++)
		free(end->allowing.v[i].policy);
	VEC_DONE(&end->isolating);
	VEC_DONE(&end->allowing);
	free(end->name);
	free(end->excess);
	free(end->reason);
}

void explain_result_done(struct explain_result *r)
{
	end_done(&r->source);
	end_done(&r->destination);
	free(r->traffic);
	*r = (struct explain_result){0};
}

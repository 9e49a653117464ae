/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looked at each second by its path: a mounted ConfigMap changes by a link being renamed two directories above, and a watch would have to
 * follow each of them. A look is an open and a stat; only another file, or one that was written a moment ago, is read.
 */
#include "policyd/source/baseline_file.h"

#include <string.h>
#include <time.h>

#include "moat/log.h"
#include "policyd/source/textfile.h"
#include "policyd/decode/decode_baseline.h"

#define SETTLED_SECONDS 2 /* two writes within one tick of the file system's clock have one time */

void baseline_file_init(struct baseline_file *f, const char *path)
{
	memset(f, 0, sizeof(*f));
	f->path = mem_strdup(path);
}

static void clear_messages(struct baseline_file *f)
{
	for (size_t i = 0; i < f->errors.n; i++)
		free(f->errors.v[i]);
	for (size_t i = 0; i < f->warnings.n; i++)
		free(f->warnings.v[i]);
	VEC_DONE(&f->errors);
	VEC_DONE(&f->warnings);
}

void baseline_file_done(struct baseline_file *f)
{
	clear_messages(f);
	free(f->text);
	free(f->path);
}

static bool same_version(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool is_as_seen(const struct baseline_file *f)
{
	struct stat st;

	return f->looked && stat(f->path, &st) == 0 && same_version(&st, &f->seen) && time(NULL) - st.st_ctim.tv_sec > SETTLED_SECONDS;
}

/* NULL: errors say why. */
static struct baseline *decode(const char *text, size_t len, struct decode_result *result)
{
	struct baseline *b = NULL;
	struct doc_list docs = {0};
	struct err err = {.code = 0};

	if (doc_parse(text, len, &docs, &err) < 0)
		VEC_PUSH(&result->errors, mem_strdup(err.text));
	else if (docs.n != 1)
		VEC_PUSH(&result->errors, mem_printf("it has %zu documents; write one", docs.n));
	else
		b = decode_baseline(docs.v[0], result);
	doc_list_done(&docs);
	return b;
}

static void take_messages(struct baseline_file *f, struct decode_result *result)
{
	bool news = f->errors.n != (result->errors.n < BASELINE_MESSAGES_MAX ? result->errors.n : BASELINE_MESSAGES_MAX);

	for (size_t i = 0; !news && i < f->errors.n; i++)
		news = strcmp(f->errors.v[i], result->errors.v[i]) != 0;
	clear_messages(f);
	for (size_t i = 0; i < result->errors.n && i < BASELINE_MESSAGES_MAX; i++) {
		if (news)
			log_warn("baseline-error file=\"%s\" in-force=%s error=\"%s\"", TEXT(f->path), f->in_force ? "last-good-version" : "none",
				 TEXT(result->errors.v[i]));
		VEC_PUSH(&f->errors, TAKE_PTR(result->errors.v[i]));
	}
	for (size_t i = 0; i < result->warnings.n && i < BASELINE_MESSAGES_MAX; i++)
		VEC_PUSH(&f->warnings, TAKE_PTR(result->warnings.v[i]));
}

bool baseline_file_read(struct baseline_file *f, struct cluster *cluster)
{
	struct decode_result result = {0};
	struct baseline *b = NULL;
	CLEAN_FREE char *text = NULL;
	struct stat st;
	struct err err;
	bool in_force;
	size_t len;

	if (!f->path || is_as_seen(f))
		return false;
	memset(&st, 0, sizeof(st));
	text = textfile_read("baseline", f->path, BASELINE_BYTES_MAX, &len, &st, &err);
	in_force = text && f->in_force && f->text_len == len && !memcmp(f->text, text, len);
	f->seen = st;
	f->looked = true;
	if (in_force && !f->errors.n)
		return false;
	if (text)
		b = decode(text, len, &result);
	else
		VEC_PUSH(&result.errors, mem_strdup(err.text));
	take_messages(f, &result);
	decode_result_done(&result);
	if (!b || in_force) {
		baseline_free(b);
		return false;
	}
	f->in_force = true;
	f->rules = b->rules.n + b->apiserver;
	free(f->text);
	f->text = TAKE_PTR(text);
	f->text_len = len;
	log_info("baseline-read file=\"%s\" rules=%zu", TEXT(f->path), f->rules);
	cluster_set_baseline(cluster, b);
	return true;
}

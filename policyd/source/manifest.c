/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of the manifest source
 *
 * Files *.yaml, *.yml and *.json of one directory, each with any number of documents, written in place or renamed in from
 * elsewhere. Three rules:
 *
 *  - A file with an error keeps its last good version whole, and says so. A file that never had a good version gives what is
 *    good in it, and for each policy that is not understood the closed reading of it (decode.h).
 *  - An object belongs to the file that named it first; the same object in another file, or once more in the same one, is an
 *    error there, until the first lets it go. A batch of events is taken as one change, so a file renamed or an object moved from file to file
 *    is neither deleted nor doubled on the way.
 *  - What cannot be read is never taken for "nothing is there": a missing directory drops nothing, and a file without any
 *    document (a writer has just cut it to rewrite it) says nothing, but is no good version to fall back on.
 */
#include "policyd/source/manifest.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moat/log.h"
#include "policyd/source/manifest_internal.h"

#define WATCHED                                                                                                        \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define MESSAGES_MAX 20 /* errors, and warnings, kept per file */

int manifest_init(struct manifest_source *s, const char *directory, struct cluster *cluster, struct err *err)
{
	memset(s, 0, sizeof(*s));
	s->directory = mem_strdup(directory);
	s->cluster = cluster;
	s->watch = -1;
	s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (s->inotify < 0)
		return err_errno(err, errno, "inotify");
	return 0;
}

static void clear_messages(struct manifest_file *f)
{
	for (size_t i = 0; i < f->errors.n; i++)
		free(f->errors.v[i]);
	for (size_t i = 0; i < f->warnings.n; i++)
		free(f->warnings.v[i]);
	VEC_DONE(&f->errors);
	VEC_DONE(&f->warnings);
}

static void add_error(struct manifest_file *f, const char *text)
{
	if (f->errors.n < MESSAGES_MAX)
		VEC_PUSH(&f->errors, mem_strdup(text));
}

static void free_claims(struct manifest_claim **list)
{
	while (*list) {
		struct manifest_claim *c = *list;

		*list = c->next;
		object_free(c->object);
		free(c->ns);
		free(c->name);
		free(c->key);
		free(c);
	}
}

static void free_file(struct manifest_source *s, struct manifest_file *f)
{
	HASH_DEL(s->files, f);
	clear_messages(f);
	free_claims(&f->claims);
	free(f->name);
	free(f);
}

void manifest_done(struct manifest_source *s)
{
	struct manifest_holder *h, *next_holder;
	struct manifest_file *f, *next_file;

	HASH_ITER(hh, s->holders, h, next_holder) {
		HASH_DEL(s->holders, h);
		free(h->key);
		free(h);
	}
	HASH_ITER(hh, s->files, f, next_file)
		free_file(s, f);
	manifest_forget_waiting(s);
	if (s->inotify >= 0)
		close(s->inotify);
	free(s->directory);
}

bool manifest_is_one(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && name[0] != '.' && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml") || !strcmp(dot, ".json"));
}

/* The whole file; -ENOENT if it is gone (again): no error, a deletion. Symbolic links are followed: mounted ConfigMaps are links. */
static int read_file(const struct manifest_source *s, const char *name, char **ret, size_t *ret_len, struct err *err)
{
	CLEAN_FREE char *path = mem_printf("%s/%s", s->directory, name);
	CLEAN_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEAN_FREE char *text = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0)
		return err_errno(err, errno, "open");
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "is not a regular file");
	if (st.st_size > DOC_FILE_BYTES_MAX)
		return err_set(err, EFBIG, "is %lld bytes large; a manifest may have %u: split it", (long long)st.st_size,
			       DOC_FILE_BYTES_MAX);
	text = mem_alloc((size_t)st.st_size + 1);
	while (len < (size_t)st.st_size) {
		ssize_t got = read(fd, text + len, (size_t)st.st_size - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, errno, "read");
		if (got == 0)
			break; /* shorter by now: its writer has more to say, and inotify tells */
		len += (size_t)got;
	}
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

static struct manifest_file *file_get(struct manifest_source *s, const char *name)
{
	struct manifest_file *f;

	HASH_FIND_STR(s->files, name, f);
	if (!f) {
		f = mem_zalloc(sizeof(*f));
		f->name = mem_strdup(name);
		HASH_ADD_KEYPTR(hh, s->files, f->name, strlen(f->name), f);
	}
	return f;
}

/* Claims stay in the document's order: of two for one object the first counts. */
static void claim(struct manifest_claim ***tail, struct object *take)
{
	struct manifest_claim *c = mem_zalloc(sizeof(*c));

	c->object = take;
	c->kind = take->kind;
	c->ns = mem_strdup(take->ns);
	c->name = mem_strdup(take->name);
	c->key = mem_printf("%s/%s/%s", object_kind_name(c->kind), c->ns ? c->ns : "", c->name);
	**tail = c;
	*tail = &c->next;
}

static struct manifest_holder *holder_find(struct manifest_source *s, const char *key)
{
	struct manifest_holder *h;

	HASH_FIND_STR(s->holders, key, h);
	return h;
}

static void batch_add(struct batch *b, struct manifest_file *f)
{
	if (!f->in_batch)
		VEC_PUSH(&b->files, f);
	f->in_batch = true;
}

/* What the file held is free for its next version, or for another file of the batch. */
static void let_go(struct manifest_source *s, struct batch *b, struct manifest_file *f)
{
	for (struct manifest_claim *c = f->claims; c; c = c->next) {
		struct manifest_holder *h = holder_find(s, c->key);

		if (h && h->file == f) {
			h->file = NULL;
			h->claim = NULL;
			VEC_PUSH(&b->loose, h);
		}
	}
	free_claims(&f->claims);
}

/* A good version, or the closed reading of a first one, takes the place of what the file said before. */
static void take_version(struct manifest_file *f, struct decode_result *result)
{
	struct manifest_claim **tail = &f->claims;

	for (size_t i = 0; i < result->objects.n; i++)
		claim(&tail, TAKE_PTR(result->objects.v[i]));
	for (size_t i = 0; i < result->fallback.n; i++)
		claim(&tail, TAKE_PTR(result->fallback.v[i]));
}

/* Returns how many documents there are. */
static size_t decode_text(const char *text, size_t len, struct decode_result *result)
{
	struct doc_list docs = {0};
	struct err err;
	size_t n;

	if (doc_parse(text, len, &docs, &err) < 0) {
		VEC_PUSH(&result->errors, mem_strdup(err.text));
		result->lost = true;
	}
	for (size_t i = 0; i < docs.n; i++)
		decode_document(docs.v[i], result);
	n = docs.n;
	doc_list_done(&docs);
	return n;
}

static void report(const struct manifest_source *s, const struct manifest_file *f)
{
	for (size_t i = 0; i < f->errors.n; i++)
		log_warn("manifest-error file=\"%s/%s\" in-force=%s error=\"%s\"", TEXT(s->directory), TEXT(f->name),
			 f->stale ? "last-good-version" : "what-is-good", TEXT(f->errors.v[i]));
}

/* Is the directory there under its path? Files vanish with it, and that is no deletion of what they said. */
static bool directory_is_there(const struct manifest_source *s)
{
	struct stat st;

	return stat(s->directory, &st) == 0 && S_ISDIR(st.st_mode);
}

void manifest_load(struct manifest_source *s, struct batch *b, const char *name)
{
	struct decode_result result = {0};
	CLEAN_FREE char *text = NULL;
	struct manifest_file *f;
	struct err err;
	size_t len = 0, documents = 0;
	int code = read_file(s, name, &text, &len, &err);

	f = file_get(s, name);
	batch_add(b, f);
	if (code == -ENOENT && !directory_is_there(s))
		return;
	clear_messages(f);
	s->n_lost -= f->lost;
	if (code == -ENOENT) {
		let_go(s, b, f);
		f->stale = f->lost = f->had_good = false;
		return;
	}
	if (code < 0) {
		VEC_PUSH(&result.errors, mem_strdup(err.text));
		result.lost = true;
	} else {
		documents = decode_text(text, len, &result);
	}
	for (size_t i = 0; i < result.errors.n; i++)
		add_error(f, result.errors.v[i]);
	for (size_t i = 0; i < result.warnings.n && i < MESSAGES_MAX; i++)
		VEC_PUSH(&f->warnings, mem_strdup(result.warnings.v[i]));
	f->stale = result.errors.n && f->had_good;
	f->lost = result.lost && !f->had_good;
	s->n_lost += f->lost;
	if (!result.errors.n)
		f->had_good = documents > 0;
	if (!f->stale) {
		let_go(s, b, f);
		take_version(f, &result);
	}
	report(s, f);
	decode_result_done(&result);
}

static int by_name(const void *a, const void *b)
{
	const struct manifest_file *const *fa = a, *const *fb = b;

	return strcmp((*fa)->name, (*fb)->name);
}

/* The object of this claim is free, or the file's own already: true, and it goes to the cluster if it has not yet. */
static bool settle_claim(struct manifest_source *s, struct manifest_file *f, struct manifest_claim *c)
{
	struct manifest_holder *h = holder_find(s, c->key);

	if (h && h->file && (h->file != f || h->claim != c))
		return false;
	if (!h) {
		h = mem_zalloc(sizeof(*h));
		h->key = mem_strdup(c->key);
		HASH_ADD_KEYPTR(hh, s->holders, h->key, strlen(h->key), h);
	}
	h->file = f;
	h->claim = c;
	if (c->object)
		cluster_upsert(s->cluster, TAKE_PTR(c->object));
	return true;
}

static void settle_file(struct manifest_source *s, struct manifest_file *f)
{
	f->in_batch = false;
	for (struct manifest_claim *c = f->claims; c; c = c->next) {
		if (!settle_claim(s, f, c)) {
			const struct manifest_file *holder = holder_find(s, c->key)->file;
			CLEAN_FREE char *text =
				holder == f ? mem_printf("%s is twice in this file; the first counts", TEXT(c->key)) :
					      mem_printf("%s is in %s too, which holds it", TEXT(c->key), TEXT(holder->name));

			add_error(f, text);
			log_warn("manifest-error file=\"%s/%s\" error=\"%s\"", TEXT(s->directory), TEXT(f->name), text);
		}
	}
}

static bool any_loose(const struct batch *b)
{
	for (size_t i = 0; i < b->loose.n; i++)
		if (!b->loose.v[i]->file)
			return true;
	return false;
}

/* What settle_file said of this claim is over. */
static void drop_error(struct manifest_file *f, const struct manifest_claim *c)
{
	CLEAN_FREE char *start = mem_printf("%s is in ", TEXT(c->key));

	for (size_t i = 0; i < f->errors.n; i++) {
		if (strncmp(f->errors.v[i], start, strlen(start)) != 0)
			continue;
		free(f->errors.v[i]);
		memmove(&f->errors.v[i], &f->errors.v[i + 1], (f->errors.n - i - 1) * sizeof(f->errors.v[0]));
		f->errors.n--;
		return;
	}
}

/* Another file may have waited for what was let go. */
static void settle_waiting(struct manifest_source *s)
{
	for (struct manifest_file *f = s->files; f; f = f->hh.next)
		for (struct manifest_claim *c = f->claims; c; c = c->next)
			if (c->object && settle_claim(s, f, c))
				drop_error(f, c);
}

static void delete_object(struct manifest_source *s, struct manifest_holder *h)
{
	char *ns = strchr(h->key, '/'), *name;

	*ns++ = '\0';
	name = strchr(ns, '/');
	*name++ = '\0';
	for (int k = 0; k < KIND_COUNT; k++)
		if (!strcmp(h->key, object_kind_name((enum object_kind)k)))
			cluster_delete(s->cluster, (enum object_kind)k, *ns ? ns : NULL, name);
}

void manifest_settle(struct manifest_source *s, struct batch *b)
{
	if (b->files.n)
		qsort(b->files.v, b->files.n, sizeof(b->files.v[0]), by_name);
	for (size_t i = 0; i < b->files.n; i++)
		settle_file(s, b->files.v[i]);
	if (any_loose(b))
		settle_waiting(s);
	for (size_t i = 0; i < b->loose.n; i++) {
		struct manifest_holder *h = b->loose.v[i];

		if (h->file)
			continue;
		HASH_DEL(s->holders, h); /* before its key is cut up */
		delete_object(s, h);
		free(h->key);
		free(h);
	}
	for (size_t i = 0; i < b->files.n; i++)
		if (!b->files.v[i]->claims && !b->files.v[i]->errors.n && !b->files.v[i]->had_good)
			free_file(s, b->files.v[i]);
	VEC_DONE(&b->files);
	VEC_DONE(&b->loose);
	cluster_set_incomplete(s->cluster, s->n_lost > 0 || s->too_many);
}

void manifest_set_missing(struct manifest_source *s, const char *why)
{
	if (!s->missing[0])
		log_warn("manifests-missing directory=\"%s\" error=\"%s\" in-force=what-was-read", TEXT(s->directory), TEXT(why));
	snprintf(s->missing, sizeof(s->missing), "%s", why);
	if (s->watch >= 0)
		inotify_rm_watch(s->inotify, s->watch);
	s->watch = -1;
}

struct name_list {
	char **v;
	size_t n, cap;
};

static void name_list_done(struct name_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	VEC_DONE(l);
}

/*
 * The names of all manifests. A directory that was removed under the reader looks empty (glibc's readdir takes ENOENT for
 * the end), so its links are counted too.
 */
static int list_names(const struct manifest_source *s, struct name_list *ret)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(s->directory);
	int code;

	if (!dir)
		return -errno;
	errno = 0;
	while ((entry = readdir(dir)))
		if (manifest_is_one(entry->d_name))
			VEC_PUSH(ret, mem_strdup(entry->d_name));
	code = -errno;
	if (code == 0 && fstat(dirfd(dir), &st) == 0 && st.st_nlink == 0)
		code = -ENOENT;
	closedir(dir);
	return code;
}

/* Files beyond the limit are not read, so what they say is unknown. */
static void limit_names(struct manifest_source *s, struct name_list *names)
{
	s->too_many = names->n > MANIFEST_FILES_MAX;
	if (s->too_many)
		log_warn("manifests-too-many directory=\"%s\" files=%zu limit=%u", TEXT(s->directory), names->n,
			 MANIFEST_FILES_MAX);
	while (names->n > MANIFEST_FILES_MAX)
		free(names->v[--names->n]);
}

bool manifest_scan(struct manifest_source *s)
{
	struct batch b = {0};
	struct name_list names = {0};
	struct manifest_file *f, *next;
	int code = 0;

	if (s->watch < 0) /* before reading, so that nothing between is missed */
		s->watch = inotify_add_watch(s->inotify, s->directory, WATCHED);
	code = s->watch < 0 ? -errno : list_names(s, &names);
	if (code < 0) {
		name_list_done(&names);
		manifest_set_missing(s, strerror(-code));
		return false;
	}
	s->missing[0] = '\0';
	limit_names(s, &names);
	manifest_forget_waiting(s);
	HASH_ITER(hh, s->files, f, next) /* gone, unless the directory still has it */
		batch_add(&b, f);
	for (size_t i = 0; i < names.n; i++) {
		manifest_load(s, &b, names.v[i]);
		file_get(s, names.v[i])->seen = true;
	}
	name_list_done(&names);
	for (size_t i = 0; i < b.files.n; i++)
		if (!b.files.v[i]->seen)
			manifest_load(s, &b, b.files.v[i]->name);
	for (size_t i = 0; i < b.files.n; i++)
		b.files.v[i]->seen = false;
	manifest_settle(s, &b);
	s->synced = true;
	return true;
}

size_t manifest_count_objects(const struct manifest_source *s)
{
	return HASH_COUNT(s->holders);
}

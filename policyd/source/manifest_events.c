/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory as it changes. Names of files come from inotify at once, so that its queue never fills; a file is read when it is its
 * namespace's turn (turns.h), once for all that happened to it until then. A file that nobody has read yet, or that speaks of
 * several namespaces, is nobody's: it waits for no turn.
 */
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moat/clock.h"
#include "policyd/source/manifest_internal.h"

struct waiting_file {
	char *name;
	UT_hash_handle hh;
};

static void forget(struct manifest_source *s, struct waiting_file *w)
{
	HASH_DEL(s->waiting, w);
	free(w->name);
	free(w);
}

void manifest_forget_waiting(struct manifest_source *s)
{
	while (s->waiting)
		forget(s, s->waiting);
	s->next_us = 0;
}

size_t manifest_count_waiting(const struct manifest_source *s)
{
	return HASH_COUNT(s->waiting);
}

static void wait_for(struct manifest_source *s, const char *name)
{
	struct waiting_file *w;

	HASH_FIND_STR(s->waiting, name, w);
	if (w)
		return;
	w = mem_zalloc(sizeof(*w));
	w->name = mem_strdup(name);
	HASH_ADD_KEYPTR(hh, s->waiting, w->name, strlen(w->name), w);
}

/* Of which all objects of its version in force are; NULL: none, or several. */
static const char *namespace_of(const struct manifest_source *s, const char *name)
{
	const char *only = NULL;
	struct manifest_file *f;

	HASH_FIND_STR(s->files, name, f);
	for (const struct manifest_claim *c = f ? f->claims : NULL; c; c = c->next) {
		const char *ns = c->ns ? c->ns : c->kind == KIND_NAMESPACE ? c->name : NULL;

		if (!ns || (only && strcmp(only, ns) != 0))
			return NULL;
		only = ns;
	}
	return only;
}

static bool must_wait(struct manifest_source *s, const char *ns, uint64_t now)
{
	uint64_t when = s->turns && ns ? turns_when(s->turns, ns, now) : now;

	if (when <= now)
		return false;
	if (!s->next_us || when < s->next_us)
		s->next_us = when;
	return true;
}

/* What reading it took is its namespace's, whichever that is now. */
static void load(struct manifest_source *s, struct batch *b, const char *name)
{
	uint64_t began_us = clock_monotonic_us(), processor_us = clock_processor_us(), ended_us;
	const char *ns;

	manifest_load(s, b, name);
	ns = namespace_of(s, name);
	ended_us = clock_monotonic_us();
	if (s->turns && ns)
		turns_charge(s->turns, ns, turns_cost(ended_us - began_us, clock_processor_us() - processor_us), ended_us);
}

/* Those whose turn it was when this began: what a file takes is counted when all of them are read. */
static bool read_waiting(struct manifest_source *s)
{
	struct batch b = {0};
	struct waiting_file *w, *next;
	uint64_t now = clock_monotonic_us();
	bool changed;

	s->next_us = 0;
	HASH_ITER(hh, s->waiting, w, next) {
		if (must_wait(s, namespace_of(s, w->name), now))
			continue;
		load(s, &b, w->name);
		forget(s, w);
	}
	changed = b.files.n > 0;
	manifest_settle(s, &b);
	return changed;
}

struct events {
	bool rescan, gone;
};

/* A link is all there when it appears, and nothing else tells of it; a new file is told of when its writer closes it. */
static bool is_whole_at_once(const struct manifest_source *s, const char *name)
{
	CLEAN_FREE char *path = mem_printf("%s/%s", s->directory, name);
	struct stat st;

	return lstat(path, &st) == 0 && (S_ISLNK(st.st_mode) || st.st_nlink > 1);
}

static void take_event(struct manifest_source *s, const struct inotify_event *e, struct events *events)
{
	if (e->mask & IN_Q_OVERFLOW)
		events->rescan = true; /* NOLINT(bugprone-branch-clone): whose watch it is comes in between */
	else if (e->wd != s->watch)
		return; /* of a watch that was given up */
	else if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
		events->gone = true;
	else if (e->len && !strcmp(e->name, "..data"))
		events->rescan = true; /* a ConfigMap's mount swaps this link */
	else if (e->len && manifest_is_one(e->name) && (!(e->mask & IN_CREATE) || is_whole_at_once(s, e->name)))
		wait_for(s, e->name);
}

bool manifest_read_events(struct manifest_source *s)
{
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct events events = {0};
	ssize_t got;

	while ((got = read(s->inotify, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + got; p += sizeof(struct inotify_event) + ((struct inotify_event *)p)->len)
			take_event(s, (const struct inotify_event *)p, &events);
	if (!events.gone && !events.rescan)
		return read_waiting(s);
	/* Files deleted on the way to deleting their directory are no deletions: a missing directory drops nothing. */
	if (events.gone)
		manifest_set_missing(s, "the directory was removed or renamed");
	manifest_forget_waiting(s);
	return manifest_scan(s);
}

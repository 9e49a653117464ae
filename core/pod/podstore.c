/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod store. A change is renames of things that already exist, in an order that a killed writer may leave behind anywhere:
 * the state file comes before the links that name it, so that DEL always knows what to undo.
 */
#include "moat/podstore.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/pod/podstore_internal.h"
#include "moat/text.h"

#define TEMP_STALE_SECONDS 60 /* a writer needs milliseconds: older temporaries are of killed ones */

/* Things made under temporary names, waiting for their rename; what stands in their places is kept under names like that meanwhile. */
struct stage {
	struct {
		int dir;
		char temp[PODSTORE_TEMP_MAX], kept[PODSTORE_TEMP_MAX], name[NAME_MAX + 1];
	} item[ATTACHMENT_ADDRS_MAX + 3];
	size_t n, placed;
};

static int key_of(const struct attachment *a, char **ret_key, struct podstore_key *ret, struct err *err)
{
	*ret_key = attachment_key(a);
	if (!podstore_key_parse(*ret_key, ret))
		return err_set(err, EINVAL, "\"%s\" is not the key of an attachment", TEXT(*ret_key));
	return 0;
}

static void stage_add(struct stage *s, int dir, const char *temp, const char *name)
{
	s->item[s->n].dir = dir;
	snprintf(s->item[s->n].temp, sizeof(s->item[s->n].temp), "%s", temp);
	snprintf(s->item[s->n].name, sizeof(s->item[s->n].name), "%s", name);
	s->n++;
}

static int stage_file(struct stage *s, int dir, const char *name, const struct attachment *a, struct err *err)
{
	CLEAN_FREE char *data = podstore_encode(a);
	char temp[PODSTORE_TEMP_MAX];
	int r;

	podstore_temp_name(temp);
	r = podstore_write_temp(dir, temp, data, strlen(data), err);
	if (r == 0)
		stage_add(s, dir, temp, name);
	return r;
}

static int stage_link(struct stage *s, int dir, const char *name, const char *text, struct err *err)
{
	char temp[PODSTORE_TEMP_MAX];

	podstore_temp_name(temp);
	if (symlinkat(text, dir, temp) < 0)
		return err_errno(err, errno, "pod store %s: cannot index %s", TEXT(podstore_dir()), TEXT(name));
	stage_add(s, dir, temp, name);
	return 0;
}

/* EPERM: a directory, over which nothing can be renamed, or a file that is not ours, which nobody reads. */
static int stage_keep(struct stage *s, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		char kept[PODSTORE_TEMP_MAX];

		podstore_temp_name(kept);
		if (linkat(s->item[i].dir, s->item[i].name, s->item[i].dir, kept, 0) == 0) {
			memcpy(s->item[i].kept, kept, sizeof(kept));
			utimensat(s->item[i].dir, kept, NULL, AT_SYMLINK_NOFOLLOW); /* or a walk takes it for a killed writer's */
		} else if (errno != ENOENT && errno != EPERM) {
			return err_errno(err, errno, "pod store %s: cannot keep %s", TEXT(podstore_dir()), TEXT(s->item[i].name));
		}
	}
	return 0;
}

static void stage_forget(struct stage *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->item[i].kept[0])
			unlinkat(s->item[i].dir, s->item[i].kept, 0);
}

/* What was put in place gives way to what was there. */
static void stage_abort(struct stage *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (i >= s->placed)
			unlinkat(s->item[i].dir, s->item[i].temp, 0);
		else if (!s->item[i].kept[0] ||
			 renameat(s->item[i].dir, s->item[i].kept, s->item[i].dir, s->item[i].name) < 0)
			unlinkat(s->item[i].dir, s->item[i].name, 0);
	}
	stage_forget(s);
}

static int stage_commit(struct stage *s, struct err *err)
{
	int r = stage_keep(s, err);

	if (r < 0)
		return r;
	for (; s->placed < s->n; s->placed++)
		if (renameat(s->item[s->placed].dir, s->item[s->placed].temp, s->item[s->placed].dir, s->item[s->placed].name) < 0)
			return err_errno(err, errno, "pod store %s: cannot put %s in place", TEXT(podstore_dir()),
					 TEXT(s->item[s->placed].name));
	stage_forget(s);
	return 0;
}

/* An attachment put again with other addresses or another port no longer owns the old ones. */
static void drop_replaced(const struct attachment *old, const struct attachment *a)
{
	struct attachment *rest = attachment_copy(old);

	rest->n_addrs = 0;
	for (size_t i = 0; i < old->n_addrs; i++)
		if (!attachment_has_addr(a, &old->addrs[i]))
			rest->addrs[rest->n_addrs++] = old->addrs[i];
	if (!strcmp(old->port, a->port))
		rest->port[0] = '\0';
	if (a->bridge[0] && !memcmp(old->mac, a->mac, sizeof(a->mac)))
		rest->bridge[0] = '\0'; /* and so no MAC */
	podstore_index_drop(rest);
	attachment_free(rest);
}

/* Where an attachment has its entries; macs only for one of a bridge. */
struct places {
	int pods, closing, addrs, ports, macs;
};

static void places_close(struct places *p)
{
	mem_clean_close(&p->pods);
	mem_clean_close(&p->closing);
	mem_clean_close(&p->addrs);
	mem_clean_close(&p->ports);
	mem_clean_close(&p->macs);
}

static int places_open(struct places *p, const char *network, bool bridged, struct err *err)
{
	if ((p->pods = podstore_open_network("pods", network, true, err)) < 0)
		return p->pods;
	if ((p->closing = podstore_open_network("closing", network, true, err)) < 0)
		return p->closing;
	if ((p->addrs = podstore_open_dir("addrs", err)) < 0)
		return p->addrs;
	if ((p->ports = podstore_open_dir("ports", err)) < 0)
		return p->ports;
	if (bridged && (p->macs = podstore_make_dir("macs", err)) < 0)
		return p->macs;
	return 0;
}

static int stage_all(struct stage *s, const struct attachment *a, const struct places *p, const char *file, struct err *err)
{
	CLEAN_FREE char *text = podstore_index_text(a);
	char buf[ADDR_TEXT_MAX];
	int r = stage_file(s, p->pods, file, a, err);

	for (size_t i = 0; r == 0 && i < a->n_addrs; i++)
		r = stage_link(s, p->addrs, addr_text(&a->addrs[i], buf), text, err);
	if (r == 0)
		r = stage_link(s, p->ports, a->port, text, err);
	if (r == 0 && a->bridge[0])
		r = stage_link(s, p->macs, ether_text(a->mac, buf), text, err);
	return r;
}

int podstore_put(const struct attachment *a, struct err *err)
{
	CLEAN_FREE char *key = NULL;
	CLEAN(places_close) struct places p = {-1, -1, -1, -1, -1};
	struct podstore_key parts;
	struct attachment *old = NULL;
	struct stage s = {.n = 0};
	int r = key_of(a, &key, &parts, err);

	if (r == 0 && !text_is_ifname(a->port))
		r = err_set(err, EINVAL, "attachment %s: \"%s\" is not an interface", TEXT(key), TEXT(a->port));
	if (r == 0)
		r = places_open(&p, parts.network, a->bridge[0], err);
	if (r < 0)
		return r;
	podstore_read_file(p.pods, parts.file, key, &old, NULL);
	r = stage_all(&s, a, &p, parts.file, err);
	if (r == 0)
		r = stage_commit(&s, err);
	if (r < 0) {
		stage_abort(&s);
	} else {
		unlinkat(p.closing, parts.file, 0);
		if (old)
			drop_replaced(old, a);
	}
	attachment_free(old);
	return r;
}

static bool exists(int dir, const char *name)
{
	struct stat st;

	return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int podstore_rewrite(const struct attachment *a, struct err *err)
{
	static const char *const places[] = {"pods", "closing"};
	CLEAN_FREE char *key = NULL;
	struct podstore_key parts;
	int r = key_of(a, &key, &parts, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(places); i++) {
		CLEAN_CLOSE int dir = podstore_open_network(places[i], parts.network, false, err);
		struct stage s = {.n = 0};

		if (!exists(dir, parts.file))
			continue;
		r = stage_file(&s, dir, parts.file, a, err);
		if (r == 0)
			r = stage_commit(&s, err);
		if (r < 0)
			stage_abort(&s);
		return r;
	}
	return r < 0 ? r : err_set(err, ENOENT, "no state of %s", TEXT(key));
}

int podstore_get(const char *key, struct attachment **ret, struct err *err)
{
	static const char *const places[] = {"pods", "closing"};
	struct podstore_key parts;

	if (!podstore_key_parse(key, &parts))
		return err_set(err, EINVAL, "\"%s\" is not the key of an attachment", TEXT(key));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		CLEAN_CLOSE int dir = podstore_open_network(places[i], parts.network, false, err);
		int r = dir;

		if (dir >= 0)
			r = podstore_read_file(dir, parts.file, key, ret, err);
		if (r >= 0)
			(*ret)->closing = i == 1;
		if (r != -ENOENT)
			return r < 0 ? r : 0;
	}
	return err_set(err, ENOENT, "no state of %s", TEXT(key));
}

int podstore_mark_closing(const struct attachment *a, struct err *err)
{
	CLEAN_FREE char *key = NULL;
	CLEAN_CLOSE int pods = -1, closing = -1;
	struct podstore_key parts;
	int r = key_of(a, &key, &parts, err);

	if (r < 0)
		return r;
	if ((pods = podstore_open_network("pods", parts.network, false, err)) < 0)
		return pods;
	if ((closing = podstore_open_network("closing", parts.network, true, err)) < 0)
		return closing;
	if (renameat(pods, parts.file, closing, parts.file) < 0) {
		if (errno != ENOENT)
			return err_errno(err, errno, "pod store: cannot mark %s as closing", TEXT(key));
		if (!exists(closing, parts.file))
			return err_set(err, ENOENT, "no state of %s", TEXT(key));
	}
	podstore_index_drop(a);
	return 0;
}

static int unlink_in(const char *place, const struct podstore_key *key, struct err *err)
{
	CLEAN_CLOSE int dir = podstore_open_network(place, key->network, false, err);

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	if (unlinkat(dir, key->file, 0) < 0 && errno != ENOENT)
		return err_errno(err, errno, "pod store: cannot remove %s/%s/%s", place, TEXT(key->network), TEXT(key->file));
	return 0;
}

int podstore_remove(const struct attachment *a, struct err *err)
{
	CLEAN_FREE char *key = NULL;
	struct podstore_key parts;
	int r = key_of(a, &key, &parts, err);

	if (r < 0)
		return r;
	podstore_index_drop(a);
	r = unlink_in("pods", &parts, err);
	return r < 0 ? r : unlink_in("closing", &parts, err);
}

/* ---- walking ---- */

struct walk {
	const char *place;   /* "pods" or "closing" */
	const char *network; /* NULL: all */
	podstore_fn fn;
	podstore_err_fn err_fn;
	void *arg;
};

static void remove_stale_temp(int dir, const char *name)
{
	struct stat st;

	if (!strncmp(name, PODSTORE_TEMP_PREFIX, strlen(PODSTORE_TEMP_PREFIX)) &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - st.st_mtime > TEMP_STALE_SECONDS)
		unlinkat(dir, name, 0);
}

static void walk_file(const struct walk *w, int dir, const char *network, const char *file)
{
	CLEAN_FREE char *key = mem_printf("%s/%s", network, file);
	struct podstore_key parts;
	struct attachment *a = NULL;
	struct err err;
	int r;

	if (file[0] == '.') {
		remove_stale_temp(dir, file);
		return;
	}
	if (podstore_key_parse(key, &parts))
		r = podstore_read_file(dir, file, key, &a, &err);
	else
		r = err_set(&err, EBADMSG, "\"%s\" is not the key of an attachment", TEXT(key));
	if (r == 0) {
		a->closing = !strcmp(w->place, "closing");
		w->fn(a, w->arg);
	} else if (r != -ENOENT && w->err_fn) { /* gone since readdir: not there */
		w->err_fn(key, &err, w->arg);
	}
	attachment_free(a);
}

/* Lists a directory descriptor, which it takes; what is gone is empty. */
static int list(int fd, DIR **ret, struct err *err)
{
	*ret = NULL;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	*ret = fdopendir(fd);
	if (!*ret) {
		close(fd);
		return err_errno(err, ENOMEM, "pod store %s: cannot list", TEXT(podstore_dir()));
	}
	return 0;
}

static int walk_network(const struct walk *w, const char *network, struct err *err)
{
	struct dirent *entry;
	DIR *dir;
	int r = list(podstore_open_network(w->place, network, false, err), &dir, err);

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			walk_file(w, dirfd(dir), network, entry->d_name);
	if (dir)
		closedir(dir);
	return r;
}

static int walk_place(const struct walk *w, struct err *err)
{
	struct dirent *entry;
	DIR *dir;
	int r;

	if (w->network)
		return walk_network(w, w->network, err);
	r = list(podstore_open_dir(w->place, err), &dir, err);
	while (r == 0 && dir && (entry = readdir(dir))) {
		struct err ignored;

		/* a stranger's file among the networks is no reason to see none of them */
		if (entry->d_name[0] == '.')
			remove_stale_temp(dirfd(dir), entry->d_name);
		else if (walk_network(w, entry->d_name, &ignored) < 0 && w->err_fn)
			w->err_fn(entry->d_name, &ignored, w->arg);
	}
	if (dir)
		closedir(dir);
	return r;
}

static void sweep_index(const char *index)
{
	struct dirent *entry;
	DIR *dir;

	list(podstore_open_dir(index, NULL), &dir, NULL);
	while (dir && (entry = readdir(dir)))
		remove_stale_temp(dirfd(dir), entry->d_name);
	if (dir)
		closedir(dir);
}

int podstore_each(const char *network, podstore_fn fn, podstore_err_fn err_fn, void *arg, struct err *err)
{
	struct walk w = {"pods", network, fn, err_fn, arg};
	int r;

	if (network && !text_is_cni_name(network, PODSTORE_NETWORK_MAX))
		return err_set(err, EINVAL, "\"%s\" is not the name of a network", TEXT(network));
	sweep_index("addrs");
	sweep_index("ports");
	sweep_index("macs");
	r = walk_place(&w, err);
	w.place = "closing";
	return r < 0 ? r : walk_place(&w, err);
}

int podstore_each_closing(podstore_fn fn, podstore_err_fn err_fn, void *arg, struct err *err)
{
	const struct walk w = {"closing", NULL, fn, err_fn, arg};

	return walk_place(&w, err);
}

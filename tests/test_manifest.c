/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest source in a directory of its own, seen from where its objects go: which ports the policies that are in force
 * open on one pod. Policy "a", with port 80, allows tcp/80 to pod db from everyone.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "moat/clock.h"
#include "policyd/source/manifest.h"
#include "tests/build.h"

static char top[32]; /* of the test: `m` below it is the source's directory, the rest is elsewhere */
static char *directory;
static struct cluster *c;
static struct manifest_source s;

static char *path_of(const char *name)
{
	return mem_printf("%s/%s", top, name);
}

/* In place, as an editor that truncates and writes. */
static void put_bytes(const char *name, const char *text, size_t len)
{
	CLEAN_FREE char *path = path_of(name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static void move(const char *from, const char *to)
{
	CLEAN_FREE char *a = path_of(from), *b = path_of(to);

	ck_assert_int_eq(rename(a, b), 0);
}

static void drop(const char *name)
{
	CLEAN_FREE char *path = path_of(name);

	ck_assert_int_eq(unlink(path), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static char *policy(const char *name, unsigned port)
{
	return mem_printf("---\n"
			  "apiVersion: networking.k8s.io/v1\n"
			  "kind: NetworkPolicy\n"
			  "metadata: { name: %s, namespace: default }\n"
			  "spec:\n"
			  "  podSelector: { matchLabels: { role: db } }\n"
			  "  ingress: [ { ports: [ { port: %u } ] } ]\n",
			  name, port);
}

static void put_policy(const char *file, const char *name, unsigned port)
{
	CLEAN_FREE char *text = policy(name, port);

	put(file, text);
}

static void put_two(const char *file, const char *name1, unsigned port1, const char *name2, unsigned port2)
{
	CLEAN_FREE char *one = policy(name1, port1), *two = policy(name2, port2), *both = mem_printf("%s%s", one, two);

	put(file, both);
}

static bool allows(unsigned port)
{
	const struct addr peer = build_addr("192.0.2.1");
	struct local_pod_list changed;

	cluster_compile(c, &changed);
	free(changed.v);
	return profile_allows(build_local(c, "db")->profile[INGRESS], &peer, IPPROTO_TCP, (uint16_t)port);
}

static struct manifest_file *file(const char *name)
{
	struct manifest_file *f;

	HASH_FIND_STR(s.files, name, f);
	return f;
}

static const char *error_of(const char *name)
{
	struct manifest_file *f = file(name);

	return f && f->errors.n ? f->errors.v[0] : "";
}

static void start(void)
{
	struct err err;

	ck_assert_int_eq(manifest_init(&s, directory, c, &err), 0);
	manifest_scan(&s);
}

static void setup(void)
{
	struct attachment *a = build_attachment("db", "default", "db", "10.0.0.1");

	strcpy(top, "/tmp/moat-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	directory = path_of("m");
	mkdir(directory, 0700);
	c = cluster_new();
	cluster_upsert(c, build_namespace("default", NULL));
	cluster_upsert(c, build_pod("default", "db", "role=db", NULL, NULL));
	cluster_attach(c, a);
	attachment_free(a);
}

static void teardown(void)
{
	manifest_done(&s);
	cluster_free(c);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(directory);
}

START_TEST(files_that_are_there_at_start_are_read)
{
	put_policy("m/a.yaml", "a", 80);
	put_policy("m/b.yml", "b", 81);
	put("m/c.json", "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"c\",\"namespace\":"
			"\"default\"},\"spec\":{\"podSelector\":{},\"ingress\":[{\"ports\":[{\"port\":82}]}]}}");
	put_policy("m/d.yaml.bak", "d", 83);
	put_policy("m/.e.yaml", "e", 84);
	start();
	ck_assert(s.synced);
	ck_assert(allows(80) && allows(81) && allows(82));
	ck_assert(!allows(83) && !allows(84));
	ck_assert_uint_eq(manifest_count_objects(&s), 3);
	ck_assert(!manifest_read_events(&s));
}
END_TEST

START_TEST(file_written_in_place_is_followed)
{
	start();
	put_policy("m/a.yaml", "a", 80);
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(80));
	put_policy("m/a.yaml", "a", 81);
	ck_assert(manifest_read_events(&s));
	ck_assert(!allows(80) && allows(81));
}
END_TEST

START_TEST(file_renamed_in_or_out_is_followed)
{
	start();
	put_policy("a.tmp", "a", 80);
	move("a.tmp", "m/a.yaml");
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(80));
	put_policy("a.tmp", "a", 81);
	move("a.tmp", "m/a.yaml");
	ck_assert(manifest_read_events(&s));
	ck_assert(!allows(80) && allows(81));
	move("m/a.yaml", "a.tmp");
	ck_assert(manifest_read_events(&s));
	ck_assert(!allows(81));
	ck_assert_uint_eq(manifest_count_objects(&s), 0);
	ck_assert_ptr_null(s.files);
}
END_TEST

START_TEST(file_hidden_by_its_new_name_is_gone)
{
	put_policy("m/a.yaml", "a", 80);
	start();
	move("m/a.yaml", "m/a.yaml.off");
	ck_assert(manifest_read_events(&s));
	ck_assert(!allows(80));
}
END_TEST

START_TEST(removed_file_takes_its_objects_away)
{
	put_two("m/a.yaml", "a", 80, "b", 81);
	put_policy("m/c.yaml", "c", 82);
	start();
	ck_assert(allows(80) && allows(81) && allows(82));
	drop("m/a.yaml");
	ck_assert(manifest_read_events(&s));
	ck_assert(!allows(80) && !allows(81) && allows(82));
}
END_TEST

START_TEST(document_taken_out_of_a_file_is_gone_and_the_rest_stays)
{
	put_two("m/a.yaml", "a", 80, "b", 81);
	start();
	put_policy("m/a.yaml", "b", 81);
	manifest_read_events(&s);
	ck_assert(!allows(80) && allows(81));
}
END_TEST

START_TEST(burst_ends_with_what_is_there_at_its_end)
{
	start();
	for (unsigned i = 0; i < 100; i++) {
		put_policy("m/a.yaml", "a", 1000 + i);
		put_policy("m/b.yaml", "b", 2000 + i);
	}
	drop("m/b.yaml");
	put_policy("m/c.yaml", "c", 90);
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(1099) && !allows(1098) && !allows(2099) && allows(90));
	ck_assert_uint_eq(manifest_count_objects(&s), 2);
}
END_TEST

START_TEST(renamed_file_keeps_its_objects)
{
	uint64_t before;

	put_policy("m/a.yaml", "a", 80);
	start();
	ck_assert(allows(80));
	move("m/a.yaml", "m/b.yaml");
	before = cluster_evaluations(c);
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(80));
	ck_assert_uint_eq(manifest_count_objects(&s), 1);
	ck_assert_ptr_null(file("a.yaml"));
	ck_assert_str_eq(error_of("b.yaml"), "");
	ck_assert_uint_le(cluster_evaluations(c) - before, 4);
	drop("m/b.yaml");
	manifest_read_events(&s);
	ck_assert(!allows(80));
}
END_TEST

START_TEST(files_that_swap_names_swap_nothing_else)
{
	put_policy("m/a.yaml", "a", 80);
	put_policy("m/b.yaml", "b", 81);
	start();
	move("m/a.yaml", "m/x.yaml");
	move("m/b.yaml", "m/a.yaml");
	move("m/x.yaml", "m/b.yaml");
	manifest_read_events(&s);
	ck_assert(allows(80) && allows(81));
	ck_assert_str_eq(error_of("a.yaml"), "");
	ck_assert_str_eq(error_of("b.yaml"), "");
	drop("m/b.yaml");
	manifest_read_events(&s);
	ck_assert(!allows(80) && allows(81));
}
END_TEST

/* To a file that sorts before and to one that sorts behind, written before and after the old one. */
START_TEST(object_moved_to_another_file_in_one_batch_stays_one)
{
	static const char *const targets[] = {"m/a.yaml", "m/z.yaml"};
	const char *target = targets[_i / 2], *name = target + 2;

	put_two("m/k.yaml", "a", 80, "b", 81);
	put_policy(target, "c", 82);
	start();
	if (_i % 2)
		put_two(target, "c", 82, "a", 80);
	put_policy("m/k.yaml", "b", 81);
	if (!(_i % 2))
		put_two(target, "c", 82, "a", 80);
	manifest_read_events(&s);
	ck_assert(allows(80) && allows(81) && allows(82));
	ck_assert_uint_eq(manifest_count_objects(&s), 3);
	ck_assert_str_eq(error_of("k.yaml"), "");
	ck_assert_str_eq(error_of(name), "");
	drop("m/k.yaml");
	manifest_read_events(&s);
	ck_assert(allows(80) && !allows(81) && allows(82));
}
END_TEST

START_TEST(object_of_two_files_is_the_first_ones_until_that_lets_it_go)
{
	put_policy("m/b.yaml", "a", 80);
	start();
	put_policy("m/a.yaml", "a", 81); /* sorts first, came second */
	manifest_read_events(&s);
	ck_assert(allows(80) && !allows(81));
	ck_assert_ptr_nonnull(strstr(error_of("a.yaml"), "NetworkPolicy/default/a is in b.yaml too"));
	ck_assert_uint_eq(manifest_count_objects(&s), 1);
	put_policy("m/b.yaml", "a", 82); /* the holder's changes count, */
	manifest_read_events(&s);
	ck_assert(allows(82) && !allows(81));
	put_policy("m/a.yaml", "a", 83); /* the other's wait */
	manifest_read_events(&s);
	ck_assert(allows(82) && !allows(83));
	drop("m/b.yaml");
	manifest_read_events(&s);
	ck_assert(!allows(82) && allows(83));
	ck_assert_uint_eq(manifest_count_objects(&s), 1);
	drop("m/a.yaml");
	manifest_read_events(&s);
	ck_assert(!allows(83));
	ck_assert_uint_eq(manifest_count_objects(&s), 0);
}
END_TEST

START_TEST(error_of_a_doubled_object_ends_with_the_double)
{
	put_policy("m/b.yaml", "a", 80);
	put_policy("m/c.yaml", "a", 81);
	start();
	ck_assert_str_ne(error_of("c.yaml"), "");
	drop("m/b.yaml");
	manifest_read_events(&s);
	ck_assert(allows(81));
	ck_assert_str_eq(error_of("c.yaml"), "");
}
END_TEST

START_TEST(object_twice_in_one_file_counts_once_and_is_told)
{
	put_two("m/a.yaml", "a", 80, "a", 81);
	start();
	ck_assert(allows(80) && !allows(81));
	ck_assert_ptr_nonnull(strstr(error_of("a.yaml"), "NetworkPolicy/default/a is twice in this file"));
	ck_assert_uint_eq(manifest_count_objects(&s), 1);
	put_policy("m/a.yaml", "a", 81);
	manifest_read_events(&s);
	ck_assert(!allows(80) && allows(81));
	ck_assert_str_eq(error_of("a.yaml"), "");
}
END_TEST

START_TEST(broken_file_keeps_its_last_good_version_and_says_the_line)
{
	put_two("m/a.yaml", "a", 80, "b", 81);
	start();
	put_two("m/a.yaml", "a", 80, "b", 70000);
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(80) && allows(81));
	ck_assert_ptr_nonnull(strstr(error_of("a.yaml"), "line 14"));
	ck_assert(file("a.yaml")->stale);
	put("m/a.yaml", "kind: [\n");
	manifest_read_events(&s);
	ck_assert(allows(80) && allows(81));
	ck_assert_ptr_nonnull(strstr(error_of("a.yaml"), "line "));
	put_policy("m/a.yaml", "a", 82);
	manifest_read_events(&s);
	ck_assert(!allows(80) && !allows(81) && allows(82));
	ck_assert_str_eq(error_of("a.yaml"), "");
	ck_assert(!file("a.yaml")->stale);
}
END_TEST

/* The pod is selected by a policy that is good and by one that is not: what the good one allows stays allowed. */
START_TEST(broken_first_version_closes)
{
	struct attachment *a = build_attachment("db", "default", "db", "10.0.0.1");

	a->mode = MODE_STANDARD;
	cluster_attach(c, a);
	attachment_free(a);
	start();
	ck_assert(allows(80)); /* nothing selects it */
	put_policy("m/a.yaml", "a", 70000);
	manifest_read_events(&s);
	ck_assert(!allows(80));
	ck_assert(!file("a.yaml")->stale && !file("a.yaml")->lost);
	put_policy("m/a.yaml", "a", 80);
	manifest_read_events(&s);
	ck_assert(allows(80) && !allows(81));
	drop("m/a.yaml");
	manifest_read_events(&s);
	ck_assert(allows(81));
}
END_TEST

START_TEST(unreadable_first_version_opens_no_unselected_pod)
{
	struct attachment *a = build_attachment("db", "default", "db", "10.0.0.1");

	a->mode = MODE_STANDARD;
	cluster_attach(c, a);
	attachment_free(a);
	put("m/a.yaml", "kind: [\n");
	start();
	ck_assert(!allows(80));
	drop("m/a.yaml");
	manifest_read_events(&s);
	ck_assert(allows(80));
}
END_TEST

/* A writer that truncates, waits and then writes nonsense: the empty file in between was no version. */
START_TEST(empty_file_is_no_good_version_to_fall_back_on)
{
	struct attachment *a = build_attachment("db", "default", "db", "10.0.0.1");

	a->mode = MODE_STANDARD;
	cluster_attach(c, a);
	attachment_free(a);
	start();
	put("m/a.yaml", "");
	manifest_read_events(&s);
	ck_assert(allows(80));
	put_policy("m/a.yaml", "a", 70000);
	manifest_read_events(&s);
	ck_assert(!allows(80));
}
END_TEST

static void remove_directory(void)
{
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

START_TEST(removed_directory_drops_nothing_and_comes_back)
{
	put_policy("m/a.yaml", "a", 80);
	put_policy("m/b.yaml", "b", 81);
	start();
	remove_directory();
	manifest_read_events(&s);
	ck_assert(allows(80) && allows(81));
	ck_assert_str_ne(s.missing, "");
	ck_assert_int_eq(s.watch, -1);
	ck_assert(!manifest_scan(&s));
	ck_assert(allows(80) && allows(81));
	mkdir(directory, 0700);
	put_policy("m/a.yaml", "a", 82);
	ck_assert(manifest_scan(&s));
	ck_assert_str_eq(s.missing, "");
	ck_assert(allows(82) && !allows(80) && !allows(81));
	put_policy("m/c.yaml", "c", 83); /* and it is watched again */
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(83));
}
END_TEST

START_TEST(directory_renamed_away_drops_nothing)
{
	put_policy("m/a.yaml", "a", 80);
	start();
	move("m", "n");
	manifest_read_events(&s);
	ck_assert(allows(80));
	put_policy("n/b.yaml", "b", 81); /* what happens there is not ours */
	manifest_read_events(&s);
	ck_assert(!allows(81));
	move("n", "m");
	ck_assert(manifest_scan(&s));
	ck_assert(allows(80) && allows(81));
}
END_TEST

START_TEST(directory_replaced_in_one_burst_is_read_anew)
{
	CLEAN_FREE char *other = path_of("n");

	put_policy("m/a.yaml", "a", 80);
	start();
	mkdir(other, 0700);
	put_policy("n/b.yaml", "b", 81);
	move("m", "old");
	move("n", "m");
	ck_assert(manifest_read_events(&s));
	ck_assert(!allows(80) && allows(81));
	put_policy("m/c.yaml", "c", 82);
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(82));
}
END_TEST

START_TEST(directory_missing_at_start_is_not_synced)
{
	remove_directory();
	start();
	ck_assert(!s.synced);
	ck_assert_str_ne(s.missing, "");
	mkdir(directory, 0700);
	ck_assert(manifest_scan(&s));
	ck_assert(s.synced);
}
END_TEST

static unsigned queue_limit(void)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	unsigned limit = 0;

	if (!f || fscanf(f, "%u", &limit) != 1)
		limit = 0;
	if (f)
		fclose(f);
	return limit;
}

/* Each renaming is two events, and no two of them are equal neighbours, which the kernel would merge. */
START_TEST(overflown_queue_leads_to_a_full_read)
{
	unsigned limit = queue_limit();

	if (!limit || limit > 200000) {
		fprintf(stderr, "manifest: overflow not tested: max_queued_events is %u\n", limit);
		return;
	}
	put_policy("m/a.yaml", "a", 80);
	put_policy("m/b.yaml", "b", 81);
	put("m/x.txt", "");
	start();
	for (unsigned i = 0; i < limit / 2 + 8; i++) {
		move(i % 2 ? "m/y.txt" : "m/x.txt", i % 2 ? "m/x.txt" : "m/y.txt");
		if (i == limit / 2 + 1) { /* the kernel has no room left to tell this */
			drop("m/a.yaml");
			put_policy("m/b.yaml", "b", 82);
			put_policy("m/c.yaml", "c", 83);
		}
	}
	ck_assert(manifest_read_events(&s));
	ck_assert(!allows(80) && !allows(81) && allows(82) && allows(83));
}
END_TEST

START_TEST(file_too_large_is_told_and_keeps_the_last_good_version)
{
	CLEAN_FREE char *text = mem_alloc(DOC_FILE_BYTES_MAX + 1);

	memset(text, '#', DOC_FILE_BYTES_MAX + 1);
	put_policy("m/a.yaml", "a", 80);
	start();
	put_bytes("m/a.yaml", text, DOC_FILE_BYTES_MAX + 1);
	manifest_read_events(&s);
	ck_assert(allows(80));
	ck_assert_ptr_nonnull(strstr(error_of("a.yaml"), "split it"));
}
END_TEST

START_TEST(fifo_and_directory_are_told_and_hang_nothing)
{
	CLEAN_FREE char *fifo = path_of("m/a.yaml"), *dir = path_of("m/b.yaml");

	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	put_policy("m/c.yaml", "c", 80);
	start();
	ck_assert_ptr_nonnull(strstr(error_of("a.yaml"), "not a regular file"));
	ck_assert_ptr_nonnull(strstr(error_of("b.yaml"), "not a regular file"));
	ck_assert(allows(80));
}
END_TEST

START_TEST(links_are_followed)
{
	CLEAN_FREE char *link_path = path_of("m/a.yaml"), *hard_path = path_of("m/b.yaml"), *target = path_of("b.yaml");

	start();
	put_policy("a.yaml", "a", 80);
	ck_assert_int_eq(symlink("../a.yaml", link_path), 0);
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(80));
	put_policy("b.yaml", "b", 81);
	ck_assert_int_eq(link(target, hard_path), 0);
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(81));
	drop("m/a.yaml");
	manifest_read_events(&s);
	ck_assert(!allows(80));
}
END_TEST

/* The kubelet's atomic writer: a.yaml → ..data/a.yaml, ..data → ..1; a new version is a renamed link. */
START_TEST(swap_of_a_mounted_configmap_is_followed)
{
	static const char *const dirs[] = {"m/..1", "m/..2"};
	CLEAN_FREE char *data = path_of("m/..data"), *next = path_of("m/..tmp"), *a = path_of("m/a.yaml");

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		CLEAN_FREE char *dir = path_of(dirs[i]);

		mkdir(dir, 0700);
	}
	put_policy("m/..1/a.yaml", "a", 80);
	put_policy("m/..2/a.yaml", "a", 81);
	ck_assert_int_eq(symlink("..1", data), 0);
	ck_assert_int_eq(symlink("..data/a.yaml", a), 0);
	start();
	ck_assert(allows(80));
	ck_assert_int_eq(symlink("..2", next), 0);
	ck_assert_int_eq(rename(next, data), 0);
	ck_assert(manifest_read_events(&s));
	ck_assert(!allows(80) && allows(81));
}
END_TEST

START_TEST(file_being_written_is_read_when_it_is_closed)
{
	CLEAN_FREE char *path = path_of("m/a.yaml"), *text = policy("a", 80);
	FILE *f;

	start();
	f = fopen(path, "w");
	fwrite(text, 1, 20, f);
	fflush(f);
	ck_assert(!manifest_read_events(&s));
	fputs(text + 20, f);
	fclose(f);
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(80));
	ck_assert_str_eq(error_of("a.yaml"), "");
}
END_TEST

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* 0.2 s on the slowest machine it was tried on, 2 s with sanitizers; a scan that is quadratic takes minutes. */
START_TEST(three_thousand_files_are_read_in_seconds)
{
	double began;

	for (unsigned i = 0; i < 3000; i++) {
		CLEAN_FREE char *name = mem_printf("m/p%04u.yaml", i), *object = mem_printf("p%u", i);
		CLEAN_FREE char *pod = mem_printf("apiVersion: v1\nkind: Pod\nmetadata: { name: p%u }\n", i);

		if (i % 3)
			put(name, pod);
		else
			put_policy(name, object, 1000 + i);
	}
	began = seconds();
	start();
	printf("manifest: 3,000 files read in %.3f s\n", seconds() - began);
	ck_assert_uint_eq(manifest_count_objects(&s), 3000);
	ck_assert_double_lt(seconds() - began, 15);
	ck_assert(allows(1000) && allows(3997) && !allows(4000));
	began = seconds();
	put_policy("m/p1500.yaml", "p1500", 5000);
	manifest_read_events(&s);
	drop("m/p1503.yaml");
	manifest_read_events(&s);
	printf("manifest: one changed and one removed of 3,000 in %.3f ms\n", (seconds() - began) * 1e3);
	ck_assert(allows(5000) && !allows(2500) && !allows(2503) && allows(2506));
}
END_TEST

/* The namespace default owes an hour: its files wait, those of others and of nobody do not, and no event is lost. */
START_TEST(file_of_a_namespace_that_owes_waits_and_is_read_once)
{
	struct turns turns;

	turns_init(&turns);
	put_policy("m/a.yaml", "a", 80);
	start();
	s.turns = &turns;
	turns_charge(&turns, "default", UINT64_C(360) * 1000000, clock_monotonic_us());
	for (unsigned i = 0; i < 5; i++)
		put_policy("m/a.yaml", "a", 81 + i);
	put("m/other.yaml", "apiVersion: v1\nkind: Pod\nmetadata: { name: x, namespace: other }\n");
	put_policy("m/new.yaml", "new", 90); /* nobody has read it, so nobody knows whose it is */
	manifest_read_events(&s);
	ck_assert(allows(80) && !allows(85) && allows(90));
	ck_assert_uint_eq(manifest_count_objects(&s), 3);
	ck_assert_uint_eq(manifest_count_waiting(&s), 1);
	ck_assert_uint_gt(s.next_us, clock_monotonic_us());
	ck_assert(!manifest_read_events(&s));
	move("m/a.yaml", "m/b.yaml"); /* the object stays what it was until its turn */
	manifest_read_events(&s);
	ck_assert(allows(80));
	turns_done(&turns);
	turns_init(&turns); /* paid back */
	ck_assert(manifest_read_events(&s));
	ck_assert(allows(85) && !allows(80));
	ck_assert_uint_eq(manifest_count_waiting(&s), 0);
	ck_assert_uint_eq(s.next_us, 0);
	ck_assert_str_eq(error_of("b.yaml"), "");
	turns_charge(&turns, "default", UINT64_C(360) * 1000000, clock_monotonic_us());
	put_policy("m/b.yaml", "a", 86);
	manifest_read_events(&s);
	ck_assert_uint_eq(manifest_count_waiting(&s), 1);
	manifest_scan(&s); /* reads the directory whole: nothing is left to wait */
	ck_assert(allows(86));
	ck_assert_uint_eq(manifest_count_waiting(&s), 0);
	turns_done(&turns);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("manifest");
	Suite *suite = suite_create("manifest");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, files_that_are_there_at_start_are_read);
	tcase_add_test(t, file_written_in_place_is_followed);
	tcase_add_test(t, file_renamed_in_or_out_is_followed);
	tcase_add_test(t, file_hidden_by_its_new_name_is_gone);
	tcase_add_test(t, removed_file_takes_its_objects_away);
	tcase_add_test(t, document_taken_out_of_a_file_is_gone_and_the_rest_stays);
	tcase_add_test(t, burst_ends_with_what_is_there_at_its_end);
	tcase_add_test(t, renamed_file_keeps_its_objects);
	tcase_add_test(t, files_that_swap_names_swap_nothing_else);
	tcase_add_loop_test(t, object_moved_to_another_file_in_one_batch_stays_one, 0, 4);
	tcase_add_test(t, object_of_two_files_is_the_first_ones_until_that_lets_it_go);
	tcase_add_test(t, error_of_a_doubled_object_ends_with_the_double);
	tcase_add_test(t, object_twice_in_one_file_counts_once_and_is_told);
	tcase_add_test(t, broken_file_keeps_its_last_good_version_and_says_the_line);
	tcase_add_test(t, broken_first_version_closes);
	tcase_add_test(t, unreadable_first_version_opens_no_unselected_pod);
	tcase_add_test(t, empty_file_is_no_good_version_to_fall_back_on);
	tcase_add_test(t, removed_directory_drops_nothing_and_comes_back);
	tcase_add_test(t, directory_renamed_away_drops_nothing);
	tcase_add_test(t, directory_replaced_in_one_burst_is_read_anew);
	tcase_add_test(t, directory_missing_at_start_is_not_synced);
	tcase_add_test(t, overflown_queue_leads_to_a_full_read);
	tcase_add_test(t, file_too_large_is_told_and_keeps_the_last_good_version);
	tcase_add_test(t, fifo_and_directory_are_told_and_hang_nothing);
	tcase_add_test(t, links_are_followed);
	tcase_add_test(t, swap_of_a_mounted_configmap_is_followed);
	tcase_add_test(t, file_being_written_is_read_when_it_is_closed);
	tcase_add_test(t, file_of_a_namespace_that_owes_waits_and_is_read_once);
	tcase_add_test(t, three_thousand_files_are_read_in_seconds);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

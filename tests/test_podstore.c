/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "moat/podstore.h"
#include "tests/rundir.h"

#define STATE "pods/net/a:eth0"

static struct err err;

static void setup(void)
{
	rundir_make();
	ck_assert_int_eq(podstore_init(&err), 0);
}

static void put(const char *id, const char *port, const char *address)
{
	struct attachment *a = rundir_attachment(id, port, address);

	ck_assert_msg(podstore_put(a, &err) == 0, "%s", err.text);
	attachment_free(a);
}

static void ck_owner_of_addr(const char *address, const char *expected)
{
	struct addr addr;
	CLEAN_FREE char *owner = NULL;

	ck_assert_int_eq(addr_parse(address, &addr, NULL), 0);
	owner = podstore_owner_of_addr(&addr);
	ck_assert_pstr_eq(owner, expected);
}

static void ck_owner_of_port(const char *port, const char *expected)
{
	CLEAN_FREE char *owner = podstore_owner_of_port(port);

	ck_assert_pstr_eq(owner, expected);
}

/* Reading net/a:eth0 fails as unreadable, names it and gives the reason. */
static void ck_unreadable(const char *reason)
{
	struct attachment *a = NULL;

	ck_assert_int_eq(podstore_get("net/a:eth0", &a, &err), -EBADMSG);
	ck_assert_ptr_null(a);
	ck_assert_ptr_nonnull(strstr(err.text, "net/a:eth0"));
	ck_assert_msg(strstr(err.text, reason), "\"%s\" does not say \"%s\"", err.text, reason);
}

START_TEST(what_was_put_is_read_back_whole)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11"), *b = NULL;

	a->pod_namespace = mem_strdup("shop");
	a->pod_name = mem_strdup("web-0.x");
	a->pod_uid = mem_strdup("6f5902ac-237a-4f53-9d54-8f6a2a1f9c02");
	a->mode = MODE_PREVIEW;
	a->deny = DENY_REJECT;
	a->port_index = UINT32_MAX;
	a->created = UINT64_MAX;
	a->tunnel_ports = (struct tunnel_ports){.port = {1, 65535}, .n = 2};
	ck_assert_int_eq(addr_parse("2001:db8::11", &a->addrs[a->n_addrs++], NULL), 0);
	ck_assert_int_eq(podstore_put(a, &err), 0);
	ck_assert_int_eq(podstore_get("net/a:eth0", &b, &err), 0);
	ck_assert_str_eq(b->network, "net");
	ck_assert_str_eq(b->container_id, "a");
	ck_assert_str_eq(b->ifname, "eth0");
	ck_assert_str_eq(b->pod_namespace, "shop");
	ck_assert_str_eq(b->pod_name, "web-0.x");
	ck_assert_str_eq(b->pod_uid, a->pod_uid);
	ck_assert_str_eq(b->port, "veth1");
	ck_assert_uint_eq(b->port_index, UINT32_MAX);
	ck_assert_uint_eq(b->peer_index, 2);
	ck_assert_uint_eq(b->n_addrs, 2);
	ck_assert(addr_equal(&b->addrs[1], &a->addrs[1]));
	ck_assert_int_eq(b->mode, MODE_PREVIEW);
	ck_assert_int_eq(b->deny, DENY_REJECT);
	ck_assert(b->created == UINT64_MAX);
	ck_assert_uint_eq(b->tunnel_ports.n, 2);
	ck_assert_uint_eq(b->tunnel_ports.port[1], 65535);
	ck_assert(!b->closing);
	attachment_free(a);
	attachment_free(b);
}
END_TEST

START_TEST(who_was_adopted_is_remembered)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11"), *b = NULL;

	for (int adoption = ADOPTION_NONE; adoption <= ADOPTION_ENFORCED; adoption++) {
		a->adoption = (enum adoption)adoption;
		ck_assert_int_eq(podstore_put(a, &err), 0);
		ck_assert_int_eq(podstore_get("net/a:eth0", &b, &err), 0);
		ck_assert_int_eq(b->adoption, adoption);
		attachment_free(b);
	}
	attachment_free(a);
}
END_TEST

START_TEST(an_attachment_without_kubernetes_has_no_namespace)
{
	struct attachment *a = NULL;

	put("a", "veth1", "10.1.0.11");
	ck_assert_int_eq(podstore_get("net/a:eth0", &a, &err), 0);
	ck_assert_ptr_null(a->pod_namespace);
	ck_assert_ptr_null(a->pod_uid);
	attachment_free(a);
}
END_TEST

START_TEST(the_newest_owner_has_the_address_and_the_port)
{
	put("a", "veth1", "10.1.0.11");
	put("b", "veth1", "10.1.0.11");
	ck_owner_of_addr("10.1.0.11", "net/b:eth0");
	ck_owner_of_port("veth1", "net/b:eth0");
	ck_owner_of_addr("10.1.0.12", NULL);
	ck_owner_of_port("../lock", NULL);
}
END_TEST

START_TEST(an_old_owner_takes_nothing_of_the_new_one_with_it)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11");

	put("a", "veth1", "10.1.0.11");
	put("b", "veth1", "10.1.0.11");
	ck_assert_int_eq(podstore_mark_closing(a, &err), 0);
	ck_owner_of_addr("10.1.0.11", "net/b:eth0");
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	ck_owner_of_port("veth1", "net/b:eth0");
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	attachment_free(a);
}
END_TEST

START_TEST(an_attachment_put_again_gives_up_what_it_no_longer_has)
{
	put("a", "veth1", "10.1.0.11");
	put("a", "veth2", "10.1.0.12");
	ck_owner_of_addr("10.1.0.11", NULL);
	ck_owner_of_port("veth1", NULL);
	ck_owner_of_addr("10.1.0.12", "net/a:eth0");
	ck_owner_of_port("veth2", "net/a:eth0");
}
END_TEST

START_TEST(closing_is_remembered_until_it_is_removed_or_put_again)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11"), *b = NULL;

	ck_assert_int_eq(podstore_mark_closing(a, &err), -ENOENT);
	put("a", "veth1", "10.1.0.11");
	ck_assert_int_eq(podstore_mark_closing(a, &err), 0);
	ck_assert_int_eq(podstore_mark_closing(a, &err), 0);
	ck_owner_of_addr("10.1.0.11", NULL);
	ck_owner_of_port("veth1", NULL);
	ck_assert_int_eq(podstore_get("net/a:eth0", &b, &err), 0);
	ck_assert(b->closing);
	attachment_free(b);
	put("a", "veth1", "10.1.0.11");
	ck_assert_int_eq(podstore_get("net/a:eth0", &b, &err), 0);
	ck_assert(!b->closing);
	ck_assert(!rundir_has("closing/net/a:eth0"));
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	ck_assert_uint_eq(rundir_count(), 0);
	attachment_free(b);
	attachment_free(a);
}
END_TEST

START_TEST(rewriting_claims_nothing)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11"), *b = NULL;

	ck_assert_int_eq(podstore_rewrite(a, &err), -ENOENT);
	put("a", "veth1", "10.1.0.11");
	put("b", "veth2", "10.1.0.11");
	a->n_addrs = 0;
	ck_assert_int_eq(podstore_rewrite(a, &err), 0);
	ck_owner_of_addr("10.1.0.11", "net/b:eth0");
	ck_assert_int_eq(podstore_get("net/a:eth0", &b, &err), 0);
	ck_assert_uint_eq(b->n_addrs, 0);
	attachment_free(a);
	attachment_free(b);
}
END_TEST

START_TEST(a_truncated_file_is_an_error_that_names_it)
{
	CLEAN_FREE char *whole = NULL;

	put("a", "veth1", "10.1.0.11");
	whole = rundir_read(STATE);
	for (size_t len = 0; len < strlen(whole) - 1; len++) { /* all but the newline */
		CLEAN_FREE char *cut = mem_strndup(whole, len);

		rundir_write(STATE, cut);
		ck_unreadable("truncated");
	}
}
END_TEST

START_TEST(another_version_is_an_error)
{
	put("a", "veth1", "10.1.0.11");
	rundir_write(STATE, "{\"version\":3}");
	ck_unreadable("version 3");
	rundir_write(STATE, "{}");
	ck_unreadable("version");
}
END_TEST

START_TEST(anything_but_a_regular_file_is_an_error)
{
	CLEAN_FREE char *path = rundir_path(STATE), *other = rundir_path("pods/net/b:eth0");

	put("a", "veth1", "10.1.0.11");
	ck_assert_int_eq(rename(path, other), 0);
	ck_assert_int_eq(symlink(other, path), 0); /* to a valid state: must not be followed */
	ck_unreadable("not a regular file");
	unlink(path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_unreadable("not a regular file");
	rmdir(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_unreadable("not a regular file");
}
END_TEST

START_TEST(a_file_that_others_own_or_may_write_is_an_error)
{
	CLEAN_FREE char *path = mem_printf("%s/%s", podstore_dir(), STATE);

	put("a", "veth1", "10.1.0.11");
	ck_assert_int_eq(chmod(path, 0620), 0);
	ck_unreadable("mode 0620");
	ck_assert_int_eq(chmod(path, 0640), 0);
	if (getuid() != 0)
		return; /* nobody else can give it away */
	ck_assert_int_eq(chown(path, 4242, 0), 0);
	ck_unreadable("owner 4242");
}
END_TEST

START_TEST(a_huge_file_is_an_error)
{
	char text[PODSTORE_FILE_MAX + 2];

	put("a", "veth1", "10.1.0.11");
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	rundir_write(STATE, text);
	ck_unreadable("larger");
}
END_TEST

/* One field of a good file replaced. */
static const struct {
	const char *from, *to;
} wrong_fields[] = {
	{"\"network\":\"net\"", "\"network\":\"../x\""},
	{"\"containerID\":\"a\"", "\"containerID\":\"b\""},
	{"\"ifname\":\"eth0\"", "\"ifname\":7"},
	{"\"port\":\"veth1\"", "\"port\":\"../../etc\""},
	{"\"port\":\"veth1\"", "\"port\":\"\""},
	{"\"portIndex\":17", "\"portIndex\":-1"},
	{"\"portIndex\":17", "\"portIndex\":1.5"},
	{"\"portIndex\":17", "\"portIndex\":4294967296"},
	{"\"peerIndex\":2", "\"peerIndex\":\"2\""},
	{"[\"10.1.0.11\"]", "\"10.1.0.11\""},
	{"[\"10.1.0.11\"]", "[\"::ffff:10.1.0.11\"]"},
	{"[\"10.1.0.11\"]", "[\"127.0.0.1\"]"},
	{"\"mode\":\"strict\"", "\"mode\":\"open\""},
	{"\"deny\":\"drop\"", "\"deny\":null"},
	{"\"created\":\"1", "\"created\":\"-1"},
	{"\"created\":\"1", "\"created\":\"99999999999999999999"},
	{"\"version\":1", "\"version\":1,\"podName\":\"a\\u001b[31m\""},
	{"\"version\":1", "\"version\":1,\"podNamespace\":{}"},
	{"\"version\":1", "\"version\":1,\"tunnelPorts\":[65536]"},
	{"\"version\":1", "\"version\":1,\"adopted\":\"perhaps\""},
	{"\"version\":1", "\"version\":1,\"adopted\":true"},
};

START_TEST(a_wrong_field_is_an_error)
{
	CLEAN_FREE char *good = NULL, *bad = NULL;
	const char *at;

	put("a", "veth1", "10.1.0.11");
	good = rundir_read(STATE);
	at = strstr(good, wrong_fields[_i].from);
	ck_assert_ptr_nonnull(at);
	bad = mem_printf("%.*s%s%s", (int)(at - good), good, wrong_fields[_i].to, at + strlen(wrong_fields[_i].from));
	rundir_write(STATE, bad);
	ck_unreadable("missing or malformed");
}
END_TEST

START_TEST(what_is_left_of_the_index_is_recovered)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.2"), *found = NULL;
	CLEAN_FREE char *addrs = rundir_path("addrs"), *link = rundir_path("addrs/10.1.0.2");

	ck_assert_int_eq(podstore_put(a, &err), 0);
	ck_assert(unlink(link) == 0 && rmdir(addrs) == 0);
	ck_assert_int_eq(podstore_recover("net/a:eth0", &found, &err), 0);
	ck_assert_str_eq(found->port, "veth1");
	ck_assert_uint_eq(found->n_addrs, 0);
	ck_assert_uint_eq(found->created, a->created);
	attachment_free(found);
	attachment_free(a);
}
END_TEST

START_TEST(an_unreadable_attachment_is_recovered_from_the_index)
{
	struct attachment *a = NULL;

	put("a", "veth1", "10.1.0.11");
	put("b", "veth2", "10.1.0.12");
	rundir_write(STATE, "");
	ck_assert_int_eq(podstore_recover("net/a:eth0", &a, &err), 0);
	ck_assert_str_eq(a->container_id, "a");
	ck_assert_str_eq(a->port, "veth1");
	ck_assert_uint_eq(a->port_index, 17);
	ck_assert(a->created == 1795468190671294906);
	ck_assert_uint_eq(a->n_addrs, 1);
	attachment_free(a);
	a = NULL;
	ck_assert_int_eq(podstore_recover("net/c:eth0", &a, &err), 0);
	ck_assert_str_eq(a->port, "");
	ck_assert_uint_eq(a->n_addrs, 0);
	attachment_free(a);
	ck_assert_int_eq(podstore_recover("net", &a, &err), -EINVAL);
}
END_TEST

START_TEST(entries_of_nobody_are_swept_from_the_index)
{
	CLEAN_FREE char *lost = rundir_path(STATE);
	struct attachment *b;

	put("a", "veth1", "10.1.0.11");
	put("b", "veth2", "10.1.0.12");
	put("c", "veth3", "10.1.0.13");
	b = rundir_attachment("b", "veth2", NULL); /* whose addresses stay in the index */
	ck_assert_int_eq(podstore_mark_closing(b, &err), 0);
	attachment_free(b);
	ck_assert_int_eq(unlink(lost), 0);
	ck_assert_uint_eq(podstore_sweep(), 2);
	ck_owner_of_addr("10.1.0.11", NULL);
	ck_owner_of_addr("10.1.0.12", "net/b:eth0");
	ck_owner_of_addr("10.1.0.13", "net/c:eth0");
	ck_assert_uint_eq(podstore_sweep(), 0);
}
END_TEST

static const char *const no_keys[] = {"", "net", "net/a", "/a:eth0", "net/:eth0", "net/a:", "../a:eth0", "net/..:eth0", "net/a/b:eth0",
				      "net/a:../x", "net/a:eth0\n", "n\033t/a:eth0", "net/a:0123456789abcdef"};

START_TEST(what_is_no_key_opens_no_path)
{
	struct attachment *a = NULL;

	ck_assert_int_eq(podstore_get(no_keys[_i], &a, &err), -EINVAL);
	/* an index link is text that anyone may have written */
	put("a", "veth1", "10.1.0.11");
	CLEAN_FREE char *path = rundir_path("addrs/10.1.0.11");
	unlink(path);
	if (no_keys[_i][0])
		ck_assert_int_eq(symlink(no_keys[_i], path), 0);
	ck_owner_of_addr("10.1.0.11", NULL);
}
END_TEST

START_TEST(the_longest_names_fit_and_longer_ones_are_refused)
{
	char id[PODSTORE_CONTAINER_ID_MAX + 2];
	struct attachment *a;

	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	a = rundir_attachment(id, "veth1", NULL);
	ck_assert_int_eq(podstore_put(a, &err), -EINVAL);
	attachment_free(a);
	id[PODSTORE_CONTAINER_ID_MAX] = '\0';
	a = rundir_attachment(id, "veth1", NULL);
	free(a->ifname);
	a->ifname = mem_strdup("fifteen-letters");
	ck_assert_msg(podstore_put(a, &err) == 0, "%s", err.text);
	ck_assert_int_eq(podstore_mark_closing(a, &err), 0);
	attachment_free(a);
}
END_TEST

START_TEST(a_full_disk_leaves_nothing_behind)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11");
	const struct rlimit none = {0, 0};

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_int_lt(podstore_put(a, &err), 0);
	ck_assert_int_lt(podstore_writable(&err), 0);
	ck_assert_uint_eq(rundir_count(), 0);
	attachment_free(a);
}
END_TEST

START_TEST(a_put_that_fails_midway_leaves_nothing_behind)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11");
	CLEAN_FREE char *obstacle = rundir_path("addrs/10.1.0.11");

	ck_assert_int_eq(mkdir(obstacle, 0700), 0); /* no link can be renamed over a directory */
	ck_assert_int_lt(podstore_put(a, &err), 0);
	ck_assert_uint_eq(rundir_count(), 0);
	attachment_free(a);
}
END_TEST

START_TEST(a_put_that_fails_midway_leaves_what_was_there)
{
	struct attachment *again = rundir_attachment("a", "veth2", "10.1.0.12"), *a = NULL;
	CLEAN_FREE char *obstacle = rundir_path("ports/veth2");
	size_t before;

	put("a", "veth1", "10.1.0.11");
	put("b", "veth3", "10.1.0.12");
	before = rundir_count();
	ck_assert_int_eq(mkdir(obstacle, 0700), 0); /* its port is the last that is put */
	ck_assert_int_lt(podstore_put(again, &err), 0);
	ck_assert_uint_eq(rundir_count(), before);
	ck_assert_msg(podstore_get("net/a:eth0", &a, &err) == 0, "%s", err.text);
	ck_assert_str_eq(a->port, "veth1");
	ck_owner_of_addr("10.1.0.11", "net/a:eth0");
	ck_owner_of_port("veth1", "net/a:eth0");
	ck_owner_of_addr("10.1.0.12", "net/b:eth0");
	ck_owner_of_port("veth3", "net/b:eth0");
	attachment_free(a);
	attachment_free(again);
}
END_TEST

START_TEST(the_kubelet_s_empty_directory_becomes_ours)
{
	CLEAN_FREE char *fresh = rundir_path("fresh");
	struct stat st;

	ck_assert_int_eq(mkdir(fresh, 0700), 0);
	setenv("MOAT_RUN_DIR", fresh, 1);
	ck_assert_int_eq(chmod(podstore_dir(), 0777), 0);
	ck_assert_int_eq(podstore_init(&err), -EPERM); /* others may have written */
	ck_assert_int_eq(chmod(podstore_dir(), 0755), 0);
	ck_assert_int_eq(podstore_init(&err), 0);
	ck_assert_int_eq(stat(podstore_dir(), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(chmod(podstore_dir(), 0755), 0);
	ck_assert_int_eq(podstore_init(&err), -EPERM); /* no longer empty: somebody changed it */
}
END_TEST

/* Root writes everywhere; root without capabilities only where the mode says so. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};

	ck_assert_int_eq(syscall(SYS_capset, &header, none), 0);
}

START_TEST(a_put_that_fails_before_its_first_rename_leaves_nothing_behind)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11");
	CLEAN_FREE char *ports = rundir_path("ports");

	drop_capabilities();
	ck_assert_int_eq(chmod(ports, 0500), 0); /* the last that is made */
	ck_assert_int_eq(podstore_put(a, &err), -EACCES);
	ck_assert_uint_eq(rundir_count(), 0);
	attachment_free(a);
}
END_TEST

START_TEST(closing_needs_no_space)
{
	struct attachment *a = rundir_attachment("a", "veth1", "10.1.0.11");
	const struct rlimit none = {0, 0};

	put("a", "veth1", "10.1.0.11");
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert(rundir_has("closing/net"));
	ck_assert_int_eq(podstore_mark_closing(a, &err), 0);
	ck_assert_int_eq(podstore_remove(a, &err), 0);
	attachment_free(a);
}
END_TEST

START_TEST(a_directory_that_others_may_write_is_refused)
{
	CLEAN_FREE char *path = rundir_path("addrs");

	ck_assert_int_eq(chmod(path, 0770), 0);
	ck_assert_int_eq(podstore_init(&err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "0770"));
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(symlink("/tmp", path), 0);
	ck_assert_int_lt(podstore_init(&err), 0);
}
END_TEST

START_TEST(a_missing_or_impossible_directory_is_a_clear_error)
{
	setenv("MOAT_RUN_DIR", "/proc/moat-cannot-be-here", 1);
	ck_assert_int_lt(podstore_init(&err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "/proc/moat-cannot-be-here"));
	ck_assert_int_lt(podstore_writable(&err), 0);
}
END_TEST

struct seen {
	size_t n, closing, unreadable;
};

static void see(const struct attachment *a, void *arg)
{
	struct seen *seen = arg;

	seen->n++;
	seen->closing += a->closing;
}

static void see_unreadable(const char *key, const struct err *why, void *arg)
{
	struct seen *seen = arg;

	(void)why;
	ck_assert_str_eq(key, "net/a:eth0");
	seen->unreadable++;
}

START_TEST(walking_sees_all_and_stops_at_no_broken_file)
{
	struct attachment *b = rundir_attachment("b", "veth2", "10.1.0.12");
	struct seen all = {0}, one = {0}, closing = {0}, none = {0};

	put("a", "veth1", "10.1.0.11");
	put("b", "veth2", "10.1.0.12");
	put("c", "veth3", "10.1.0.13");
	ck_assert_int_eq(podstore_mark_closing(b, &err), 0);
	rundir_write(STATE, "{");
	ck_assert_int_eq(podstore_each(NULL, see, see_unreadable, &all, &err), 0);
	ck_assert_uint_eq(all.n, 2);
	ck_assert_uint_eq(all.closing, 1);
	ck_assert_uint_eq(all.unreadable, 1);
	ck_assert_int_eq(podstore_each("net", see, see_unreadable, &one, &err), 0);
	ck_assert_uint_eq(one.n, 2);
	ck_assert_int_eq(podstore_each_closing(see, see_unreadable, &closing, &err), 0);
	ck_assert_uint_eq(closing.n, 1);
	ck_assert_int_eq(podstore_each("other", see, see_unreadable, &none, &err), 0);
	ck_assert_uint_eq(none.n, 0);
	ck_assert_int_eq(podstore_each("../pods", see, see_unreadable, &none, &err), -EINVAL);
	attachment_free(b);
}
END_TEST

START_TEST(walking_sweeps_what_killed_writers_left)
{
	static const char *const temps[] = {"pods/net/.tmp.1", "addrs/.tmp.2"};
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct seen seen = {0};

	put("a", "veth1", "10.1.0.11");
	rundir_write("pods/net/.tmp.fresh", "");
	for (size_t i = 0; i < ARRAY_SIZE(temps); i++) {
		CLEAN_FREE char *path = rundir_path(temps[i]);

		rundir_write(temps[i], "");
		ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	}
	ck_assert_int_eq(podstore_each(NULL, see, NULL, &seen, &err), 0);
	ck_assert_uint_eq(seen.n, 1);
	for (size_t i = 0; i < ARRAY_SIZE(temps); i++)
		ck_assert(!rundir_has(temps[i]));
	ck_assert(rundir_has("pods/net/.tmp.fresh"));
}
END_TEST

START_TEST(a_held_lock_is_waited_for_and_then_done_without)
{
	struct timespec before, after;
	int pipefd[2], fd;
	char byte;
	pid_t holder;

	ck_assert_int_eq(pipe(pipefd), 0);
	holder = fork();
	if (holder == 0) {
		fd = podstore_lock(0, NULL);
		if (write(pipefd[1], "x", 1) == 1 && fd >= 0)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(pipefd[0], &byte, 1), 1);
	ck_assert_int_eq(kill(holder, SIGSTOP), 0); /* stopped while it holds the lock */
	clock_gettime(CLOCK_MONOTONIC, &before);
	ck_assert_int_eq(podstore_lock(50, &err), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ck_assert_int_ge((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000, 49);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	fd = podstore_lock(1000, &err);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("podstore");
	TCase *tc = tcase_create("podstore");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, rundir_remove);
	tcase_add_test(tc, the_kubelet_s_empty_directory_becomes_ours);
	tcase_add_test(tc, what_was_put_is_read_back_whole);
	tcase_add_test(tc, who_was_adopted_is_remembered);
	tcase_add_test(tc, an_attachment_without_kubernetes_has_no_namespace);
	tcase_add_test(tc, the_newest_owner_has_the_address_and_the_port);
	tcase_add_test(tc, an_old_owner_takes_nothing_of_the_new_one_with_it);
	tcase_add_test(tc, an_attachment_put_again_gives_up_what_it_no_longer_has);
	tcase_add_test(tc, closing_is_remembered_until_it_is_removed_or_put_again);
	tcase_add_test(tc, rewriting_claims_nothing);
	tcase_add_test(tc, a_truncated_file_is_an_error_that_names_it);
	tcase_add_test(tc, another_version_is_an_error);
	tcase_add_test(tc, anything_but_a_regular_file_is_an_error);
	tcase_add_test(tc, a_file_that_others_own_or_may_write_is_an_error);
	tcase_add_test(tc, a_huge_file_is_an_error);
	tcase_add_loop_test(tc, a_wrong_field_is_an_error, 0, ARRAY_SIZE(wrong_fields));
	tcase_add_test(tc, an_unreadable_attachment_is_recovered_from_the_index);
	tcase_add_test(tc, what_is_left_of_the_index_is_recovered);
	tcase_add_test(tc, entries_of_nobody_are_swept_from_the_index);
	tcase_add_loop_test(tc, what_is_no_key_opens_no_path, 0, ARRAY_SIZE(no_keys));
	tcase_add_test(tc, the_longest_names_fit_and_longer_ones_are_refused);
	tcase_add_test(tc, a_full_disk_leaves_nothing_behind);
	tcase_add_test(tc, a_put_that_fails_midway_leaves_nothing_behind);
	tcase_add_test(tc, a_put_that_fails_midway_leaves_what_was_there);
	tcase_add_test(tc, a_put_that_fails_before_its_first_rename_leaves_nothing_behind);
	tcase_add_test(tc, closing_needs_no_space);
	tcase_add_test(tc, a_directory_that_others_may_write_is_refused);
	tcase_add_test(tc, a_missing_or_impossible_directory_is_a_clear_error);
	tcase_add_test(tc, walking_sees_all_and_stops_at_no_broken_file);
	tcase_add_test(tc, walking_sweeps_what_killed_writers_left);
	tcase_add_test(tc, a_held_lock_is_waited_for_and_then_done_without);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

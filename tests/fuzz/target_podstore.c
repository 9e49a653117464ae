/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod store as a stranger, a crash or another version left it. The input is a line, the text of the index links of an address and a
 * port, and the state file net/a:eth0 behind it. What is read back as an attachment is one that moat could have written: it
 * survives writing and reading.
 */
#include <string.h>
#include <unistd.h>

#include "core/pod/podstore_internal.h"
#include "moat/text.h"
#include "tests/fuzz/fuzz.h"

#define KEY "net/a:eth0"

static void prepare(void)
{
	fuzz_rundir_make();
}

static void put_file(const char *below, const void *data, size_t len)
{
	CLEAN_FREE char *path = fuzz_rundir_path(below);

	fuzz_write_file(path, data, len);
}

static void put_link(const char *below, const char *text)
{
	CLEAN_FREE char *path = fuzz_rundir_path(below);

	if (symlink(text, path) < 0)
		FUZZ_CHECK(!*text || errno == ENAMETOOLONG);
}

static void check_attachment(const struct attachment *a)
{
	CLEAN_FREE char *key = attachment_key(a), *text = podstore_encode(a), *again = NULL;
	struct attachment *copy = NULL;
	struct podstore_key parts;
	struct err err;

	FUZZ_CHECK(podstore_key_parse(key, &parts) && text_is_ifname(a->port) && a->n_addrs <= ATTACHMENT_ADDRS_MAX);
	FUZZ_CHECK(a->mode < MODE_COUNT && a->deny < DENY_COUNT);
	FUZZ_CHECK(strlen(text) <= PODSTORE_FILE_MAX);
	FUZZ_CHECK(podstore_decode(text, strlen(text), key, &copy, &err) == 0);
	again = podstore_encode(copy);
	FUZZ_CHECK(!strcmp(text, again));
	attachment_free(copy);
}

static void on_attachment(const struct attachment *a, void *arg)
{
	check_attachment(a);
	++*(unsigned *)arg;
}

static void on_unreadable(const char *key, const struct err *err, void *arg)
{
	FUZZ_CHECK(*key && err->code);
	++*(unsigned *)arg;
}

static void check_recovered(const char *key)
{
	struct attachment *a = NULL;
	CLEAN_FREE char *own = NULL;

	FUZZ_CHECK(podstore_recover(key, &a, NULL) == 0);
	own = attachment_key(a);
	FUZZ_CHECK(!strcmp(own, key) && a->n_addrs == 1 && !strcmp(a->port, "veth1"));
	attachment_free(a);
}

static void run(const uint8_t *data, size_t len)
{
	struct fuzz_input in = {data, len};
	CLEAN_FREE char *link = fuzz_text_until(&in, '\n'), *owner = NULL;
	struct addr addr = {.family = AF_INET, .bytes = {10, 1, 0, 2}};
	struct attachment *a = NULL;
	struct podstore_key parts;
	CLEAN_CLOSE int network = -1;
	unsigned seen = 0;
	struct err err;
	int code;

	FUZZ_CHECK(podstore_init(&err) == 0);
	network = podstore_open_network("pods", "net", true, &err);
	FUZZ_CHECK(network >= 0);
	put_file("pods/net/a:eth0", in.at, in.left);
	put_link("addrs/10.1.0.2", link);
	put_link("ports/veth1", link);

	code = podstore_get(KEY, &a, &err);
	FUZZ_CHECK(code == 0 || code == -EBADMSG);
	if (a)
		check_attachment(a);
	FUZZ_CHECK(podstore_each(NULL, on_attachment, on_unreadable, &seen, &err) == 0 && seen == 1);
	owner = podstore_owner_of_addr(&addr);
	if (owner) {
		FUZZ_CHECK(podstore_key_parse(owner, &parts));
		check_recovered(owner);
	}
	FUZZ_CHECK(!podstore_key_parse(link, &parts) || !strcmp(link, owner));
	if (a)
		FUZZ_CHECK(podstore_remove(a, &err) == 0 && podstore_get(KEY, &(struct attachment *){NULL}, &err) == -ENOENT);
	attachment_free(a);
	fuzz_rundir_clear();
}

const struct fuzz_target fuzz_podstore = {"podstore", prepare, run};

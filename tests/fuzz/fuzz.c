/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <unistd.h>

#include "moat/podstore.h"

static char directory[] = "/dev/shm/moat-fuzz-XXXXXX";
static pid_t maker;

uint8_t fuzz_byte(struct fuzz_input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

char *fuzz_text_until(struct fuzz_input *in, char end)
{
	const uint8_t *found = in->left ? memchr(in->at, end, in->left) : NULL;
	size_t len = found ? (size_t)(found - in->at) : in->left;
	char *text = mem_zalloc(len + 1);

	if (len)
		memcpy(text, in->at, len);
	in->at += len + (found != NULL);
	in->left -= len + (found != NULL);
	return text;
}

static int remove_below(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level ? remove(path) : 0;
}

void fuzz_rundir_clear(void)
{
	nftw(directory, remove_below, 8, FTW_DEPTH | FTW_PHYS);
}

/* Children that Check forks end too, and the directory is not theirs. */
static void remove_directory(void)
{
	if (getpid() != maker)
		return;
	fuzz_rundir_clear();
	rmdir(directory);
}

void fuzz_rundir_make(void)
{
	if (!mkdtemp(directory)) {
		strcpy(directory, "/tmp/moat-fuzz-XXXXXX");
		FUZZ_CHECK(mkdtemp(directory));
	}
	maker = getpid();
	atexit(remove_directory);
	setenv("MOAT_RUN_DIR", directory, 1);
}

char *fuzz_rundir_path(const char *below)
{
	return mem_printf("%s/%s", directory, below);
}

void fuzz_write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	FUZZ_CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

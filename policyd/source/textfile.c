/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/source/textfile.h"

#include <fcntl.h>
#include <unistd.h>

#include "moat/text.h"

char *textfile_read(const char *what, const char *path, size_t max, size_t *ret_len, struct stat *ret_st, struct err *err)
{
	CLEAN_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEAN_FREE char *text = NULL;
	struct stat st;
	ssize_t got;

	*ret_len = 0;
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(err, errno, "%s %s", what, TEXT(path));
		return NULL;
	}
	if (ret_st)
		*ret_st = st;
	if (!S_ISREG(st.st_mode)) {
		err_set(err, EINVAL, "%s %s is not a regular file", what, TEXT(path));
		return NULL;
	}
	text = mem_alloc(max + 1);
	got = read(fd, text, max + 1);
	if (got < 0) {
		err_errno(err, errno, "%s %s", what, TEXT(path));
		return NULL;
	}
	if ((size_t)got > max) {
		err_set(err, EFBIG, "%s %s is larger than %zu bytes", what, TEXT(path), max);
		return NULL;
	}
	text[got] = '\0';
	*ret_len = (size_t)got;
	return TAKE_PTR(text);
}

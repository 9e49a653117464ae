/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a program, it lets one request for memory fail: the NOMEM_AT-th, counted from the start (malloc, calloc, realloc and
 * strdup's own; of the program and of its libraries). NOMEM_AT absent or 0: none. With NOMEM_COUNT it tells at the end how many there were.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic unsigned long requests;

static unsigned long number_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : 0;
}

static int is_refused(void)
{
	static unsigned long at = ~0ul;

	if (at == ~0ul)
		at = number_of("NOMEM_AT");
	if (atomic_fetch_add(&requests, 1) + 1 != at)
		return 0;
	errno = ENOMEM;
	return 1;
}

/* glibc's own, under the names that it exports for such a purpose. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
	return is_refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return is_refused() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return is_refused() ? NULL : __libc_realloc(p, size);
}

static void tell(void) __attribute__((destructor));
static void tell(void)
{
	char text[64];
	int len;

	if (!getenv("NOMEM_COUNT"))
		return;
	len = snprintf(text, sizeof(text), "requests %lu\n", atomic_load(&requests));
	if (write(STDERR_FILENO, text, (size_t)len) < 0)
		_exit(125);
}

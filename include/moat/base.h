/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary every file speaks: memory that aborts instead of failing, block-scope ownership, vectors.
 */
#ifndef MOAT_BASE_H
#define MOAT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* Memory. None of these returns NULL: out of memory aborts (invariant 6: nothing is ever half-built). */
void *mem_alloc(size_t size);                             /* uninitialised */
void *mem_zalloc(size_t size);                            /* zeroed */
void *mem_realloc(void *ptr, size_t count, size_t size);  /* count * size, overflow aborts */
char *mem_strdup(const char *s);                          /* NULL gives NULL */
char *mem_strndup(const char *s, size_t len);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2); /* caller frees */

/*
 * Block-scope ownership: `CLEAN_FREE char *s = …` is freed at the end of its block; TAKE_PTR(s) hands it on.
 * CLEAN(fn) calls fn(&variable).
 */
#define CLEAN(fn) __attribute__((cleanup(fn), unused)) /* some are there only for their end: a lock */
void mem_clean_free(void *pointer_to_pointer);
void mem_clean_close(const int *fd); /* closes fd >= 0, keeps errno */
#define CLEAN_FREE CLEAN(mem_clean_free)
#define CLEAN_CLOSE CLEAN(mem_clean_close)
#define TAKE_PTR(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) taken_ = (p);                                                                            \
		(p) = NULL;                                                                                            \
		taken_;                                                                                                \
	})

/* A growing array inside its owner: `VEC(struct label) labels;` has .v (items), .n (used), .cap. Zeroed is empty. */
#define VEC(type)                                                                                                      \
	struct {                                                                                                       \
		type *v;                                                                                               \
		size_t n, cap;                                                                                         \
	}
#define VEC_PUSH(vec, item)                                                                                            \
	do {                                                                                                           \
		if ((vec)->n == (vec)->cap) {                                                                          \
			(vec)->cap = (vec)->cap ? 2 * (vec)->cap : 4;                                                  \
			(vec)->v = mem_realloc((vec)->v, (vec)->cap, sizeof((vec)->v[0]));                             \
		}                                                                                                      \
		(vec)->v[(vec)->n++] = (item);                                                                         \
	} while (0)
#define VEC_DONE(vec)                                                                                                  \
	do {                                                                                                           \
		free((vec)->v);                                                                                        \
		(vec)->v = NULL;                                                                                       \
		(vec)->n = (vec)->cap = 0;                                                                             \
	} while (0)

#endif

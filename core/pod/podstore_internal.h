/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the pod store share among themselves. */
#ifndef MOAT_PODSTORE_INTERNAL_H
#define MOAT_PODSTORE_INTERNAL_H

#include <limits.h>

#include "moat/podstore.h"

#define PODSTORE_TEMP_PREFIX ".tmp." /* no name of ours starts with a dot: never mistaken for a key, an address or a port */
#define PODSTORE_TEMP_MAX 32

/* "network/containerID:ifname" taken apart; both parts are safe as names of one path component. */
struct podstore_key {
	char network[NAME_MAX + 1];
	char file[NAME_MAX + 1]; /* containerID:ifname */
};

/* Whatever wrote the key (an index link is a file like any other): only what the plugin itself accepts as names passes. */
bool podstore_key_parse(const char *key, struct podstore_key *ret);

/* Directory descriptors. -ENOENT: not there. */
int podstore_open_root(struct err *err);
int podstore_open_dir(const char *name, struct err *err);
int podstore_open_network(const char *name, const char *network, bool create, struct err *err);
int podstore_make_dir(const char *name, struct err *err); /* makes it if need be, and opens it */

/* An unused temporary name; written data is whole or the file is gone. */
void podstore_temp_name(char ret[PODSTORE_TEMP_MAX]);
int podstore_write_temp(int dir, const char *temp, const char *data, size_t len, struct err *err);

/* State files (podstore_file.c). Encoded text is the caller's; decoding checks the content against the key. */
char *podstore_encode(const struct attachment *a);
int podstore_decode(const char *data, size_t len, const char *key, struct attachment **ret, struct err *err);
int podstore_read_file(int dir, const char *file, const char *key, struct attachment **ret, struct err *err);

/* Index links (podstore_index.c): the text of one (caller frees); the key that one names, or NULL; taking away those that still name the
 * attachment. */
char *podstore_index_text(const struct attachment *a);
char *podstore_index_read(int dir, const char *name);
void podstore_index_drop(const struct attachment *a);

#endif

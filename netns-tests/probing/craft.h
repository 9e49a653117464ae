/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of layers in words, as craft.c describes them. */
#ifndef NETNS_TESTS_CRAFT_H
#define NETNS_TESTS_CRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKET_MAX = 65536, LAYERS_MAX = 12, KEYS_MAX = 12 };

struct packet;
struct layer;

struct layer_kind {
	const char *name;
	int ethertype; /* by which Ethernet, a tag or GRE announce it; 0: they cannot */
	int protocol;  /* by which IP does; -1: it cannot */
	const char *keys; /* all that it knows, with a blank behind each */
	void (*build)(struct packet *p, struct layer *l);
	void (*finish)(struct packet *p, struct layer *l); /* lengths and checksums, from the last layer to the first; may be NULL */
};

struct layer {
	const struct layer_kind *kind;
	size_t at;     /* where its header begins */
	size_t header; /* and how long it is */
	struct {
		const char *name, *value;
	} keys[KEYS_MAX];
	size_t n_keys;
};

struct packet {
	uint8_t bytes[PACKET_MAX];
	size_t len;
	struct layer layers[LAYERS_MAX];
	size_t n_layers;
	uint32_t token;
	uint8_t own_mac[6];     /* of the device that sends */
	uint8_t gateway_mac[6]; /* the default destination */
};

/* The token of a packet as it stands in it, and as capture finds it: "MOAT" and the number. */
enum { TOKEN_LEN = 8 };
void token_write(uint8_t out[TOKEN_LEN], uint32_t token);
bool token_find(const uint8_t *data, size_t len, uint32_t *ret);

/* layers.c, link.c, network.c, transport.c */
extern const struct layer_kind link_kinds[], network_kinds[], transport_kinds[];
extern const size_t n_link_kinds, n_network_kinds, n_transport_kinds;

const char *layer_value(const struct layer *l, const char *key); /* NULL: not given */
unsigned long layer_number(const struct layer *l, const char *key, unsigned long otherwise, unsigned long max);
void layer_mac(const struct layer *l, const char *key, const uint8_t *otherwise, uint8_t out[6]);
/* Of the family that len says: 4 or 16. */
void layer_addr(const struct layer *l, const char *key, size_t len, uint8_t *out);

uint8_t *packet_append(struct packet *p, const void *data, size_t len); /* data NULL: zeros */
void packet_put16(struct packet *p, size_t at, uint16_t value);
const struct layer *packet_next(const struct packet *p, const struct layer *l); /* NULL: it is the last */

#endif

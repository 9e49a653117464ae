/* SPDX-License-Identifier: Apache-2.0 */
/* What all layers need: their keys, the bytes of the packet, the token. */
#include "netns-tests/probing/craft.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "netns-tests/probing/probe.h"

const char *layer_value(const struct layer *l, const char *key)
{
	for (size_t i = 0; i < l->n_keys; i++)
		if (!strcmp(l->keys[i].name, key))
			return l->keys[i].value;
	return NULL;
}

unsigned long layer_number(const struct layer *l, const char *key, unsigned long otherwise, unsigned long max)
{
	const char *value = layer_value(l, key);

	return value ? probe_number(value, max) : otherwise;
}

void layer_mac(const struct layer *l, const char *key, const uint8_t *otherwise, uint8_t out[6])
{
	const char *value = layer_value(l, key);
	char rest;

	if (!value)
		memcpy(out, otherwise, 6);
	else if (sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &out[0], &out[1], &out[2], &out[3], &out[4], &out[5],
			&rest) != 6)
		probe_usage("%s: %s=%s is no MAC address", l->kind->name, key, value);
}

void layer_addr(const struct layer *l, const char *key, size_t len, uint8_t *out)
{
	const char *value = layer_value(l, key);

	if (!value)
		memset(out, 0, len);
	else if (inet_pton(len == 4 ? AF_INET : AF_INET6, value, out) != 1)
		probe_usage("%s: %s=%s is no address of IPv%d", l->kind->name, key, value, len == 4 ? 4 : 6);
}

uint8_t *packet_append(struct packet *p, const void *data, size_t len)
{
	uint8_t *at = p->bytes + p->len;

	if (p->len + len > sizeof(p->bytes))
		probe_usage("craft: the packet is longer than %d bytes", PACKET_MAX);
	if (data)
		memcpy(at, data, len);
	else
		memset(at, 0, len);
	p->len += len;
	return at;
}

void packet_put16(struct packet *p, size_t at, uint16_t value)
{
	p->bytes[at] = (uint8_t)(value >> 8);
	p->bytes[at + 1] = (uint8_t)value;
}

const struct layer *packet_next(const struct packet *p, const struct layer *l)
{
	return l + 1 < p->layers + p->n_layers ? l + 1 : NULL;
}

static const char mark[4] = "MOAT";

void token_write(uint8_t out[TOKEN_LEN], uint32_t token)
{
	const uint32_t number = htonl(token);

	memcpy(out, mark, sizeof(mark));
	memcpy(out + sizeof(mark), &number, sizeof(number));
}

bool token_find(const uint8_t *data, size_t len, uint32_t *ret)
{
	const uint8_t *at = memmem(data, len, mark, sizeof(mark));
	uint32_t number;

	if (!at || (size_t)(data + len - at) < TOKEN_LEN)
		return false;
	memcpy(&number, at + sizeof(mark), sizeof(number));
	*ret = ntohl(number);
	return true;
}

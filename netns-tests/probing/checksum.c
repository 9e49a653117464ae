/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of forged and counted packets: RFC 1071, with the pseudo headers of RFC 9293 section 3.1 and RFC 8200 section 8.1. */
#include "netns-tests/probing/probe.h"

uint32_t checksum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

uint16_t checksum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The longer fields of IPv6's pseudo header add the same numbers. */
static uint32_t pseudo_header(const struct endpoint *from, const struct endpoint *to, uint8_t protocol, size_t len)
{
	uint32_t sum = protocol + (uint32_t)len;

	if (from->any.sa_family == AF_INET) {
		sum = checksum_add(sum, &from->v4.sin_addr, 4);
		return checksum_add(sum, &to->v4.sin_addr, 4);
	}
	sum = checksum_add(sum, &from->v6.sin6_addr, 16);
	return checksum_add(sum, &to->v6.sin6_addr, 16);
}

uint16_t probe_checksum(const struct endpoint *from, const struct endpoint *to, uint8_t protocol, const void *data, size_t len)
{
	uint32_t sum = checksum_add(from ? pseudo_header(from, to, protocol, len) : 0, data, len);

	return htons(checksum_fold(sum));
}

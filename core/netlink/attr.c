/* SPDX-License-Identifier: Apache-2.0 */
#include "attr_internal.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#define ERRNO_MAX 4095 /* MAX_ERRNO of linux/err.h */

bool attr_message_ok(const struct nlmsghdr *nlh, int left)
{
	return mnl_nlmsg_ok(nlh, left) && nlh->nlmsg_len <= (uint32_t)left;
}

int attr_error(const struct nlmsghdr *nlh)
{
	int code;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(code))
		return -EBADMSG;
	memcpy(&code, mnl_nlmsg_get_payload(nlh), sizeof(code));
	return code < -ERRNO_MAX ? -EBADMSG : code < 0 ? code : 0;
}

const void *attr_header(const struct nlmsghdr *nlh, size_t size)
{
	return mnl_nlmsg_get_payload_len(nlh) < size ? NULL : mnl_nlmsg_get_payload(nlh);
}

const struct nlattr *attr_of(const struct nlmsghdr *nlh, size_t header, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, (unsigned)header)
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

const struct nlattr *attr_in(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	if (!nest)
		return NULL;
	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

const char *attr_text(const struct nlattr *attr)
{
	const char *text = attr ? mnl_attr_get_payload(attr) : NULL;

	return text && memchr(text, '\0', mnl_attr_get_payload_len(attr)) ? text : NULL;
}

bool attr_bytes(const struct nlattr *attr, void *ret, size_t len)
{
	if (!attr || mnl_attr_get_payload_len(attr) < len)
		return false;
	memcpy(ret, mnl_attr_get_payload(attr), len);
	return true;
}

uint16_t attr_be16(const struct nlattr *attr, uint16_t otherwise)
{
	uint16_t value;

	return attr_bytes(attr, &value, sizeof(value)) ? ntohs(value) : otherwise;
}

uint32_t attr_be32(const struct nlattr *attr, uint32_t otherwise)
{
	uint32_t value;

	return attr_bytes(attr, &value, sizeof(value)) ? ntohl(value) : otherwise;
}

uint64_t attr_be64(const struct nlattr *attr, uint64_t otherwise)
{
	uint64_t value;

	return attr_bytes(attr, &value, sizeof(value)) ? be64toh(value) : otherwise;
}

uint32_t attr_u32(const struct nlattr *attr, uint32_t otherwise)
{
	uint32_t value;

	return attr_bytes(attr, &value, sizeof(value)) ? value : otherwise;
}

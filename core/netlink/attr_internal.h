/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel answers, read without trust in its lengths. libnftnl's parsers are not used for that: one attribute of a size they
 * do not expect, and they end the process ("kernel ABI is broken").
 */
#ifndef CORE_ATTR_INTERNAL_H
#define CORE_ATTR_INTERNAL_H

#include <libmnl/libmnl.h>

#include "moat/base.h"

/* Does a whole message begin here, of which `left` bytes are there? mnl_nlmsg_ok takes lengths from 2^31 on for negative ones. */
bool attr_message_ok(const struct nlmsghdr *nlh, int left);
/* The code of an NLMSG_ERROR or NLMSG_DONE: 0 or a negative errno, whatever the message holds. */
int attr_error(const struct nlmsghdr *nlh);
/* The fixed header behind the message's own; NULL if the message is too short for it. */
const void *attr_header(const struct nlmsghdr *nlh, size_t size);
/* The first attribute of this type behind a header of that size, or in a nest (NULL: none); NULL if there is none. */
const struct nlattr *attr_of(const struct nlmsghdr *nlh, size_t header, uint16_t type);
const struct nlattr *attr_in(const struct nlattr *nest, uint16_t type);

/* Values. attr NULL, or an attribute that is too short: NULL, false, or `otherwise`. */
const char *attr_text(const struct nlattr *attr); /* terminated within the attribute */
bool attr_bytes(const struct nlattr *attr, void *ret, size_t len);
uint16_t attr_be16(const struct nlattr *attr, uint16_t otherwise); /* network order; the result is the host's */
uint32_t attr_be32(const struct nlattr *attr, uint32_t otherwise);
uint64_t attr_be64(const struct nlattr *attr, uint64_t otherwise);
uint32_t attr_u32(const struct nlattr *attr, uint32_t otherwise); /* host order: rtnetlink */

#endif

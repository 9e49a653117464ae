/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/elements.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include "moat/nl.h"

static void read_value(const struct nlattr *data, const void **ret, uint16_t *ret_len)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, data) {
		if (mnl_attr_get_type(attr) == NFTA_DATA_VALUE) {
			*ret = mnl_attr_get_payload(attr);
			*ret_len = mnl_attr_get_payload_len(attr);
		}
	}
}

static void read_verdict(const struct nlattr *data, struct element *e)
{
	const struct nlattr *verdict, *attr;

	mnl_attr_for_each_nested(verdict, data) {
		if (mnl_attr_get_type(verdict) != NFTA_DATA_VERDICT)
			continue;
		mnl_attr_for_each_nested(attr, verdict) {
			if (mnl_attr_get_type(attr) == NFTA_VERDICT_CODE && mnl_attr_get_payload_len(attr) == 4)
				e->verdict = (int32_t)ntohl(mnl_attr_get_u32(attr));
			else if (mnl_attr_get_type(attr) == NFTA_VERDICT_CHAIN)
				e->chain = nl_attr_text(attr);
		}
	}
}

static void read_element(const struct nlattr *list, struct element *e)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, list) {
		switch (mnl_attr_get_type(attr)) {
		case NFTA_SET_ELEM_KEY:
			read_value(attr, &e->key, &e->key_len);
			break;
		case NFTA_SET_ELEM_KEY_END:
			read_value(attr, &e->key_end, &e->key_end_len);
			break;
		case NFTA_SET_ELEM_DATA:
			read_verdict(attr, e);
			break;
		case NFTA_SET_ELEM_FLAGS:
			if (mnl_attr_get_payload_len(attr) == 4)
				e->flags = ntohl(mnl_attr_get_u32(attr));
			break;
		}
	}
}

void elements_each(const struct nlattr *list, element_fn fn, void *arg)
{
	const struct nlattr *attr;

	if (!list)
		return;
	mnl_attr_for_each_nested(attr, list) {
		struct element e = {.chain = ""};

		read_element(attr, &e);
		if (e.key)
			fn(&e, arg);
	}
}

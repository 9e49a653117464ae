/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/elements.h"

#include <linux/netfilter/nf_tables.h>

#include "attr_internal.h"

static const void *value_of(const struct nlattr *data, uint16_t *ret_len)
{
	const struct nlattr *value = attr_in(data, NFTA_DATA_VALUE);

	*ret_len = value ? mnl_attr_get_payload_len(value) : 0;
	return value ? mnl_attr_get_payload(value) : NULL;
}

void elements_each(const struct nlattr *list, element_fn fn, void *arg)
{
	const struct nlattr *attr;

	if (!list)
		return;
	mnl_attr_for_each_nested(attr, list) {
		const struct nlattr *data = attr_in(attr, NFTA_SET_ELEM_DATA), *verdict = attr_in(data, NFTA_DATA_VERDICT);
		const char *chain = attr_text(attr_in(verdict, NFTA_VERDICT_CHAIN));
		struct element e = {.chain = chain ? chain : ""};

		e.key = value_of(attr_in(attr, NFTA_SET_ELEM_KEY), &e.key_len);
		e.key_end = value_of(attr_in(attr, NFTA_SET_ELEM_KEY_END), &e.key_end_len);
		e.data = value_of(data, &e.data_len);
		e.verdict = (int32_t)attr_be32(attr_in(verdict, NFTA_VERDICT_CODE), 0);
		e.flags = attr_be32(attr_in(attr, NFTA_SET_ELEM_FLAGS), 0);
		if (e.key)
			fn(&e, arg);
	}
}

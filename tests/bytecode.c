/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bytecode.h"

#include <check.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "core/netlink/txn_internal.h"

static void print_rule(FILE *out, const struct nlmsghdr *nlh)
{
	struct nftnl_rule *rule = MUST(nftnl_rule_alloc());
	struct nftnl_expr_iter *iter;
	struct nftnl_expr *e;
	char line[512];

	ck_assert_int_eq(nftnl_rule_nlmsg_parse(nlh, rule), 0);
	iter = nftnl_expr_iter_create(rule);
	while ((e = nftnl_expr_iter_next(iter))) {
		nftnl_expr_snprintf(line, sizeof(line), e, NFTNL_OUTPUT_DEFAULT, 0);
		fprintf(out, "  [ %s %s]\n", nftnl_expr_get_str(e, NFTNL_EXPR_NAME), line);
	}
	nftnl_expr_iter_destroy(iter);
	nftnl_rule_free(rule);
}

static void print_chain(FILE *out, const struct nlmsghdr *nlh)
{
	struct nftnl_chain *c = MUST(nftnl_chain_alloc());

	ck_assert_int_eq(nftnl_chain_nlmsg_parse(nlh, c), 0);
	if (nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM))
		fprintf(out, "  hook %u priority %d policy %u\n", nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM),
			nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO), nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY));
	nftnl_chain_free(c);
}

/* Elements as the attributes they are: nftnl parses only what the kernel sends. */
static void print_attributes(FILE *out, const struct nlattr *parent, int depth)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, parent) {
		const uint8_t *bytes = mnl_attr_get_payload(attr);

		fprintf(out, "%*s%u", 2 * depth, "", mnl_attr_get_type(attr));
		if (attr->nla_type & NLA_F_NESTED) {
			fputc('\n', out);
			print_attributes(out, attr, depth + 1);
			continue;
		}
		for (size_t i = 0; i < mnl_attr_get_payload_len(attr); i++)
			fprintf(out, "%s%02x", i ? "" : " ", bytes[i]);
		fputc('\n', out);
	}
}

static void print_elements(FILE *out, const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, 4)
		if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_LIST_ELEMENTS)
			print_attributes(out, attr, 1);
}

static void print_set(FILE *out, const struct nlmsghdr *nlh)
{
	struct nftnl_set *s = MUST(nftnl_set_alloc());

	ck_assert_int_eq(nftnl_set_nlmsg_parse(nlh, s), 0);
	fprintf(out, "  key type %#x length %u flags %#x\n", nftnl_set_get_u32(s, NFTNL_SET_KEY_TYPE),
		nftnl_set_get_u32(s, NFTNL_SET_KEY_LEN), nftnl_set_get_u32(s, NFTNL_SET_FLAGS));
	nftnl_set_free(s);
}

char *bytecode_of(struct txn *t)
{
	char *text = NULL;
	size_t size, offset = 0;
	FILE *out;

	txn_elements_flush(t);
	out = open_memstream(&text, &size);
	for (size_t i = 0; i < t->labels.n; i++) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)(t->bytes + offset);

		offset += MNL_ALIGN(nlh->nlmsg_len);
		fprintf(out, "%s\n", t->labels.v[i]);
		switch (nlh->nlmsg_type & 0xff) {
		case NFT_MSG_NEWRULE: print_rule(out, nlh); break;
		case NFT_MSG_NEWCHAIN: print_chain(out, nlh); break;
		case NFT_MSG_NEWSET: print_set(out, nlh); break;
		case NFT_MSG_NEWSETELEM:
		case NFT_MSG_DELSETELEM: print_elements(out, nlh); break;
		}
	}
	fclose(out);
	return text;
}

void bytecode_check(const char *name, const char *text)
{
	CLEAN_FREE char *path = mem_printf("tests/golden/%s", name), *golden = NULL;
	bool update = getenv("MOAT_UPDATE_GOLDEN") != NULL;
	FILE *file = fopen(path, update ? "w" : "r");
	size_t size = 0;

	ck_assert_msg(file, "%s: %s (run from the top of the tree)", path, strerror(errno));
	if (update) {
		fputs(text, file);
	} else if (getdelim(&golden, &size, '\0', file) < 0 || strcmp(golden, text) != 0) {
		fputs(text, stderr);
		ck_abort_msg("bytecode differs from %s; what is built now stands above", path);
	}
	fclose(file);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Others that enforce policies, by what they leave in the kernel. */
#include <check.h>
#include <string.h>

#include "moat/enforcers.h"
#include "tests/netpods.h"

static char found[1024];

static void note(const char *who, const char *sign, void *arg)
{
	(void)arg;
	if (!who[0]) /* the machine's own iptables-legacy, if it has any */
		return;
	strncat(found, who, sizeof(found) - strlen(found) - 1);
	strncat(found, ": ", sizeof(found) - strlen(found) - 1);
	strncat(found, sign, sizeof(found) - strlen(found) - 1);
	strncat(found, "\n", sizeof(found) - strlen(found) - 1);
}

static const char *look(void)
{
	struct err err;

	found[0] = '\0';
	ck_assert_msg(enforcers_each(note, NULL, &err) == 0, "%s", err.text);
	return found;
}

START_TEST(what_only_looks_like_one_is_none)
{
	netpods_sh("nft 'add table ip filter; add chain ip filter KUBE-FORWARD; add chain ip filter calico; add table inet calico;"
		   "add table ip kindnet-network-policies'; ip link add cilium type veth peer name xcilium_host");
	ck_assert_str_eq(look(), "");
}
END_TEST

START_TEST(each_is_known_by_its_sign)
{
	static const char *const signs[][2] = {
		{"nft 'add table ip filter; add chain ip filter cali-FORWARD'", "Calico: chain cali-FORWARD of table ip filter\n"},
		{"nft 'delete table ip filter; add table ip6 calico'", "Calico: table ip6 calico\n"},
		{"nft 'delete table ip6 calico; add table ip6 filter; add chain ip6 filter KUBE-ROUTER-FORWARD'",
		 "kube-router: chain KUBE-ROUTER-FORWARD of table ip6 filter\n"},
		{"nft 'delete table ip6 filter; add table inet kindnet-network-policies'", "kindnet: table inet kindnet-network-policies\n"},
		{"nft 'delete table inet kindnet-network-policies; add table inet kube-network-policies'",
		 "kube-network-policies: table inet kube-network-policies\n"},
		{"nft 'delete table inet kube-network-policies'; ip link add cilium_host type veth peer name other", "Cilium: interface cilium_host\n"},
		{"ip link del cilium_host", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
		netpods_sh(signs[i][0]);
		ck_assert_str_eq(look(), signs[i][1]);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("enforcers");
	Suite *s = suite_create("enforcers");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, netpods_make, netpods_remove);
	tcase_add_test(t, what_only_looks_like_one_is_none);
	tcase_add_test(t, each_is_known_by_its_sign);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

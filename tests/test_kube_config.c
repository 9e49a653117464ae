/* SPDX-License-Identifier: Apache-2.0 */
/* Kubeconfigs: what is taken of them, and what is refused. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policyd/source/kube_config.h"

#define CLUSTER "server: \"https://192.0.2.1:6443\", certificate-authority-data: Y2E="
#define USER "token: secret"

static char path[] = "/tmp/moat-test-XXXXXX";
static struct kube_config c;

static void setup(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	memset(&c, 0, sizeof(c));
}

static void teardown(void)
{
	kube_config_done(&c);
	unlink(path);
}

static int read_config(const char *cluster, const char *user, struct err *err)
{
	FILE *f = fopen(path, "w");

	kube_config_done(&c);
	fprintf(f,
		"apiVersion: v1\nkind: Config\ncurrent-context: two\n"
		"contexts:\n- {name: one, context: {cluster: other, user: other}}\n- {name: two, context: {cluster: c, user: u}}\n"
		"clusters:\n- {name: other, cluster: {server: \"https://other\"}}\n- {name: c, cluster: {%s}}\n"
		"users:\n- {name: u, user: {%s}}\n",
		cluster, user);
	fclose(f);
	return kube_config_read(path, &c, err);
}

static void accept(const char *cluster, const char *user)
{
	struct err err = {0};

	ck_assert_msg(read_config(cluster, user, &err) == 0, "%s", err.text);
}

static void refuse(const char *cluster, const char *user, const char *expected)
{
	struct err err = {0};

	ck_assert_msg(read_config(cluster, user, &err) < 0, "accepted: %s %s", cluster, user);
	ck_assert_msg(strstr(err.text, expected) != NULL, "\"%s\" lacks \"%s\"", err.text, expected);
	ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
	ck_assert_ptr_null(c.host);
}

static void ck_credential(const struct kube_credential *credential, const char *expected)
{
	CLEAN_FREE char *bytes = NULL;
	struct err err;
	size_t len;

	ck_assert_int_eq(kube_credential_load(credential, &bytes, &len, &err), 0);
	if (!expected) {
		ck_assert_ptr_null(bytes);
		return;
	}
	ck_assert_str_eq(bytes, expected);
	ck_assert_uint_eq(len, strlen(expected));
}

START_TEST(current_context_is_followed)
{
	accept(CLUSTER, USER);
	ck_assert_str_eq(c.host, "192.0.2.1");
	ck_assert_uint_eq(c.port, 6443);
	ck_assert_str_eq(c.prefix, "");
	ck_assert_ptr_null(c.tls_server_name);
	ck_assert(!c.no_compression);
	ck_credential(&c.ca, "ca");
	ck_credential(&c.token, "secret");
	ck_credential(&c.cert, NULL);
}
END_TEST

START_TEST(servers_are_hosts_ports_and_prefixes)
{
	accept("server: \"https://api.example/\"", USER);
	ck_assert_str_eq(c.host, "api.example");
	ck_assert_uint_eq(c.port, 443);
	ck_assert_str_eq(c.prefix, "");
	accept("server: \"https://[2001:db8::1]:8443/k8s/clusters/c-1//\", tls-server-name: kube.example, disable-compression: true", USER);
	ck_assert_str_eq(c.host, "2001:db8::1");
	ck_assert_uint_eq(c.port, 8443);
	ck_assert_str_eq(c.prefix, "/k8s/clusters/c-1");
	ck_assert_str_eq(c.tls_server_name, "kube.example");
	ck_assert(c.no_compression);
	refuse("server: \"http://192.0.2.1\"", USER, "is not https://");
	refuse("server: \"https://\"", USER, "is not https://");
	refuse("server: \"https://a:0\"", USER, "port");
	refuse("server: \"https://a:65536\"", USER, "port");
	refuse("server: \"https://a:1x\"", USER, "port");
	refuse("server: \"https://user@a\"", USER, "is not https://");
	refuse("server: \"https://[::1\"", USER, "is not https://");
	refuse("server: \"https://[::1]x\"", USER, "is not https://");
	refuse("certificate-authority-data: Y2E=", USER, "no server");
}
END_TEST

START_TEST(data_counts_before_files_and_a_token_file_before_a_token)
{
	accept("server: \"https://a\", certificate-authority: none, certificate-authority-data: Y2E=", "token: t, tokenFile: tok");
	ck_credential(&c.ca, "ca");
	ck_assert_str_eq(c.token.file, "/tmp/tok");
	accept("server: \"https://a\", certificate-authority: /etc/ca", "client-certificate: a.crt, client-key-data: a2V5");
	ck_assert_str_eq(c.ca.file, "/etc/ca");
	ck_assert_str_eq(c.cert.file, "/tmp/a.crt");
	ck_credential(&c.key, "key");
	refuse("server: \"https://a\", certificate-authority-data: \"%%\"", USER, "base64");
	refuse(CLUSTER, "client-certificate: a.crt", "needs its key");
	refuse(CLUSTER, "client-key-data: a2V5", "needs its key");
}
END_TEST

/* Each says what to use instead. */
START_TEST(what_weakens_or_cannot_be_done_is_refused)
{
	refuse(CLUSTER ", insecure-skip-tls-verify: true", USER, "insecure-skip-tls-verify");
	refuse(CLUSTER ", proxy-url: \"http://p\"", USER, "proxy-url");
	refuse(CLUSTER, "exec: {command: aws}", "give a token");
	refuse(CLUSTER, "auth-provider: {name: gcp}", "give a token");
	refuse(CLUSTER, "username: a, password: b", "give a token");
	refuse(CLUSTER, "as: somebody", "give a token");
	accept(CLUSTER ", insecure-skip-tls-verify: false", USER);
}
END_TEST

static void refuse_text(const char *text, const char *expected)
{
	FILE *f = fopen(path, "w");
	struct err err;

	fputs(text, f);
	fclose(f);
	ck_assert_int_lt(kube_config_read(path, &c, &err), 0);
	ck_assert_msg(strstr(err.text, expected) != NULL, "\"%s\" lacks \"%s\"", err.text, expected);
}

START_TEST(what_is_not_there_is_named)
{
	struct err err;

	refuse_text("", "0 documents");
	refuse_text("{}", "current-context");
	refuse_text("current-context: a\ncontexts: [{name: b}]\n", "\"a\" is not in contexts");
	refuse_text("current-context: a\ncontexts: [{name: a, context: {cluster: x, user: y}}]\n", "cluster \"x\"");
	refuse_text("a: [", "broken YAML");
	ck_assert_int_lt(kube_config_read("/tmp/no/such", &c, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "/tmp/no/such"));
}
END_TEST

START_TEST(pods_are_given_their_server)
{
	struct err err;

	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	ck_assert_int_eq(kube_config_from_pod(&c, &err), 0);
	ck_assert_str_eq(c.host, "fd00::1");
	ck_assert_uint_eq(c.port, 443);
	ck_assert_str_eq(c.token.file, "/var/run/secrets/kubernetes.io/serviceaccount/token");
	ck_assert_str_eq(c.ca.file, "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
	unsetenv("KUBERNETES_SERVICE_HOST");
	ck_assert(!kube_config_is_in_pod());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kube_config");
	TCase *t = tcase_create("kube_config");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, current_context_is_followed);
	tcase_add_test(t, servers_are_hosts_ports_and_prefixes);
	tcase_add_test(t, data_counts_before_files_and_a_token_file_before_a_token);
	tcase_add_test(t, what_weakens_or_cannot_be_done_is_refused);
	tcase_add_test(t, what_is_not_there_is_named);
	tcase_add_test(t, pods_are_given_their_server);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}

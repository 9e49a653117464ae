/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: TLS, credentials, connection. CA, certificate and key go to curl as bytes: it compares them with those of its open
 * connections, and makes a new one if they differ. (By their files' names it would not know that they changed, and of a CA's
 * file it keeps what it read for a day.)
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "policyd/source/kube_http_internal.h"

#define CONNECT_S 10L
#define DEAD_S 25

/* What curl has no option for in every version: how often the kernel asks, and how long what was sent may be unacknowledged. */
static int on_new_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 10},	{IPPROTO_TCP, TCP_KEEPINTVL, 5},
		{IPPROTO_TCP, TCP_KEEPCNT, 3}, {IPPROTO_TCP, TCP_USER_TIMEOUT, DEAD_S * 1000},
	};

	(void)arg;
	(void)purpose;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
	return CURL_SOCKOPT_OK;
}

static void set_transport(struct kube_request *r)
{
	CURL *e = r->easy;

	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)r->call.timeout_s);
	curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "moat-policyd");
	if (!r->http->config->no_compression)
		curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, ""); /* whatever this curl can undo */
	if (r->http->addresses) {
		CLEAN_FREE char *known = mem_printf("%s:%u:%s", r->http->config->host, r->http->config->port, r->http->addresses);

		r->resolve = curl_slist_append(NULL, known);
		curl_easy_setopt(e, CURLOPT_RESOLVE, r->resolve);
	}
	if (r->connect)
		curl_easy_setopt(e, CURLOPT_CONNECT_TO, r->connect);
}

static int set_credential(CURL *easy, CURLoption option, const struct kube_credential *c, struct err *err)
{
	CLEAN_FREE char *bytes = NULL;
	size_t len = 0;
	int code = kube_credential_load(c, &bytes, &len, err);
	struct curl_blob blob = {.data = bytes, .len = len, .flags = CURL_BLOB_COPY};

	if (bytes)
		curl_easy_setopt(easy, option, &blob);
	return code;
}

static int set_token(struct kube_request *r, struct err *err)
{
	CLEAN_FREE char *token = NULL, *header = NULL;
	size_t len = 0;
	int code = kube_credential_load(&r->http->config->token, &token, &len, err);

	if (code < 0 || !token)
		return code;
	while (len && (token[len - 1] == '\n' || token[len - 1] == '\r' || token[len - 1] == ' '))
		token[--len] = '\0';
	if (!len || strlen(token) != len || strpbrk(token, " \r\n"))
		return err_set(err, EINVAL, "the token of %s is not one word", r->http->config->from);
	header = mem_printf("Authorization: Bearer %s", token);
	r->headers = curl_slist_append(r->headers, header);
	return 0;
}

static int set_identity(struct kube_request *r, struct err *err)
{
	const struct kube_config *c = r->http->config;
	int code = set_credential(r->easy, CURLOPT_CAINFO_BLOB, &c->ca, err);

	if (code == 0)
		code = set_credential(r->easy, CURLOPT_SSLCERT_BLOB, &c->cert, err);
	if (code == 0)
		code = set_credential(r->easy, CURLOPT_SSLKEY_BLOB, &c->key, err);
	if (code == 0)
		code = set_token(r, err);
	r->headers = curl_slist_append(r->headers, "Accept: application/json");
	if (r->http->host_header)
		r->headers = curl_slist_append(r->headers, r->http->host_header);
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
	return code;
}

int kube_http_set_up(struct kube_request *r, struct err *err)
{
	set_transport(r);
	return set_identity(r, err);
}

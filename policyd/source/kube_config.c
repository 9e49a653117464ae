/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields and their precedence are those of client-go's kubeconfig (k8s.io/client-go/tools/clientcmd/api/v1): data before files, a token
 * file before a token.
 */
#include "policyd/source/kube_config.h"

#include <fcntl.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moat/text.h"
#include "policyd/decode/doc.h"

#define POD_FILES "/var/run/secrets/kubernetes.io/serviceaccount/"
#define CREDENTIAL_BYTES_MAX (1 << 20) /* the CAs of a large company are some 200 KiB */

static void credential_done(struct kube_credential *c)
{
	free(c->file);
	free(c->bytes);
	*c = (struct kube_credential){0};
}

void kube_config_done(struct kube_config *c)
{
	free(c->from);
	free(c->host);
	free(c->prefix);
	free(c->tls_server_name);
	credential_done(&c->ca);
	credential_done(&c->cert);
	credential_done(&c->key);
	credential_done(&c->token);
	memset(c, 0, sizeof(*c));
}

static int read_whole(const char *file, char **ret, size_t *ret_len, struct err *err)
{
	CLEAN_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEAN_FREE char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "%s", file);
	if (!S_ISREG(st.st_mode) || st.st_size > CREDENTIAL_BYTES_MAX)
		return err_set(err, EINVAL, "%s is no regular file of at most %d bytes", file, CREDENTIAL_BYTES_MAX);
	text = mem_alloc((size_t)st.st_size + 1);
	while (len < (size_t)st.st_size && (got = read(fd, text + len, (size_t)st.st_size - len)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, errno, "%s", file);
		len += (size_t)got;
	}
	text[len] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

int kube_credential_load(const struct kube_credential *c, char **ret, size_t *ret_len, struct err *err)
{
	*ret = NULL;
	*ret_len = 0;
	if (c->file)
		return read_whole(c->file, ret, ret_len, err);
	if (c->bytes) {
		*ret = mem_strndup(c->bytes, c->len);
		*ret_len = c->len;
	}
	return 0;
}

/* https://host[:port][/prefix], the host perhaps in brackets. */
static int parse_server(const char *url, struct kube_config *c, struct err *err)
{
	static const char scheme[] = "https://";
	const char *at = url + strlen(scheme), *host_end, *slash;
	size_t prefix_len;

	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return err_set(err, EINVAL, "server \"%s\" is not https://…; a server that proves nothing may say anything", TEXT(url));
	if (*at == '[') {
		at++;
		host_end = strchr(at, ']');
		slash = host_end ? host_end + 1 : NULL;
	} else {
		slash = host_end = at + strcspn(at, ":/");
	}
	if (!host_end || host_end == at || (*slash && *slash != ':' && *slash != '/') || strpbrk(url, "@?# \t\r\n"))
		return err_set(err, EINVAL, "server \"%s\" is not https://host:port", TEXT(url));
	c->host = mem_strndup(at, (size_t)(host_end - at));
	c->port = 443;
	if (*slash == ':') {
		char *end;
		unsigned long port = strtoul(slash + 1, &end, 10);

		if (end == slash + 1 || port < 1 || port > 65535 || (*end && *end != '/'))
			return err_set(err, EINVAL, "server \"%s\" has no port of 1 to 65535", TEXT(url));
		c->port = (unsigned)port;
		slash = end;
	}
	prefix_len = strlen(slash);
	while (prefix_len && slash[prefix_len - 1] == '/')
		prefix_len--;
	c->prefix = mem_strndup(slash, prefix_len);
	return 0;
}

static int decode_base64(const char *text, const char *field, struct kube_credential *ret, struct err *err)
{
	size_t len = strlen(text), out = BASE64_DECODE_LENGTH(len);
	CLEAN_FREE char *bytes = mem_alloc(out + 1);
	struct base64_decode_ctx ctx;

	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &out, (uint8_t *)bytes, len, text) || !base64_decode_final(&ctx) || !out)
		return err_set(err, EINVAL, "%s is not base64", field);
	bytes[out] = '\0';
	ret->bytes = TAKE_PTR(bytes);
	ret->len = out;
	return 0;
}

static char *path_beside(const char *kubeconfig, const char *path)
{
	const char *slash = strrchr(kubeconfig, '/');

	if (path[0] == '/' || !slash)
		return mem_strdup(path);
	return mem_printf("%.*s/%s", (int)(slash - kubeconfig), kubeconfig, path);
}

/* <field>-data, else <field>, a path. */
static int read_credential(const char *kubeconfig, const struct doc *map, const char *field, struct kube_credential *ret, struct err *err)
{
	CLEAN_FREE char *data_field = mem_printf("%s-data", field);
	const char *data = doc_text(map, data_field), *file = doc_text(map, field);

	if (data && data[0])
		return decode_base64(data, data_field, ret, err);
	if (file && file[0])
		ret->file = path_beside(kubeconfig, file);
	return 0;
}

static int read_cluster(const char *file, const struct doc *cluster, struct kube_config *c, struct err *err)
{
	const char *server = doc_text(cluster, "server"), *name = doc_text(cluster, "tls-server-name");
	const struct doc *insecure = doc_get(cluster, "insecure-skip-tls-verify"), *plain = doc_get(cluster, "disable-compression");
	int code;

	if (insecure && strcmp(insecure->text ? insecure->text : "", "false") != 0)
		return err_set(err, EINVAL,
			       "insecure-skip-tls-verify is refused: who answers decides what pods may do; give certificate-authority");
	if (doc_get(cluster, "proxy-url"))
		return err_set(err, EINVAL, "proxy-url is not supported; give a server that this node reaches");
	if (!server)
		return err_set(err, EINVAL, "the cluster has no server");
	code = parse_server(server, c, err);
	if (code == 0)
		code = read_credential(file, cluster, "certificate-authority", &c->ca, err);
	c->tls_server_name = name && name[0] ? mem_strdup(name) : NULL;
	c->no_compression = plain && plain->text && !strcmp(plain->text, "true");
	return code;
}

static int read_user(const char *file, const struct doc *user, struct kube_config *c, struct err *err)
{
	static const char *const refused[][2] = {
		{"exec", "the daemon executes nothing"},
		{"auth-provider", "it is gone from Kubernetes since 1.26"},
		{"username", "API servers have no passwords since 1.19"},
		{"password", "API servers have no passwords since 1.19"},
		{"as", "impersonation is for people"},
	};
	const char *token = doc_text(user, "token"), *token_file = doc_text(user, "tokenFile");
	int code;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (doc_get(user, refused[i][0]))
			return err_set(err, EINVAL, "%s is not supported (%s); give a token, a tokenFile or a client certificate", refused[i][0],
				       refused[i][1]);
	code = read_credential(file, user, "client-certificate", &c->cert, err);
	if (code == 0)
		code = read_credential(file, user, "client-key", &c->key, err);
	if (code == 0 && (c->cert.file || c->cert.bytes) != (c->key.file || c->key.bytes))
		code = err_set(err, EINVAL, "a client certificate needs its key, and a key its certificate");
	if (token_file && token_file[0]) {
		c->token.file = path_beside(file, token_file);
	} else if (token && token[0]) {
		c->token.bytes = mem_strdup(token);
		c->token.len = strlen(token);
	}
	return code;
}

/* The map under `field` of the element of `list` that is named so. */
static const struct doc *find_named(const struct doc *root, const char *list, const char *field, const char *name)
{
	const struct doc *items = doc_get(root, list);

	for (size_t i = 0; items && items->kind == DOC_LIST && i < items->n; i++) {
		const char *own = doc_text(&items->items[i], "name");

		if (own && name && !strcmp(own, name))
			return doc_get(&items->items[i], field);
	}
	return NULL;
}

static int read_root(const char *file, const struct doc *root, struct kube_config *c, struct err *err)
{
	const char *current = doc_text(root, "current-context");
	const struct doc *context = find_named(root, "contexts", "context", current), *cluster, *user;
	int code;

	if (!context)
		return err_set(err, EINVAL, "current-context \"%s\" is not in contexts", TEXT(current));
	cluster = find_named(root, "clusters", "cluster", doc_text(context, "cluster"));
	user = find_named(root, "users", "user", doc_text(context, "user"));
	if (!cluster || !user)
		return err_set(err, EINVAL, "%s \"%s\" of context \"%s\" is not there", cluster ? "user" : "cluster",
			       TEXT(doc_text(context, cluster ? "user" : "cluster")), TEXT(current));
	code = read_cluster(file, cluster, c, err);
	return code < 0 ? code : read_user(file, user, c, err);
}

int kube_config_read(const char *file, struct kube_config *ret, struct err *err)
{
	struct kube_config c = {.from = mem_strdup(file)};
	CLEAN_FREE char *text = NULL;
	struct doc_list docs = {0};
	size_t len = 0;
	int code = read_whole(file, &text, &len, err);

	if (code == 0) {
		code = doc_parse(text, len, &docs, err);
		if (code == 0 && docs.n != 1)
			code = err_set(err, EINVAL, "%zu documents, one was expected", docs.n);
		if (code == 0)
			code = read_root(file, docs.v[0], &c, err);
		if (code < 0)
			err_wrap(err, "kubeconfig %s", file);
	}
	doc_list_done(&docs);
	if (code < 0)
		kube_config_done(&c);
	else
		*ret = c;
	return code;
}

bool kube_config_is_in_pod(void)
{
	return getenv("KUBERNETES_SERVICE_HOST") && access(POD_FILES "token", F_OK) == 0;
}

int kube_config_from_pod(struct kube_config *ret, struct err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	CLEAN_FREE char *url = mem_printf(host && strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host ? host : "", port ? port : "443");
	struct kube_config c = {.from = mem_strdup("the pod's service account")};
	int code = parse_server(url, &c, err);

	if (code < 0) {
		kube_config_done(&c);
		return err_wrap(err, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT");
	}
	c.ca.file = mem_strdup(POD_FILES "ca.crt");
	c.token.file = mem_strdup(POD_FILES "token");
	*ret = c;
	return 0;
}

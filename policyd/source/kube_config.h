/* SPDX-License-Identifier: Apache-2.0 */
/* Where the API server is, how it proves itself, and how we do: from a kubeconfig or from what every pod is given. */
#ifndef POLICYD_KUBE_CONFIG_H
#define POLICYD_KUBE_CONFIG_H

#include "moat/err.h"

/* A file, read anew for each request because it may be rotated, or bytes of the kubeconfig itself, or neither. */
struct kube_credential {
	char *file;
	char *bytes;
	size_t len;
};

struct kube_config {
	char *from;            /* for messages: the kubeconfig's path, or "the pod's service account" */
	char *host;            /* a name or an address without brackets */
	unsigned port;
	char *prefix;          /* what stands before /api and /apis, "" as a rule */
	char *tls_server_name; /* what the server's certificate must say instead of host; NULL: host */
	bool no_compression;   /* disable-compression of the kubeconfig */
	struct kube_credential ca;    /* neither: what the machine trusts */
	struct kube_credential cert, key;
	struct kube_credential token;
};

/*
 * current-context of a kubeconfig. What would weaken or what cannot be done here (insecure-skip-tls-verify, exec, auth-provider,
 * username, impersonation, proxy-url, plain HTTP) is an error that says what to use. Relative paths are relative to the file.
 */
int kube_config_read(const char *file, struct kube_config *ret, struct err *err);

/* In a pod the kubelet gives the server by environment variables, and token and CA as files. */
bool kube_config_is_in_pod(void);
int kube_config_from_pod(struct kube_config *ret, struct err *err);

void kube_config_done(struct kube_config *c);

/* The credential as it is now, NUL-terminated; *ret NULL if there is none. The caller frees. */
int kube_credential_load(const struct kube_credential *c, char **ret, size_t *ret_len, struct err *err);

#endif

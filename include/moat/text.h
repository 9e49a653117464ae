/* SPDX-License-Identifier: Apache-2.0 */
/* Text from outside: escaped before it is shown, validated before it names anything. */
#ifndef MOAT_TEXT_H
#define MOAT_TEXT_H

#include "moat/err.h"

/*
 * Copies text to out[size] with everything but printable ASCII (and the backslash) as \xNN; cut with "..." when it does not
 * fit. The one door from tenants' text to a log line, a terminal, an error or a label. text NULL gives "(none)". Returns out.
 */
const char *text_escape(const char *text, char *out, size_t size);

/* text_escape into a buffer of the caller's block, for use as a printf argument: at most 255 characters are shown. */
#define TEXT(s) text_escape((s), (char[256]){0}, 256)

/* Kubernetes names, validated whatever the source (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/). */
bool text_is_dns1123_label(const char *s);     /* namespaces: [a-z0-9]([-a-z0-9]*[a-z0-9])?, ≤ 63 */
bool text_is_dns1123_subdomain(const char *s); /* pods, policies: labels joined by dots, ≤ 253 */
bool text_is_label_key(const char *s);         /* [prefix/]name, prefix a subdomain, name ≤ 63 */
bool text_is_label_value(const char *s);       /* empty or ≤ 63 of [A-Za-z0-9._-], alphanumeric ends */
bool text_is_port_name(const char *s);         /* IANA_SVC_NAME: ≤ 15, [a-z0-9-], a letter, no double hyphen, alphanumeric ends */

/* CNI (specification 1.1.0, sections 1 and 2): [a-zA-Z0-9][a-zA-Z0-9_.-]*; ≤ max characters. */
bool text_is_cni_name(const char *s, size_t max);
/* Linux: 1…15 bytes, not "." or "..", no slash, colon, space or control character (dev_valid_name). */
bool text_is_ifname(const char *s);

#endif

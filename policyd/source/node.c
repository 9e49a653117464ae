/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/source/node.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "moat/text.h"

#define HOSTNAME_MAX 64 /* of Linux */

char *node_name_of_host(const char *hostname)
{
	size_t len;
	char *name;

	while (isspace((unsigned char)*hostname))
		hostname++;
	len = strlen(hostname);
	while (len && isspace((unsigned char)hostname[len - 1]))
		len--;
	name = mem_strndup(hostname, len);
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (text_is_dns1123_subdomain(name))
		return name;
	free(name);
	return NULL;
}

static int take(const char *name, const char *from, char **ret, struct err *err)
{
	if (!text_is_dns1123_subdomain(name))
		return err_set(err, EINVAL, "%s is \"%s\": not the name of a node; use what kubectl get nodes shows", from, TEXT(name));
	*ret = mem_strdup(name);
	return 0;
}

int node_name(const char *option, char **ret, struct err *err)
{
	const char *environment = getenv("NODE_NAME");
	char hostname[HOSTNAME_MAX + 1] = "";

	*ret = NULL;
	if (option)
		return take(option, "--node", ret, err);
	if (environment && *environment)
		return take(environment, "NODE_NAME", ret, err);
	if (gethostname(hostname, sizeof(hostname)) == 0)
		*ret = node_name_of_host(hostname);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The result of the plugins before (CNI 1.1.0, section 5, "ADD Success"; the same members since 0.3.0). */
#ifndef MOAT_PLUGIN_CNI_RESULT_H
#define MOAT_PLUGIN_CNI_RESULT_H

#include "moat/attachment.h"
#include "plugin/cni_config.h"

/*
 * The pod addresses that prevResult gives to the interface `ifname` in `netns`: entries of "ips" whose "interface" is one of this name
 * and sandbox, or that name no interface. Link-local ones are left out: their packets are lost at the port anyway. At most
 * ATTACHMENT_ADDRS_MAX, without duplicates. None is not an error here.
 */
int cni_result_read_addrs(const struct cni_config *config, const char *ifname, const char *netns,
			  struct addr addrs[ATTACHMENT_ADDRS_MAX], size_t *ret_n, struct cni_error *e);

/* prevResult's own bytes, but for a missing or different cniVersion. Caller frees. */
char *cni_result_echo(const struct cni_config *config);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What moat-install is told, and the names that it uses on the node. */
#ifndef INSTALL_OPTIONS_H
#define INSTALL_OPTIONS_H

#include "moat/base.h"

#define CONFLIST_NAME "00-moat.conflist"
#define PLUGIN_NAME "moat"

struct install_options {
	const char *conf_dir; /* network configurations of the container runtime */
	const char *bin_dir;  /* its plugins */
	const char *plugin;   /* the binary to install */
	const char *settings; /* file with the keys of the moat entry; NULL: none, all defaults */
	VEC(const char *) accepted; /* types of primaries that the administrator vouches for */
	bool standalone;      /* no primary: ptp with the Node's podCIDRs */
	bool hold;            /* when done, stay until SIGTERM */
};

#endif

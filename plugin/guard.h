/* SPDX-License-Identifier: Apache-2.0 */
/* The locked part of ADD: from a checked attachment to a closed pod, or back to nothing. */
#ifndef MOAT_PLUGIN_GUARD_H
#define MOAT_PLUGIN_GUARD_H

#include "moat/bridge.h"
#include "plugin/cni_error.h"

/*
 * State file, the bridge's settings (bridge NULL: routed), batch, the port once more, conntrack. On success the pod is closed and everything that others knew or had of its
 * addresses is gone. On failure nothing is left that DEL would not find. a->created may be moved so that it differs from
 * an earlier attachment's of the same key.
 */
int guard_attachment(struct attachment *a, const struct bridge *bridge, struct cni_error *e);

#endif

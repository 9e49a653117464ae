/* SPDX-License-Identifier: Apache-2.0 */
/* Whose the static sets are. */
#include <string.h>

#include "moat/ruleset.h"

#define BOTH(sets) {&(sets)[0], SETS_OF_PODS}, {&(sets)[1], SETS_OF_PODS}

static const struct {
	const struct set_spec *set;
	enum set_owner owner;
} sets[] = {
	{&set_ports, SETS_OF_PODS},
	{&set_links, SETS_OF_PODS},
	{&set_bridge_ports, SETS_OF_PODS},
	BOTH(set_pods),
	BOTH(set_own),
	BOTH(set_open_node),
	BOTH(set_self),
	BOTH(map_from_pod),
	BOTH(map_from_addr),
	BOTH(map_to_pod),
	{&set_nodes[0], SETS_OF_NODE},
	{&set_nodes[1], SETS_OF_NODE},
	{&set_unsettled[0], SETS_OF_NODE},
	{&set_unsettled[1], SETS_OF_NODE},
	{&set_tunnel_ports, SETS_OF_NODE},
	{&set_known[0], SETS_OF_PEERS},
	{&set_known[1], SETS_OF_PEERS},
	{&set_tunnel_protocols, SETS_FIXED},
	{&set_extensions, SETS_FIXED},
	{&link_ports, SETS_OF_PODS},
	{&link_links, SETS_OF_PODS},
	{&link_bridge_of_port, SETS_OF_PODS},
	{&link_macs, SETS_OF_PODS},
	{&link_pod_macs, SETS_OF_PODS},
	BOTH(link_plain),
	BOTH(link_addrs),
	BOTH(link_pods),
	BOTH(link_bridge_of),
	{&link_bridges, SETS_OF_BRIDGES},
	{&link_node[0], SETS_OF_BRIDGES},
	{&link_node[1], SETS_OF_BRIDGES},
};

const struct set_spec *ruleset_find_set(enum table table, const char *name, enum set_owner *ret_owner)
{
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		if (sets[i].set->table == table && !strcmp(sets[i].set->name, name)) {
			*ret_owner = sets[i].owner;
			return sets[i].set;
		}
	}
	return NULL;
}

bool ruleset_has_chain(enum table table, const char *name)
{
	const struct static_part *part = &static_parts[table];

	for (size_t i = 0; i < *part->n_chains; i++)
		if (!strcmp(name, part->chains[i].name))
			return true;
	return false;
}

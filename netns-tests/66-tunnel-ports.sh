#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tunnelPorts of the conflist: ADD brings the kernel's set to the list, a wrong list is a clear error, the daemon follows it, and what a
# stranger deletes comes back with the list and not with the default.
#
#   ext (a node for the daemon) --- node --- a        whose policy allows it everything
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

tunnels() { conflist_write "{\"type\": \"moat\", \"tunnelPorts\": $1}"; }
ports() # PORT…: the kernel has these and no others
{
	local stands
	stands=$(nft list set inet moat tunnel_ports | tr -d '\n' | sed 's/.*elements = {\([^}]*\)}.*/\1/' | tr -d ' \t' | tr , '\n' | sort -n | tr '\n' ' ')
	[ "$stands" = "$(printf '%s\n' "$@" | sort -n | tr '\n' ' ')" ]
}
has_ports() { wait_until 3 ports "$@" || fail "tunnel ports are $(nft list set inet moat tunnel_ports | tr -d '\n')"; }

# Both ways a tunnel can go: to the own node, and to another one.
only_closed() # PORT OTHER…: of these the first is closed, the others open
{
	local port to
	for to in node ext; do
		deny a $to "$1" udp
		for port in "${@:2}"; do
			allow a $to "$port" udp
		done
	done
}

topology
listen node 8472 9000
listen ext 8472 9000
manifest_namespace default
policy all default 'podSelector: {}, policyTypes: [ Egress, Ingress ], egress: [ {} ], ingress: [ {} ]'
manifest ext <<-END
	apiVersion: v1
	kind: Node
	metadata: { name: ext }
	status: { addresses: [ { type: InternalIP, address: ${ADDR4[ext]} }, { type: ExternalIP, address: "${ADDR6[ext]}" } ] }
END
pod_add a
manifest_pod a
daemon_start
settled
step "the default"
has_ports 8472 4789 6081 51820
only_closed 8472 9000

step "ADD of a list: the kernel has it, once and again"
tunnels '[ 9000 ]'
pod_add b
has_ports 9000
only_closed 9000 8472
pod_add c
has_ports 9000

step "the daemon builds anew what a stranger deletes: with the list"
nft delete table inet moat
has_ports 9000
eventually deny a ext 9000 udp
eventually allow a ext 8472 udp
daemon_stop TERM

step "and so does ADD alone, of a list without the key"
conflist_write '{"type": "moat"}'
nft delete table inet moat
pod_add d
has_ports 9000

step "a daemon that follows the list, also back to the default"
daemon_start --conflist $CONFLIST
has_ports 8472 4789 6081 51820
only_closed 8472 9000
tunnels '[ 65535, 9000, 1 ]'
has_ports 1 9000 65535
only_closed 9000 8472

step "a wrong list: the pod does not start, the daemon goes on with the last good one"
for list in '[]' '[ 0 ]' '[ 70000 ]' '[ "8472" ]' '8472' "[ $(seq -s, 33) ]"; do
	plugin_fails 7 tunnelPorts STATUS "" "$(config tunnelPorts "$list")"
done
tunnels '[ 70000 ]'
wait_until 3 status_says 'tunnelPorts\[0\] is not a UDP port' || fail "status: $(cat "$T/status.text")"
has_ports 1 9000 65535
conflist_write '{"type": "moat"}'
has_ports 8472 4789 6081 51820

finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod against the connections of others, and against connection tracking itself: each attempt without moat, then with moat. Then
# again with the node's other ways of tracking (tcp_loose, tcp_be_liberal), with zones, and without any tracking.
#
#	mallory  egress to anything            victim  egress to ext, ingress on port 80 from ext
#	closed   nothing allowed               ext, other: hosts on the wire
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/attacks.sh
. "$HERE/lib/attacks.sh"

PODS=(mallory victim closed)
HOLDS=(out4 out6 in4 in6 udp4 udp6)

policies()
{
	local ext='[ { ipBlock: { cidr: 192.168.50.2/32 } }, { ipBlock: { cidr: "fd00:50::2/128" } } ]'
	policy mallory default 'podSelector: { matchLabels: { pod: mallory } }, policyTypes: [ Egress ], egress: [ {} ]'
	policy victim default "podSelector: { matchLabels: { pod: victim } }, policyTypes: [ Ingress, Egress ],
		ingress: [ { from: $ext, ports: [ { protocol: TCP, port: 80 }, { protocol: UDP, port: 80 } ] } ],
		egress: [ { to: $ext } ]"
	manifest_namespace default
}

# stranger PRIORITY RULE: a table of somebody else's
stranger()
{
	nft -f - <<-END
		table inet stranger {
			chain before { type filter hook prerouting priority $1; $2; }
			chain out { type filter hook output priority $1; $2; }
		}
	END
}

# Whether they still answer when all is over.
holds_alive()
{
	local name
	for name in "${HOLDS[@]}"; do
		if wait_until 5 hold_answered "$name" $(($(hold_count "$name") + 3)); then
			observe connections mallory "connection $name after all that" both alive alive alive
		else
			observe connections mallory "connection $name after all that" both alive alive dead
		fi
	done
}

tries()
{
	local loose liberal
	attacks_read connections
	attacks_read tracked
	attacks_send
	for loose in 0 1; do
		for liberal in 0 1; do
			sysctls netfilter/nf_conntrack_tcp_loose=$loose netfilter/nf_conntrack_tcp_be_liberal=$liberal
			attacks_read connections "loose$loose,lib$liberal"
			attacks_send
		done
	done
	sysctls netfilter/nf_conntrack_tcp_loose=1 netfilter/nf_conntrack_tcp_be_liberal=0
	holds_alive
	# a zone of their own for what mallory says: no flow of anybody else is found for it
	stranger -300 "iifname \"$(node_link mallory)\" ip saddr ${ADDR4[mallory]} ct zone set 7; ct zone set 8"
	attacks_read connections zones
	attacks_send
	nft delete table inet stranger
	stranger -500 notrack
	attacks_read connections untracked
	attacks_read untracked
	attacks_send
	nft delete table inet stranger
}

survey() # without|with
{
	local name f
	pass_start "$1"
	for name in "${PODS[@]}"; do
		pod_add "$name"
		[ "$PASS" = without ] || manifest_pod "$name"
	done
	[ "$PASS" = without ] || daemon_start
	for f in 4 6; do
		declare -n addr=ADDR$f
		hold_start out$f victim tcp "${addr[ext]}" 80 --sport 40001
		hold_start in$f ext tcp "${addr[victim]}" 80 --sport 40002
		hold_start udp$f victim udp "${addr[ext]}" 80 --sport 40003
		hold_start node$f ext udp "${addr[node]}" 80 --sport 40010
	done
	quiet "${PODS[@]}" ext other
	sysctls ipv4/conf/{all,wire0}/accept_source_route=1 ipv6/conf/{all,wire0}/seg6_enabled=1
	stage_words "${PODS[@]}" ext other
	words_sort
	capture_start 1 "${PODS[@]}" ext other
	tries
	capture_stop
	for name in "${HOLDS[@]}" node4 node6; do
		hold_stop "$name"
	done
	for name in "${PODS[@]}"; do
		pod_del "$name"
	done
	unquiet ext other
}

topology
host_add other wire1 192.168.60. fd00:60::
listen node 80
policies
conflist_write
survey without
conflist_write '{"type": "moat"}'
survey with
attempts_judge
finish

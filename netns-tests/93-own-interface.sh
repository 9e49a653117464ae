#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod that is root in its network namespace changes its interface: other addresses, routes and translations, another MAC, another
# name, others on top of it, another namespace; after each, what it can send. Then the node's end of its link is renamed, and its
# name taken by another interface.
#
#	mallory  egress to anything       victim  nothing allowed       open  ingress from anything
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/attacks.sh
. "$HERE/lib/attacks.sh"

PODS=(mallory open victim)
HOSTS=(ext other)

policies()
{
	policy mallory default 'podSelector: { matchLabels: { pod: mallory } }, policyTypes: [ Egress ], egress: [ {} ]'
	policy open default 'podSelector: { matchLabels: { pod: open } }, policyTypes: [ Ingress ], ingress: [ {} ]'
	manifest_namespace default
}

inside() { in_netns mallory "$@"; }

# with_it CLASS [FILE]: everything of the file is tried
with_it()
{
	attacks_read "${2:-interface}" "$1"
	attacks_send
}

own_stack()
{
	local name
	inside ip addr add "${ADDR4[open]}/32" dev eth0
	inside ip -6 addr add "${ADDR6[open]}/128" dev eth0 nodad
	inside ip addr add "${ADDR4[other]}/32" dev lo
	inside ip -6 addr add "${ADDR6[other]}/128" dev lo nodad
	inside ip route add "${ADDR4[victim]}/32" via 10.1.0.1 dev eth0 onlink
	inside ip -6 route add "${ADDR6[victim]}/128" via fd00:1::1 dev eth0 onlink
	for name in open other; do # what is its own is not local to it: the packets leave
		inside ip route del local "${ADDR4[$name]}" table local
		inside ip -6 route del local "${ADDR6[$name]}" table local
		inside ip route add "${ADDR4[$name]}/32" via 10.1.0.1 dev eth0 onlink
		inside ip -6 route add "${ADDR6[$name]}/128" via fd00:1::1 dev eth0 onlink
	done
	inside nft -f - <<-END
		table inet own {
			chain post {
				type nat hook postrouting priority 100
				udp dport 5002 snat ip to ${ADDR4[open]}
				udp dport 5002 snat ip6 to ${ADDR6[open]}
			}
		}
	END
	with_it own-stack own-stack
	inside nft delete table inet own
}

names_and_macs()
{
	inside ip link set eth0 name moved0
	SENDER_DEV[mallory]=moved0
	with_it renamed-in-pod
	inside ip link set moved0 name eth0
	inside ip link add link eth0 name top0 type macvlan mode bridge
	inside ip link set top0 up
	SENDER_DEV[mallory]=top0
	with_it macvlan-on-it other-mac
	inside ip link del top0
	inside ip link add br0 type bridge
	inside ip link set eth0 master br0
	inside ip link set br0 up
	inside ip link set br0 address 02:ba:d0:00:00:02
	SENDER_DEV[mallory]=br0
	with_it bridge-over-it other-mac
	inside ip link del br0
	SENDER_DEV[mallory]=eth0
}

elsewhere()
{
	ip netns add deeper
	inside ip link set eth0 netns deeper
	in_netns deeper ip link set eth0 up
	SENDER_AT[mallory]=deeper
	with_it in-deeper-netns
	SENDER_AT[mallory]=mallory
	in_netns deeper ip link set eth0 netns mallory
	inside ip link set eth0 up
	ip netns del deeper
}

other_mac()
{
	local mac
	mac=$(mac_of mallory eth0)
	inside ip link set eth0 address 02:ba:d0:00:00:03
	with_it another-MAC other-mac
	inside ip link set eth0 address "$mac"
}

# The node's end, by whoever is root there: under another name nothing but silence.
node_end()
{
	local port=${PORT[mallory]} class
	ip link set "$port" name strange0
	PATIENCE=1 with_it renamed-on-node renamed
	ip link set strange0 name "$port"
	with_it named-back
}

survey() # without|with
{
	local name
	pass_start "$1"
	for name in "${PODS[@]}"; do
		pod_add "$name"
		[ "$PASS" = without ] || manifest_pod "$name"
	done
	[ "$PASS" = without ] || daemon_start
	quiet "${PODS[@]}" "${HOSTS[@]}"
	stage_words "${PODS[@]}" "${HOSTS[@]}"
	words_sort
	GATEWAY[mallory]=$(gateway_mac mallory)
	capture_start 1 "${PODS[@]}" "${HOSTS[@]}"
	PATIENCE=1
	with_it unchanged
	other_mac
	names_and_macs
	node_end
	own_stack
	elsewhere
	capture_stop
	for name in "${PODS[@]}"; do
		pod_del "$name"
	done
	unquiet "${HOSTS[@]}"
}

topology
host_add other wire1 192.168.60. fd00:60::
policies
conflist_write
survey without
conflist_write '{"type": "moat"}'
survey with
attempts_judge
finish

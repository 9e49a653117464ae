#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What rules of the node cannot close, shown as it is (SECURITY.md, "What is not covered"), beside what does close it.
#
#	mallory  root with all capabilities in the node's user namespace; egress to port udp/80 of ext
#	nested   root in a user namespace of its own
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/attacks.sh
. "$HERE/lib/attacks.sh"

# A pod with a user namespace of its own, as hostUsers: false makes it: the network namespace belongs to that.
nested_add()
{
	NAMESPACE[nested]=default
	LIVES=$((LIVES + 1))
	CONTAINER[nested]=nested-$LIVES
	background unshare -Urn sleep 600
	NESTED=$BACKGROUND
	wait_until 5 own_netns || fail "unshare does not come up"
	touch /run/netns/nested
	mount --bind "/proc/$NESTED/ns/net" /run/netns/nested
	in_netns nested ip link set lo up
	listen nested
	pod_connect nested || fail "ADD of nested"
}

own_netns() { [ "$(readlink "/proc/$NESTED/ns/net")" != "$(readlink "/proc/$$/ns/net")" ]; }
as_nested() { nsenter -t "$NESTED" -U -n --preserve-credentials "$@"; }

# What the kernel lets a pod do with the node's links: words of probe links, with commas.
links_of() # COMMAND…
{
	local words index
	index=$(ip -o link show wire0 | cut -d: -f1)
	words=$("$@" "$PROBE" links "$index" wire0 | tr '\n' ,)
	words=${words%,}
	echo "${words:--}"
}

# A program on a packet socket may ask that a checksum be written anywhere in its packet, by whoever sends it last: here in place of the
# destination port, behind the rules. What udp/82 of ext gets of it.
port_by_checksum()
{
	local got
	count_start late ext "${ADDR4[ext]}" 82
	words_fill 4 "eth / ip src=@mallory dst=@ext / udp dport=$1 sum=0 / token"
	# shellcheck disable=SC2086 # layers are words
	probe_in mallory craft --gateway "$(gateway_mac mallory)" ${2:+--checksum-at "$2"} $FILLED
	allow node ext 80
	count_stop late
	[ "$OTHER" = 0 ] || got=ext
	echo "${got:--}"
}

checksums()
{
	local at=34:36:0052 # over UDP, into the destination port: 82
	allow mallory "${ADDR4[ext]}" 80 udp
	"$PROBE" offload wire0 off # as most hardware does it
	observe limits mallory "port 82, plainly" 4 ext - "$(port_by_checksum 82 "")"
	observe limits mallory "port 80 that becomes 82 behind the rules (needs CAP_NET_RAW)" 4 ext ext "$(port_by_checksum 80 $at)"
	probe_in mallory offload eth0 off
	observe limits mallory "the same, where the pod's interface computes its checksums" 4 ext - "$(port_by_checksum 80 $at)"
}

survey() # without|with
{
	pass_start "$1"
	pod_add mallory
	[ "$PASS" = without ] || manifest_pod mallory
	[ "$PASS" = without ] || daemon_start
	stage_words mallory ext
	words_sort
	checksums
	nested_add
	observe limits mallory "the node's links, with CAP_NET_ADMIN in the node's user namespace" both read,wire,make,delete read,wire,make,delete \
		"$(links_of in_netns mallory)"
	in_netns mallory ip link del stolen
	observe limits nested "the same with a user namespace of its own" both - - "$(links_of as_nested)"
	kill "$NESTED"
	pod_del mallory
	cni del nested || fail "DEL of nested"
	listen_stop nested
	umount /run/netns/nested
	rm /run/netns/nested
	unset 'CONTAINER[nested]' 'ADDR4[nested]' 'ADDR6[nested]' 'PORT[nested]' 'NAMESPACE[nested]'
}

topology
policy mallory default 'podSelector: { matchLabels: { pod: mallory } }, policyTypes: [ Egress ],
	egress: [ { to: [ { ipBlock: { cidr: 192.168.50.2/32 } } ], ports: [ { protocol: UDP, port: 80 } ] } ]'
manifest_namespace default
conflist_write
survey without
conflist_write '{"type": "moat"}'
survey with
attempts_judge
finish

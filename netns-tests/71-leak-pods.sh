#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods start and stop, LEAK_PODS of them, one after the other at the same few addresses, under the leak counter: senders run in each
# from before its link exists, others send to its addresses all the time. From the return of ADD on nothing passes that policy
# does not allow, and what it allows does; the daemon knows half of the pods.
#
#   client, db, other, ext, node as on top of lib/leak.sh
#   p1, p2 (role=web): client ==all==> p1, p2 ==udp 5053==> ext        p3, p4: nobody knows them
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

LEAK_PODS=${LEAK_PODS:-50}
LEAK_RATE=4 # of what stands beside
SLOTS=(p1 p2 p3 p4)

# A pod's namespace outlives its lives here, so that the sender in it need not start anew.
slot_make() # NAME NUMBER [KEY=VALUE…]: known to the daemon if it has labels
{
	local name=$1 number=$2
	shift 2
	netns_add "$name"
	ADDR4[$name]=10.1.0.$number
	ADDR6[$name]=fd00:1::$number
	NAMESPACE[$name]=default
	CONTAINER[$name]=$name
	(($# == 0)) || manifest_pod "$name" "$@"
	unset "CONTAINER[$name]" # finish has nothing to delete
}

slot_plugin() # VERB NAME LIFE [KEY VALUE]…
{
	local verb=$1 name=$2 life=$3
	shift 3
	CONTAINER[$name]=$name-$life
	plugin_works "$verb" "$name" "$(config "$@")" \
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$name;K8S_POD_UID=uid-$name"
	unset "CONTAINER[$name]"
}

leak_field
policy web default "podSelector: { matchLabels: { role: web } }, policyTypes: [ Ingress, Egress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ] } ],
    egress: [ { to: [ $EXT_BLOCKS ], ports: [ { port: 5053, protocol: UDP } ] } ]"
policy client-web default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ { to: [ { podSelector: { matchLabels: { role: web } } } ] } ]'
number=101
for slot in "${SLOTS[@]}"; do
	if [[ $slot = p[12] ]]; then slot_make $slot $number role=web; else slot_make $slot $number; fi
	number=$((number + 1))
	LEAK_RATE=100 # some of each in the 20 ms that a pod lives
	leak_path client $slot off "$KINDS" 5000
	leak_path ext $slot off "$KINDS" 5000
	leak_path other $slot off "syn udp" 5000
	[[ $slot != p[12] ]] || leak_path $slot ext off udp 5053
	leak_path $slot ext off "$KINDS" 5000
	leak_path $slot db off "$KINDS" 5000
	leak_path $slot node off "syn udp echo" 5000
done
settled
leak_start

# Who asked for a neighbour before a new link let answers out asks again after a second: that is no window of moat's.
link_works() # SLOT
{
	wait_until 3 outcome_is answered 50 node "$1" icmp || fail "the link of $1 does not work: $GOT"
	wait_until 3 outcome_is answered 50 "$1" 10.1.0.1 icmp || fail "the link of $1 does not work: $GOT"
	wait_until 3 outcome_is answered 50 "$1" fd00:1::1 icmp || fail "the link of $1 does not work: $GOT"
}

# life NUMBER: one start and stop.
life()
{
	local slot=${SLOTS[$1 % 4]} address4 address6
	local -a open=("client>$slot/*" "$slot>ext/udp*:5053")
	address4=${ADDR4[$slot]} address6=${ADDR6[$slot]}
	leak_set either "$slot>*"
	link_make $slot "$address4/32" "$address6/128"
	leak_set either "*>$slot/*"
	link_works $slot
	slot_plugin ADD $slot "$1" prevResult "$(prev_result $slot "$address4/32" "$address6/128")"
	if [[ $slot = p[12] ]]; then
		leak_set opening "${open[@]}"
		leak_set deny "other>$slot/*" "ext>$slot/*" "$slot>db/*" "$slot>node/*" "$slot>ext/*:5000"
		leak_opened "${open[@]}"
		leak_set allow "${open[@]}"
	else
		leak_set deny "*>$slot/*" "$slot>*"
	fi
	leak_sleep 0.02
	[[ $slot != p[12] ]] || leak_set either "${open[@]}"
	slot_plugin DEL $slot "$1"
	[[ $slot != p[12] ]] || leak_set deny "${open[@]}"
	# what a bridge's node sends to an address that nobody has waits for who comes next, without a closed pod's ranges (Node, --pod-ranges)
	[ "$PRIMARY" != bridge ] || leak_set off "*>$slot/*" "$slot>*"
	run ip link del "port-$slot"
	leak_set off "*>$slot/*" "$slot>*"
}

step "$LEAK_PODS pods"
for ((i = 1; i <= LEAK_PODS; i++)); do
	life $i
done
leak_stop
finish

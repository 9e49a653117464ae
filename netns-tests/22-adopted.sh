#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods that ran before moat did: found by the kernel's routes and links, adopted in preview, without cutting anything; enforced when
# somebody says so; and gone with their DEL, or with their link.
#
#   ext --- node --- old, peer, other      by the primary alone, before moat came
#               \--- new                   by the primary and moat
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

adopted() { status_says "pods       $1 attached, $2 adopted on node" || fail "status: $(cat "$T/status.text")"; }
key_of() { echo "/run/moat/pods/adopted/uid-${CONTAINER[$1]}:eth0"; }
denied_by_mode() { grep -oE "$1_egress\":[0-9]+" <("$BUILD/moatctl" status --json) | cut -d: -f2; }

topology
manifest_namespace default
manifest_namespace strict moat.cni/mode=strict
conflist_write
for pod in old peer; do pod_add $pod; done
pod_add other --ns strict
for pod in old peer other; do manifest_pod $pod role=$pod; done
policy peer default 'podSelector: { matchLabels: { role: peer } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: new } } } ] } ]'
allow_all ext old
# the kernel tracks connections as it does on a node with a service proxy
nft 'add table ip tracking; add chain ip tracking c { type filter hook prerouting priority 0; }; add rule ip tracking c ct state new counter'
hold_start open ext tcp "${ADDR4[old]}" 80
hold_start denied ext tcp "${ADDR4[peer]}" 80
conflist_write '{"type": "moat"}'

step "adopted at once, in preview: what no policy selects goes on, what one selects is enforced, nothing is cut"
daemon_start --conflist $CONFLIST
settled
adopted 0 3
! status_says 'escaped' || fail "status: $(cat "$T/status.text")"
for pod in old peer other; do
	[ -e "$(key_of $pod)" ] || fail "no state of $pod: $(find /run/moat/pods)"
	state_says $pod 'mode preview, confirmed' || fail "$pod: $(state_of $pod)"
done
status_says 'adopted: it ran before moat did; held in this mode' || fail "status: $(cat "$T/status.text")"
grep -q "event=adopted pod=default/old port=${PORT[old]}" "$DAEMON_LOG" || fail "log: $(cat "$DAEMON_LOG")"
allow_all ext old
allow_all old ext
allow ext other 80 # whatever the namespace's label says
deny ext peer 80
deny old peer 80
hold_alive open
hold_alive denied
(($(denied_by_mode observe) > 0)) || fail "nothing was observed"

step "guarded like any other: it speaks with its own addresses only"
set_has ports "\"${PORT[old]}\"" || fail "port ${PORT[old]} is not guarded"
in_netns old ip address add 10.1.0.99/32 dev lo
in_netns old ip route add "${ADDR4[ext]}/32" via "$(in_netns old ip route show default | awk '{ print $3 }')" src 10.1.0.99
deny old "${ADDR4[ext]}" 80 # from a source that is not its own
in_netns old ip route del "${ADDR4[ext]}/32"

step "a pod that comes by moat is attached, and a peer"
pod_add new
manifest_pod new role=new
settled
adopted 1 3
deny ext new 80
policy new default 'podSelector: { matchLabels: { role: new } }, policyTypes: [ Egress ], egress: [ {} ]'
settled
allow new peer 80

step "a daemon that comes back finds them adopted, and cuts nothing"
daemon_stop KILL
daemon_start --conflist $CONFLIST
settled
adopted 1 3
allow_all ext old
hold_alive open
hold_alive denied

step "one is enforced: closed by mode, and what is open and denied is cut"
"$BUILD/moatctl" enforce default/old >$T/out || fail "moatctl enforce: $?"
grep -q '^1 adopted' $T/out || fail "$(cat $T/out)"
state_says old 'mode strict, confirmed' || fail "$(state_of old)"
deny_all ext old
hold_dead open
hold_alive denied
allow ext other 80
code=0
"$BUILD/moatctl" enforce default/new >$T/out 2>&1 || code=$?
((code == 2)) && grep -q 'no pod of that name was adopted' $T/out || fail "enforce of an attached pod: $code $(cat $T/out)"

step "it stays so; then all are"
daemon_stop TERM
daemon_start --conflist $CONFLIST
settled
deny ext old 80
"$BUILD/moatctl" enforce --all >$T/out && grep -q '^3 adopted' $T/out || fail "$(cat $T/out)"
deny_all ext other
hold_dead denied
adopted 1 3

step "DEL takes one away, by the UID that the runtime knows, without a daemon too"
state=$(key_of old)
daemon_stop TERM
pod_del old
[ ! -e "$state" ] || fail "its state is there"
daemon_start --conflist $CONFLIST
settled
adopted 1 2

step "a link that goes without DEL takes the other; its address is free, and inherits nothing"
address=${ADDR4[other]} address6=${ADDR6[other]}
conflist_write
pod_del other
conflist_write '{"type": "moat"}'
manifest_remove pod-other
gone() { status_says "pods       1 attached, 1 adopted"; }
wait_until 5 gone || fail "status: $(cat "$T/status.text")"
[ ! -e /run/moat/addrs/$address ] || fail "the address is still somebody's"
nft list table inet moat | sed '/set revoked_flows/,/}/d' >$T/table # those end by themselves
! grep -F "$address" $T/table || fail "the kernel still has $address"
[ -n "$address6" ] || fail "no IPv6"

step "made anew by moat it is attached"
pod_del peer
manifest_remove pod-peer
pod_add peer
manifest_pod peer role=peer
settled
adopted 2 0
allow new peer 80
deny ext peer 80

step "--adopt=enforce: enforced at once, and still nothing is cut"
daemon_stop TERM
conflist_write
pod_add late
manifest_pod late role=late
hold_start late ext tcp "${ADDR4[late]}" 80
conflist_write '{"type": "moat"}'
daemon_start --conflist $CONFLIST --adopt=enforce
settled
state_says late 'mode strict, confirmed' || fail "$(state_of late)"
hold_alive late
deny_all ext late

nft delete table ip tracking
conflist_write '{"type": "moat"}'
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What moat set of a bridge and somebody turns back is turned again, and told: settings, the bridge's MAC, the proxy neighbours of pods.
# Pods go on to reach each other, and what is denied stays so.
# Primary: bridge
#
#   ext --- node --- cni0 --- a, b
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

finds() { grep -cE 'found-by=(check|event)' "$DAEMON_LOG" || true; }

# held WHAT COMMAND…: what it turned back is found, told by that name, and turned again.
held()
{
	local what=$1 before
	before=$(finds)
	shift
	run "$@"
	wait_until 15 eval '(($(finds) > '"$before"'))' || fail "$what: not noticed"
	tail -n 5 "$DAEMON_LOG" | grep "what=\"$what of bridge $BRIDGE\"" >$T/told || fail "$what: told as $(tail -n 5 "$DAEMON_LOG")"
}

# held_at_once WHAT COMMAND…: by the kernel's word, not by the look that comes each second. That one may come first, but not each time.
held_at_once()
{
	local times
	for times in 1 2 3; do
		held "$@"
		! grep -q found-by=event $T/told || return 0
	done
	fail "$1: found by checks only: $(cat $T/told)"
}

conf() { echo "/proc/sys/net/$1/$2/$BRIDGE/$3"; }
turn() { echo "$2" >"$1"; } # FILE VALUE
is() { [ "$(cat "$1")" = "$2" ]; }

topology
manifest_namespace default
policy a-to-b default 'podSelector: {}, policyTypes: [ Ingress, Egress ],
	ingress: [ { from: [ { podSelector: { matchLabels: { pod: a } } } ], ports: [ { port: 80 } ] } ],
	egress: [ { to: [ { podSelector: { matchLabels: { pod: b } } } ], ports: [ { port: 80 } ] } ]'
daemon_start
pod_add a
pod_add b
manifest_pod a
manifest_pod b
eventually allow a b 80
eventually deny b a 80

step "settings"
held proxy_arp_pvlan turn "$(conf ipv4 conf proxy_arp_pvlan)" 0
is "$(conf ipv4 conf proxy_arp_pvlan)" 1 || fail "proxy_arp_pvlan is not back"
held send_redirects turn "$(conf ipv4 conf send_redirects)" 1
is "$(conf ipv4 conf send_redirects)" 0 || fail "send_redirects is not back"
held_at_once proxy_ndp turn "$(conf ipv6 conf proxy_ndp)" 0
is "$(conf ipv6 conf proxy_ndp)" 1 || fail "proxy_ndp is not back"
held arp_proxy_delay turn "$(conf ipv4 neigh proxy_delay)" 80
is "$(conf ipv4 neigh proxy_delay)" 0 || fail "proxy_delay is not back"
held_at_once no_linklocal_learn ip link set $BRIDGE type bridge no_linklocal_learn 0

step "the bridge's MAC, and who it answers for"
held_at_once MAC ip link set $BRIDGE address 02:00:00:00:00:01
held "proxy neighbour" ip -6 neigh del proxy "${ADDR6[b]}" dev $BRIDGE

step "the link flapped, which takes all proxy neighbours away"
gateway6=$(ip -6 -o addr show dev $BRIDGE scope global | awk '{ print $4 }')
held_at_once "proxy neighbour" eval "ip link set $BRIDGE down; ip link set $BRIDGE up; ip -6 addr replace $gateway6 dev $BRIDGE nodad"

step "as before"
eventually allow a b 80
deny b a 80
deny a b 81
finish

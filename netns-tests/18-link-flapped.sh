#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The node's end of a pod's veth goes down and comes up. With it went the routes to the pod, and no primary plugin puts them again: that is
# told. The pod stays guarded all the time: what is denied stays denied, by the routes that are left too, and once somebody has put the
# routes again everything is as before, without an ADD.
# Primary: ptp
#
#   ext --- node --- a --tcp 80--> b --- node
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

LEAK_RATE=50
trouble() { status_says "no route leads to .* by ${PORT[b]}"; }
untroubled() { ! status_says "by ${PORT[b]} (was it down"; }

topology
manifest_namespace default
policy a-to-b default 'podSelector: {}, policyTypes: [ Ingress, Egress ],
	ingress: [ { from: [ { podSelector: { matchLabels: { pod: a } } } ], ports: [ { port: 80 } ] } ],
	egress: [ { to: [ { podSelector: { matchLabels: { pod: b } } } ], ports: [ { port: 80 } ] } ]'
daemon_start
for pod in a b; do
	pod_add $pod
	manifest_pod $pod
done
settled
ip route add default via "${ADDR4[ext]}"
ip -6 route add default via "${ADDR6[ext]}"
allow a b 80
deny b a 80
untroubled || fail "told of routes that are there: $(cat $T/status.text)"
hold_start open a tcp "${ADDR4[b]}" 80
leak_path a b deny "syn ack udp echo" 81
leak_path ext b deny "syn udp echo" 80
leak_path b a deny "syn udp" 80
leak_start
leak_sleep 0.2

step "down and up"
mapfile -t routes4 < <(ip -4 route show dev "${PORT[b]}")
mapfile -t routes6 < <(ip -6 route show dev "${PORT[b]}" | grep -vE '^(fe80|multicast)')
address6=$(ip -6 -o addr show dev "${PORT[b]}" scope global | awk '{ print $4 }')
run ip link set "${PORT[b]}" down
run ip link set "${PORT[b]}" up
wait_until 5 trouble || fail "the lost routes are not told: $(cat $T/status.text)"
grep -q "attachment-troubled.*no route leads to" "$DAEMON_LOG" || fail "not logged"
leak_sleep 0.5

step "somebody puts the routes again"
run ip -6 addr replace "$address6" dev "${PORT[b]}" nodad
for route in "${routes4[@]}"; do
	run ip route replace $route dev "${PORT[b]}"
done
for route in "${routes6[@]}"; do
	[ "${route%% *}" = "${address6%/*}" ] || run ip -6 route replace ${route%% *} dev "${PORT[b]}"
done
wait_until 15 untroubled || fail "still told: $(cat $T/status.text)"
allow a b 80
hold_alive open
deny b a 80
leak_sleep 0.2
leak_read
step "sent $SENT, leaked $LEAKED ($DENIED denied packets came to moat)"
((LEAKED == 0 && DENIED > 500)) || fail "leaked: $(cat "$T/leak.report")"
rm "$LEDGER"
finish

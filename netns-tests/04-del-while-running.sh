#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# DEL comes before the primary's DEL, while the pod may still live: what was allowed ends at once, and its port stays closed until
# the link is gone.
#
#   ext <==tcp, udp==> a (audit: everything is let through)      then moat's DEL alone, then ptp's
. "$(dirname "$0")/lib.sh"

topology
listen node
conflist_write '{"type": "moat", "mode": "audit"}'
pod_add a
pod_add b
allow_all a ext
hold_start in ext tcp "${ADDR4[a]}" 80
hold_start out a udp "${ADDR6[ext]}" 80
# A flow that has seen both directions, and of which only what comes in is asked later: 100 packets now, 500 after DEL.
count_start both a "${ADDR4[a]}" 5005
probe_in ext flood udp "${ADDR4[a]}" 5005 --sport 5006 --rate 100 --seconds 1 >/dev/null
probe_in a craft ip src="${ADDR4[a]}" dst="${ADDR4[ext]}" / udp sport=5005 dport=5006 / text is=forged

step "moat's DEL ends open flows"
cni del a --only moat
hold_dead in
hold_dead out
probe_in ext flood udp "${ADDR4[a]}" 5005 --sport 5006 --rate 500 --seconds 1 >/dev/null
count_stop both
((RECEIVED == 100)) || fail "$RECEIVED of 100 packets before DEL and 500 after it arrived"
deny_all a ext
deny_all a b
deny_all ext a
deny_all b a

step "the port is closed, whatever address is used"
set_has ports "${PORT[a]}" || fail "${PORT[a]} is not in ports"
deny a node 80
deny a "$(link_local_of_node a)%eth0" 80
in_netns a ip addr add 10.1.0.99/32 dev eth0
outcome_is dropped 300 a ext 80 || fail "$GOT"
before=$(packets lost)
probe_in a craft ip src=10.1.0.99 dst="${ADDR4[ext]}" / udp dport=80 / text is=forged
(($(packets lost) > before)) || fail "another source address was not lost"

step "a second DEL, and the primary's"
port=${PORT[a]}
cni del a --only moat
pod_del a
pod_add c # any later run of the plugin
! set_has ports "$port" || {
	# The link took its time: the next run it is.
	sweep
	! set_has ports "$port" || fail "$port is still in ports"
}
allow b ext 80
finish

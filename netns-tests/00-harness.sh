#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The harness on trial: with ptp alone everything is open, so `deny`, a prober that counts nothing and a clean end must fail.
#
#   ext --- node --- a, b            as on top of lib.sh, without moat
. "$(dirname "$0")/lib.sh"

# must_fail COMMAND…: in a process of its own, since a failure ends a story.
must_fail() { ! ("$@") >/dev/null 2>&1 || fail "the harness cannot fail: $*"; }

topology
conflist_write
listen node
step "everything is open"
pod_make a
first_start out a 192.168.50.2 80 fd00:50::2 80
pod_connect a
pod_add b 10.1.0.77/24 fd00:1::77/64
[ "${ADDR4[b]} ${ADDR6[b]}" = "10.1.0.77 fd00:1::77" ] || fail "asked-for addresses: ${ADDR4[b]} ${ADDR6[b]}"
[[ -n ${PORT[a]} && ${PORT[a]} != "${PORT[b]}" ]] || fail "ports ${PORT[a]} and ${PORT[b]}"
for pair in "a b" "b a" "a ext" "ext a" "node a" "a node"; do
	# shellcheck disable=SC2086 # two words
	allow_all $pair
done

step "a deny is noticed not to hold"
must_fail deny a b 80
must_fail deny a b 80 udp
must_fail deny ext b icmp
must_fail reject a b 80
must_fail allow a b 82
must_fail deny a 10.99.0.1 80
reject a b 82

step "a prober counts answers"
first_added out
for _ in 1 2 3 4 5; do
	allow_all a ext
done
first_stop out
((ATTEMPTS > 0 && ANSWERS > 0)) || fail "prober of an open pod: $ATTEMPTS attempts, $ANSWERS answers"

step "an open connection is seen to live and to die"
hold_start h a tcp "${ADDR4[b]}" 80
hold_alive h
must_fail hold_dead h
nft add table inet stranger
nft add chain inet stranger stop '{ type filter hook forward priority 0; policy drop; }'
hold_dead h
must_fail hold_alive h 1
deny_all a b
nft delete table inet stranger
hold_alive h 15
hold_stop h

step "floods are counted"
count_start c b "${ADDR6[b]}" 5000
sent=$(probe_in a flood udp "${ADDR6[b]}" 5000 --rate 2000 --seconds 1)
[ "$sent" = "sent 2000" ] || fail "flood: $sent"
count_stop c
[ "$RECEIVED" = 2000 ] || fail "$RECEIVED of 2000 packets were counted"

step "forged packets arrive where nothing stops them"
for family in 4 6; do
	declare -n addr=ADDR$family
	count_start f ext "${addr[ext]}" 5001
	probe_in a craft ip src="${addr[b]}" dst="${addr[ext]}" / udp dport=5001 / text is=forged
	probe_in a craft ip src="${addr[b]}" dst="${addr[ext]}" cut=8 / udp dport=5001 / text is=cut-in-three-pieces
	probe_in a craft ip src="${addr[a]}" dst="${addr[ext]}" / udp dport=5001 / text is=forged
	count_stop f
	[ "$OTHER" = 3 ] || fail "$OTHER of 3 forged packets of IPv$family arrived"
done

step "leftovers are noticed"
[ -n "$(leftovers)" ] || fail "two pods are not seen"
finish

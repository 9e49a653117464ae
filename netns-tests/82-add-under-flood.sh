#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ADD and DEL of who is guarded already, under floods as fast as a processor sends: a packet that is judged while the batch is committed
# finds the pod as it was or as it is, closed both times, and never half of each. (Of a chain and the elements that lead to it in one
# batch, a packet in 15 to 40 commits finds the elements and the chain still empty: what the leak counter, slower by far, counts once
# in some hundred thousand.)
#
#   seen (audit: everything passes) ==floods==> victim, twin (strict), on links made by hand; victim ==floods==> seen
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

ROUNDS=${ROUNDS:-50} # of each of the five
RATE=800000          # a second: more than a processor sends

# across FROM TO ADDRESS COMMAND…: the command again and again under a flood, of which nothing may arrive.
across()
{
	local from=$1 to=$2 address=$3 sent i
	shift 3
	count_start flood "$to" "$address" 9000
	background_probe "$from" flood udp "$address" 9000 --rate $RATE --seconds 20
	local flood=$BACKGROUND out=$BACKGROUND_OUT
	for ((i = 0; i < ROUNDS; i++)); do
		"$@"
	done
	stop_background "$flood" "$out"
	sent=${LAST#sent }
	count_stop flood
	step "$from to $address, $*: sent $sent, leaked $RECEIVED"
	((sent > 300 * ROUNDS)) || fail "$sent packets are too few to meet $ROUNDS commits"
	((RECEIVED == 0)) || fail "$RECEIVED leaked"
}

result() { prev_result "$1" 10.1.0.20/32 fd00:1::20/128; } # POD
add() { plugin_works ADD "$1" "$(config prevResult "$(result "$1")")"; }
del() { plugin_works DEL "$1" "$(config)"; }
come_back() { del victim; add victim; }
move() { add twin; add victim; }

topology
conflist_write '{"type": "moat", "mode": "audit"}'
pod_add seen
for pod in victim twin; do
	pod_make $pod
	link_make $pod 10.1.0.20/32 fd00:1::20/128
done
add twin
add victim # the node's route leads there, whoever has the address

across seen victim 10.1.0.20 add victim
across seen victim fd00:1::20 add victim
across victim seen "${ADDR4[seen]}" add victim
across seen victim 10.1.0.20 come_back
across seen victim 10.1.0.20 move
for pod in victim twin; do
	del $pod
	pod_forget $pod
done
finish

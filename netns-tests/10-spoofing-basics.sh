#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nobody speaks with an address that is not its own: not a pod with another's, not the wire with a pod's, not with the very tuple of
# an established flow, not in fragments.
#
#   mallory, victim (audit: whatever is their own may pass) --- node --- ext
#   closed (strict)                                              |---- other 192.168.60.2, fd00:60::2
. "$(dirname "$0")/lib.sh"

# arrives WANTED AT ADDRESS: how many of the forged packets (sent by the lines in `forge`) AT sees on port 5001.
arrives()
{
	local wanted=$1 at=$2 address=$3
	count_start at "$at" "$address" 5001
	forge
	count_stop at
	((OTHER == wanted)) || fail "$OTHER forged packets reached $at at $address, expected $wanted"
}

topology
host_add other wire1 192.168.60. fd00:60::
conflist_write '{"type": "moat", "mode": "audit"}'
pod_add mallory
pod_add victim
conflist_write '{"type": "moat"}'
pod_add closed
# Neighbours are resolved from here on: a forged packet arrives at once or not at all.
for name in mallory victim closed ext other; do
	allow node $name icmp
done
allow mallory ext icmp
allow victim ext icmp

for family in 4 6; do
	declare -n addr=ADDR$family
	step "IPv$family: a pod with its own address, whole and in fragments: arrives (this test can fail)"
	forge()
	{
		probe_in mallory raw udp --saddr "${addr[mallory]}" --daddr "${addr[ext]}" --dport 5001
		probe_in mallory raw udp --saddr "${addr[mallory]}" --daddr "${addr[ext]}" --dport 5001 --sport 40001 \
			--fragment 8 --payload "cut in several pieces"
	}
	arrives 2 ext "${addr[ext]}"

	step "IPv$family: with another pod's, the node's or a stranger's: lost"
	stranger=10.1.0.200
	[ $family = 4 ] || stranger=fd00:1::200
	forge()
	{
		local from
		for from in "${addr[victim]}" "${addr[closed]}" "${addr[node]}" "${addr[ext]}" $stranger; do
			probe_in mallory raw udp --saddr "$from" --daddr "${addr[ext]}" --dport 5001
			probe_in mallory raw udp --saddr "$from" --daddr "${addr[ext]}" --dport 5001 --fragment 8 \
				--payload "cut in several pieces"
		done
	}
	lost=$(packets lost)
	arrives 0 ext "${addr[ext]}"
	(($(packets lost) >= lost + 10)) || fail "chain lost has counted $(($(packets lost) - lost)) of 10 and more"
	forge() { probe_in mallory raw udp --saddr "${addr[ext]}" --daddr "${addr[victim]}" --dport 5001; }
	arrives 0 victim "${addr[victim]}"

	step "IPv$family: the wire with a pod's address"
	forge() { probe_in ext raw udp --saddr "${addr[mallory]}" --daddr "${addr[victim]}" --dport 5001; }
	arrives 0 victim "${addr[victim]}"

	step "IPv$family: the tuple of an established flow, from another pod and from the wire"
	hold_start live victim udp "${addr[ext]}" 80 --sport 40003
	lost=$(packets lost)
	probe_in mallory raw udp --saddr "${addr[victim]}" --sport 40003 --daddr "${addr[ext]}" --dport 80
	probe_in other raw udp --saddr "${addr[victim]}" --sport 40003 --daddr "${addr[ext]}" --dport 80
	(($(packets lost) == lost + 2)) || fail "lost counted $(($(packets lost) - lost)) of 2 forged packets of a live flow"
	hold_alive live
	hold_stop live

	step "IPv$family: fragments to and from a closed pod"
	forge()
	{
		probe_in ext raw udp --saddr "${addr[ext]}" --daddr "${addr[closed]}" --dport 5001 --fragment 8 \
			--payload "cut in several pieces"
	}
	arrives 0 closed "${addr[closed]}"
	forge()
	{
		probe_in closed raw udp --saddr "${addr[closed]}" --daddr "${addr[ext]}" --dport 5001 --fragment 8 \
			--payload "cut in several pieces"
	}
	arrives 0 ext "${addr[ext]}"
done
finish

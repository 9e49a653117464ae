#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A new owner of an address inherits nothing: while the old owner's peers keep sending, its flows die at DEL, and at ADD if there
# never was a DEL. The old owner runs in audit mode, so that there is something to inherit without a daemon.
#
#        ext ==udp, tcp, icmp==> 10.1.0.20, fd00:1::20      first old, then new
. "$(dirname "$0")/lib.sh"

entries() # ADDRESS: conntrack entries between it and ext
{
	local family=ipv4
	[[ $1 != *:* ]] || family=ipv6
	conntrack -L -f $family 2>/dev/null | grep -E "=(${ADDR4[ext]}|${ADDR6[ext]}) " | grep -c "=$1 " || true
}

no_entries() { (($(entries "$1") == 0)); }

flows_start() # OWNER: as ext sees it
{
	for family in 4 6; do
		declare -n addr=ADDR$family
		hold_start tcp$family ext tcp "${addr[$1]}" 80
		hold_start udp$family ext udp "${addr[$1]}" 80 --sport 4444
		hold_start out$family "$1" udp "${addr[ext]}" 80 --sport 4445
	done
}

flows_dead()
{
	for family in 4 6; do
		hold_dead tcp$family
		hold_dead udp$family
		hold_stop tcp$family
		hold_stop udp$family
	done
}

topology

step "DEL kills the open flows of an address"
conflist_write '{"type": "moat", "mode": "audit"}'
pod_add old 10.1.0.20/24 fd00:1::20/64
flows_start old
hold_alive tcp4
hold_alive udp6
if command -v conntrack >/dev/null; then
	(($(entries 10.1.0.20) > 0 && $(entries fd00:1::20) > 0)) || fail "no entries to inherit"
fi
pod_del old
hold_stop out4
hold_stop out6
conflist_write '{"type": "moat"}'
pod_add new 10.1.0.20/24 fd00:1::20/64
for family in 4 6; do
	declare -n addr=ADDR$family
	count_start to$family new "${addr[new]}" 4446
	probe_in ext flood udp "${addr[new]}" 4446 --rate 500 --seconds 1 >/dev/null
	count_stop to$family
	((RECEIVED == 0)) || fail "$RECEIVED packets reached the new owner"
done
flows_dead
pod_del new

step "ADD kills them where DEL never came"
add_by_hand() # NAME MODE: a link and an address by hand, since host-local gives no address twice
{
	pod_make "$1"
	link_make "$1" 10.1.0.20/32 fd00:1::20/128
	plugin_works ADD "$1" "$(config mode "\"$2\"" prevResult "$(prev_result "$1" 10.1.0.20/32 fd00:1::20/128)")"
}
add_by_hand old audit
flows_start old
in_netns old ip link set eth0 down # crashed: no farewell to the peers, the sandbox is gone, nobody said DEL
hold_stop out4
hold_stop out6
pod_forget old
add_by_hand new strict
allow node new 80
flows_dead
for family in 4 6; do
	declare -n addr=ADDR$family
	! command -v conntrack >/dev/null || wait_until 2 no_entries "${addr[new]}" || fail "entries of ${addr[new]} live"
	deny ext "${addr[new]}" 80 udp
done
run ip link del port-old # the kernel keeps a namespace, and so its links, while TCP says farewell in it
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who else enforces policies on the node is named: by the tables, chains and interfaces that each of them always has. And a pod that moat cannot
# adopt is an escape, with the reason.
#
#   ext --- node --- twin1, twin2     by the primary alone, before moat came
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

others_say() { status_says "others     $1" || fail "status does not say \"$1\": $(cat "$T/status.text")"; }

topology
manifest_namespace default

step "none is named that is not there"
nft 'add table ip nat; add chain ip nat KUBE-SERVICES; add table ip filter; add chain ip filter KUBE-FORWARD; add chain ip filter calico'
daemon_start
! status_says 'others ' || fail "status: $(cat "$T/status.text")"
daemon_stop TERM

step "those that are there are"
nft 'add chain ip filter KUBE-ROUTER-FORWARD; add table ip6 filter; add chain ip6 filter cali-FORWARD; add table inet kindnet-network-policies'
ip link add cilium_host type veth peer name cilium_net
daemon_start
wait_until 5 status_says others || fail "status: $(cat "$T/status.text")"
others_say 'kube-router enforces policies here too (chain KUBE-ROUTER-FORWARD of table ip filter)'
others_say 'Calico enforces policies here too (chain cali-FORWARD of table ip6 filter)'
others_say 'kindnet enforces policies here too (table inet kindnet-network-policies)'
others_say 'Cilium enforces policies here too (interface cilium_host)'
(($(grep -c 'event=other-enforcer who=kube-router' "$DAEMON_LOG") == 1)) || fail "log: $(cat "$DAEMON_LOG")"
ip link del cilium_host
for table in 'ip nat' 'ip filter' 'ip6 filter' 'inet kindnet-network-policies'; do
	# shellcheck disable=SC2086 # a family and a name
	nft delete table $table
done

step "a pod whose port the kernel does not tell is an escape, with the reason"
conflist_write
pod_add twin1
conflist_write '{"type": "moat"}'
address=${ADDR4[twin1]} port=${PORT[twin1]}
if [ "$PRIMARY" = ptp ]; then
	route=$(ip route show "$address/32")
	ip route del "$address/32"
	why='no route to'
	settle() { ip route replace $route; }
else
	pod_make twin2 # another container with the same address: whose it is nobody can tell
	ip link add twin netns twin2 type veth peer name twin-port
	ip link set twin-port up master "$(ip -o link show "$port" | sed 's/.* master \([^ ]*\).*/\1/')"
	in_netns twin2 ip link set twin up
	in_netns twin2 ip address add "$address/24" dev twin
	why='two containers of bridge'
	settle() { ip link del twin-port; }
fi
manifest_pod twin1
settled
status_says "! default/twin1 .*escaped" || fail "status: $(cat "$T/status.text")"
status_says "not adopted: .*$why" || fail "status: $(cat "$T/status.text")"
status_says '0 attached, 0 adopted' || fail "status: $(cat "$T/status.text")"
grep -q 'event=not-adopted pod=default/twin1' "$DAEMON_LOG" || fail "log: $(cat "$DAEMON_LOG")"

step "and is adopted when it does"
settle
wait_until 15 status_says '0 attached, 1 adopted' || fail "status: $(cat "$T/status.text")"
state_says twin1 'mode preview, confirmed' || fail "$(state_of twin1)"
allow ext twin1 80
[ "$PRIMARY" = ptp ] || pod_forget twin2

finish

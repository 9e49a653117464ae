#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Primary: bridge
# Two bridges with guarded pods, ports that moat does not guard beside them, and the bridge plugin's options; what moat set is
# given back when the last pod of a bridge leaves; a bridge that it cannot guard is an error.
#
#   a, b -- cni0 -- u1, u2 (not guarded)          10.1.0.0/24, fd00:1::/64     isDefaultGateway, promiscMode, ipMasq
#            |
#           node -- ext
#            |
#   c    -- br1                                   10.2.0.0/24, fd00:2::/64     isGateway, hairpinMode
. "$(dirname "$0")/lib.sh"

bridge_conflist() # NETWORK BRIDGE SUBNET4 SUBNET6 OPTIONS PLUGIN [ROUTES]
{
	cat >$CONFLIST <<-END
	{ "cniVersion": "1.0.0", "name": "$1", "plugins": [
	  { "type": "bridge", "bridge": "$2", "capabilities": { "ips": true }, $5,
	    "ipam": { "type": "host-local", "dataDir": "/run/ipam",
	      "ranges": [ [ { "subnet": "$3" } ], [ { "subnet": "$4" } ] ]${7:-} } }
	  ${6:+, $6} ] }
	END
}
cni0() { bridge_conflist one cni0 10.1.0.0/24 fd00:1::/64 '"isDefaultGateway": true, "promiscMode": true, "ipMasq": true' "${1-}"; }
br1() { bridge_conflist two br1 10.2.0.0/24 fd00:2::/64 '"isGateway": true, "hairpinMode": true' "${1-}" ', "routes": [ { "dst": "0.0.0.0/0" }, { "dst": "::/0" } ]'; }
MOATED='{ "type": "moat" }'

settings() # BRIDGE
{
	cat /proc/sys/net/ipv4/conf/"$1"/{proxy_arp_pvlan,send_redirects} /proc/sys/net/ipv6/conf/"$1"/proxy_ndp /proc/sys/net/ipv4/conf/all/send_redirects
	ip ntable show dev "$1" | grep -oE 'proxy_delay [0-9]+'
	ip -d link show "$1" | grep -oE 'no_linklocal_learn [01]'
	ip -6 neigh show proxy dev "$1"
}

topology
step "unguarded pods make the bridge, and talk"
cni0
pod_add u1
pod_add u2
settings cni0 >$T/before
allow_all u1 u2

step "guarded pods come: closed to all, the unguarded untouched"
cni0 "$MOATED"
pod_add a
pod_add b
cni0 '{ "type": "moat", "mode": "audit" }'
pod_add open # lets through and tells: the way there works
br1 "$MOATED"
pod_add c
for pair in "a b" "b a" "u1 a" "a u1" "c a" "a c" "ext a" "a ext"; do
	# shellcheck disable=SC2086 # two words
	deny_all $pair
done
allow_all u1 u2
allow_all u1 open
allow_all open u1
in_netns ext ip route del default # ipMasq: who has no way to the pods answers the node
in_netns ext ip -6 route del default
allow_all open ext
in_netns ext ip route add default via "${ADDR4[node]}"
in_netns ext ip -6 route add default via "${ADDR6[node]}"
for pod in a b c open; do allow_all node $pod; done

step "the unguarded still switch: with their own MACs"
mac=$(in_netns u2 ip -o link show eth0 | grep -oE 'link/ether [0-9a-f:]+' | cut -d' ' -f2)
for address in "${ADDR4[u2]}" "${ADDR6[u2]}"; do
	[[ $(in_netns u1 ip neigh show "$address") == *"$mac"* ]] || fail "u1 sees u2 at $(in_netns u1 ip neigh show "$address"), not at $mac"
done

step "a pod's link goes down and comes again: its address detection finds nobody"
in_netns a sysctl -qw net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=1
in_netns a ip link set eth0 down
in_netns a ip link set eth0 up
in_netns a ip -6 addr replace "${ADDR6[a]}/64" dev eth0
detected() { [[ $(in_netns a ip -6 addr show dev eth0) != *tentative* ]]; }
wait_until 5 detected || fail "still tentative: $(in_netns a ip -6 addr show dev eth0)"
[[ $(in_netns a ip -6 addr show dev eth0) != *dadfailed* ]] || fail "dadfailed"
allow_all node a

step "the daemon puts right what strangers do to the bridge's table and settings"
daemon_start
sysctls ipv4/conf/cni0/proxy_arp_pvlan=0 ipv6/conf/cni0/proxy_ndp=0
ip -6 neigh del proxy "${ADDR6[b]}" dev cni0
ip link set cni0 type bridge no_linklocal_learn 0
nft delete table bridge moat
held() { [[ $(settings cni0 | tr '\n' ' ') == "1 0 1 0 "*"no_linklocal_learn 1"*"${ADDR6[b]}"* ]] && nft list table bridge moat >/dev/null 2>&1; }
wait_until 10 held || fail "not put right: $(settings cni0)"
deny_all a b
deny_all u1 b
daemon_stop

step "the last pod of a bridge gives it back, the other bridge's stay closed"
for pod in a b open; do
	cni0 "$MOATED"
	pod_del $pod
done
given_back() { sweep; diff <(settings cni0) $T/before >/dev/null || [[ $(settings cni0 | sed -n 4p) == 0 ]]; }
wait_until 5 given_back || fail "cni0 is not as before: $(diff <(settings cni0) $T/before)"
deny_all u1 c
br1 "$MOATED"
pod_del c
settings_are_as_before() { sweep; diff <(settings cni0) $T/before; }
wait_until 5 settings_are_as_before >/dev/null || fail "not as before: $(diff <(settings cni0) $T/before)"
allow_all u1 u2

step "a bridge that cannot be guarded is an error that says what to do, and the pod does not start"
cni0 "$MOATED"
ip link add up0 type veth peer name up1
ip link add mv0 link up0 type macvlan
ip link set mv0 master cni0
pod_make d
! cni add d >$T/error 2>&1 || fail "ADD on a bridge with a macvlan as port succeeded"
grep -q 'mv0 (macvlan) of bridge cni0 is no veth' $T/error || fail "$(cat $T/error)"
cni del d || fail "DEL after an ADD that failed"
ip link del mv0
ip link del up0
if ip link set cni0 type bridge vlan_filtering 1 2>/dev/null; then
	! cni add d >$T/error 2>&1 || fail "ADD on a bridge that filters VLANs succeeded"
	grep -q 'filters VLANs' $T/error || fail "$(cat $T/error)"
	cni del d || fail "DEL after an ADD that failed"
	ip link set cni0 type bridge vlan_filtering 0
fi
pod_connect d || fail "ADD of d"
for pod in d u1 u2; do pod_del $pod; done
nft delete table ip nat # of ipMasq: the bridge plugin leaves them, empty
nft delete table ip6 nat
finish

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The node, the wire and who is on it.

declare -A ADDR4 ADDR6 # address of a pod or host by name

sysctls() # KEY=VALUE…, of the namespace we are in
{
	local setting
	for setting; do
		echo "${setting#*=}" >"/proc/sys/net/${setting%%=*}"
	done
}

# Duplicate address detection costs a second per pod and is not what most stories are about; DAD=on keeps it.
sysctls_dad()
{
	[ "${DAD:-off}" = on ] || sysctls ipv6/conf/default/accept_dad=0 ipv6/conf/default/dad_transmits=0
}

in_netns() # NAME COMMAND…; the node is where we are
{
	local name=$1
	shift
	if [ "$name" = node ]; then
		"$@"
	else
		nsenter "--net=/run/netns/$name" "$@"
	fi
}

netns_add() # NAME
{
	run ip netns add "$1"
	in_netns "$1" ip link set lo up
	in_netns "$1" bash -c "$(declare -f sysctls sysctls_dad); sysctls_dad"
}

# A host on a link of its own to the node: host_add NAME LINK SUBNET4 SUBNET6, with .1 the node and .2 the host.
host_add()
{
	local name=$1 link=$2 net4=$3 net6=$4
	netns_add "$name"
	run ip link add "$link" type veth peer name eth0 netns "$name"
	run ip addr add "${net4}1/24" dev "$link"
	run ip addr add "${net6}1/64" dev "$link" nodad
	run ip link set "$link" up
	in_netns "$name" ip addr add "${net4}2/24" dev eth0
	in_netns "$name" ip addr add "${net6}2/64" dev eth0 nodad
	in_netns "$name" ip link set eth0 up
	in_netns "$name" ip route add default via "${net4}1"
	in_netns "$name" ip -6 route add default via "${net6}1"
	ADDR4[$name]=${net4}2
	ADDR6[$name]=${net6}2
	TOPOLOGY_LINKS+=("$link")
}

TOPOLOGY_LINKS=()

# The picture on top of lib.sh, without pods. Listeners (tcp and udp 80, 81) on the host; `listen node` makes the node's.
topology()
{
	run ip link set lo up
	sysctls_dad
	sysctls ipv4/ip_forward=1 ipv6/conf/all/forwarding=1
	host_add ext wire0 192.168.50. fd00:50::
	ADDR4[node]=192.168.50.1
	ADDR6[node]=fd00:50::1
	listen ext
	conflist_write '{"type": "moat"}'
}

# listen NAME [PORT…]: answers over TCP and UDP on all its addresses, also on those that it gets later.
listen()
{
	local name=$1 pid
	shift
	(($# > 0)) || set -- 80 81
	pid=$(probe_in "$name" serve --background both :: "$@")
	PIDS+=("$pid")
	LISTENER[$name]="${LISTENER[$name]:-} $pid"
}

declare -A LISTENER

listen_stop() # NAME
{
	local pid
	for pid in ${LISTENER[$1]:-}; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	unset "LISTENER[$1]"
}

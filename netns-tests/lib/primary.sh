# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What differs between the primary plugins that stories run on: PRIMARY=ptp (a routed link per pod), PRIMARY=bridge (pods on one
# plain bridge). A story that is about one of them says so in its head, "# Primary: ptp", and is run on that one only.

PRIMARY=${PRIMARY:-ptp}
BRIDGE=cni0

case $PRIMARY in
ptp | bridge) ;;
*) fail "PRIMARY is ptp or bridge, not $PRIMARY" ;;
esac

# primary_config [KEY VALUE]…: the primary's object in the conflist; VALUE is JSON.
primary_config()
{
	local more=""
	while (($# > 0)); do
		more+=", \"$1\": $2"
		shift 2
	done
	# hairpinMode as flannel has it: with br_netfilter a pod reaches itself through a Service only so, without moat too
	[ "$PRIMARY" != bridge ] || more+=", \"bridge\": \"$BRIDGE\", \"isGateway\": true, \"hairpinMode\": true"
	cat <<-END
	{
	  "type": "$PRIMARY", "ipMasq": false, "capabilities": { "ips": true }$more,
	  "ipam": {
	    "type": "host-local", "dataDir": "/run/ipam",
	    "ranges": [ [ { "subnet": "10.1.0.0/24" } ], [ { "subnet": "fd00:1::/64" } ] ],
	    "routes": [ { "dst": "0.0.0.0/0" }, { "dst": "::/0" } ]
	  }
	}
	END
}

# Where the node's IP meets a pod: its own port, or the bridge that the port is of.
node_link() # POD
{
	if [ "$PRIMARY" = bridge ]; then echo $BRIDGE; else echo "${PORT[$1]}"; fi
}

# The node's link-local address there: pods see it as <address>%eth0.
link_local_of_node() # POD
{
	ip -6 -o addr show dev "$(node_link "$1")" scope link | sed 's/.*inet6 \([^/]*\).*/\1/'
}

# prev_result NAME ADDRESS/BITS…: what a primary of CNI 1.1.0 would say of a pod that link_make connected.
prev_result()
{
	local name=$1 ips="" bridge="" index=1 address
	shift
	[ "$PRIMARY" != bridge ] || bridge="{ \"name\": \"$BRIDGE\" }," index=2
	for address; do
		ips+="${ips:+, }{ \"interface\": $index, \"address\": \"$address\" }"
	done
	echo "{ \"cniVersion\": \"1.1.0\", \"ips\": [ $ips ], \"dns\": {}, \"interfaces\": [ $bridge
		{ \"name\": \"port-$name\" }, { \"name\": \"eth0\", \"sandbox\": \"/run/netns/$name\" } ] }"
}

# link_make NAME ADDRESS/BITS…: what a primary leaves behind, without its IPAM: a veth with the port on the node, addresses, routes.
link_make()
{
	local name=$1 port=port-$1 inside="" node address
	shift
	node="link add $port type veth peer name eth0 netns $name"$'\n'
	if [ "$PRIMARY" = bridge ]; then
		bridge_make
		node+="link set $port master $BRIDGE"$'\n'
	else # the gateways, as ptp numbers them: one address on every port
		node+="addr add 10.1.0.1/32 dev $port"$'\n'"addr add fd00:1::1/128 dev $port nodad"$'\n'
	fi
	node+="link set $port up"$'\n'
	for address; do
		if [[ $address == *:* ]]; then ADDR6[$name]=${address%/*}; else ADDR4[$name]=${address%/*}; fi
		inside+="addr add $address dev eth0"$'\n'
		[ "$PRIMARY" = bridge ] || node+="route replace ${address%/*} dev $port"$'\n' # a former owner's link may not be gone yet
	done
	run ip -batch - <<<"$node"
	run ip -n "$name" -batch - <<-END
	link set eth0 up
	$inside
	route add 10.1.0.1 dev eth0
	route add default via 10.1.0.1
	route add fd00:1::1 dev eth0
	route add ::/0 via fd00:1::1
	END
	PORT[$name]=$port
	wait_until 3 link_is_up "$port" || fail "$port does not come up"
}

# The kernel lets nothing out through a link whose carrier has come until it has noticed, which on a busy machine takes up to a second.
link_is_up() { [[ $(ip -o link show "$1") == *"state UP"* ]]; } # PORT

# The bridge as the plugin makes it, if no pod had it made yet.
bridge_make()
{
	! ip link show $BRIDGE >/dev/null 2>&1 || return 0
	run ip link add $BRIDGE type bridge
	run ip link set $BRIDGE up
	run ip addr add 10.1.0.1/24 dev $BRIDGE
	run ip addr add fd00:1::1/64 dev $BRIDGE nodad
}

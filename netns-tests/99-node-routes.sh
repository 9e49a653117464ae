#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cluster without a network of its own: the daemon routes to the other nodes' pods and masquerades what leaves the cluster (--node-routes),
# the installer's list has the ranges of this node's Node (--standalone).
# Primary: ptp
#
#   far (10.2.0.5, fd00:2::5, a pod) --- ext, which is node2 --- node (node1) --- a        out: a host that knows no way to pods
. "$(dirname "$0")/lib.sh"

INSTALL=$BUILD/moat-install
CONF=$T/conf.d BIN=$T/bin
mkdir -p $CONF $BIN

manifest_node() # NAME ADDRESS4 ADDRESS6 CIDR…
{
	local name=$1 addresses="{ type: InternalIP, address: $2 }, { type: InternalIP, address: \"$3\" }" cidr cidrs=""
	shift 3
	for cidr; do
		cidrs+="${cidrs:+, }\"$cidr\""
	done
	manifest "node-$name" <<-END
	apiVersion: v1
	kind: Node
	metadata: { name: $name }
	spec: { podCIDRs: [ $cidrs ] }
	status: { addresses: [ $addresses ] }
	END
}
routes() { { ip route show proto 109; ip -6 route show proto 109; } | sed 's/ *$//' | sort; }
routes_are() { [ "$(routes)" = "$(printf '%s\n' "$@" | sort)" ]; }
masquerades() { nft list table inet moat-nat 2>/dev/null | grep "ip daddr != @cluster masquerade" >/dev/null; } # not -q: nft would end by SIGPIPE

topology
host_add out wire2 192.168.70. fd00:70::
listen out
in_netns out ip route del default
in_netns out ip -6 route del default
# The other node and a pod of it: whoever comes with the address of node1 instead of the pod's own is dropped.
netns_add far
ip -n ext link add far type veth peer name eth0 netns far
ip -n ext addr add 10.2.0.1/24 dev far
ip -n ext addr add fd00:2::1/64 dev far nodad
ip -n ext link set far up
in_netns ext sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 2>/dev/null ||
	in_netns ext bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip -n far addr add 10.2.0.5/24 dev eth0
ip -n far addr add fd00:2::5/64 dev eth0 nodad
ip -n far link set eth0 up
ip -n far route add default via 10.2.0.1
ip -n far -6 route add default via fd00:2::1
ADDR4[far]=10.2.0.5 ADDR6[far]=fd00:2::5
listen far
in_netns far nft -f - <<-END
	table inet seen { chain in {
		type filter hook input priority 0
		tcp dport 80 ip saddr 192.168.50.1 drop
		tcp dport 80 ip6 saddr fd00:50::1 drop
	}
	}
END

step "the installer waits for the Node's ranges, and then has them in both families"
background "$INSTALL" run --conf-dir $CONF --bin-dir $BIN --standalone
installer=$BACKGROUND log=$BACKGROUND_OUT
wait_until 5 grep -q not-installed "$log" || fail "$(cat "$log")"
[ -z "$(find $CONF $BIN -type f)" ] || fail "something is installed"
manifest_namespace default
manifest_node node1 192.168.50.1 fd00:50::1 10.1.0.0/24 fd00:1::/64
manifest_node node2 192.168.50.2 fd00:50::2 10.2.0.0/24 fd00:2::/64
manifest_node default-route 192.168.50.9 fd00:50::9 0.0.0.0/0 ::/0
manifest_node takes-ours 192.168.50.8 fd00:50::8 192.168.50.0/24 fd00:50::/64
daemon_start --node-routes
in_place() { "$INSTALL" check --conf-dir $CONF --bin-dir $BIN --standalone 2>$T/install.err; }
wait_until 15 in_place || fail "$(cat $T/install.err "$log")"
python3 - $CONF/00-moat.conflist <<-'END'
	import json, sys
	plugins = json.load(open(sys.argv[1]))["plugins"]
	assert [p["type"] for p in plugins] == ["ptp", "portmap", "moat"], plugins
	assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]], plugins
END

step "routes to the other node's pods, by its addresses; ranges that would take more are left out"
want=("10.2.0.0/24 via 192.168.50.2 dev wire0" "fd00:2::/64 via fd00:50::2 dev wire0 metric 1024 pref medium")
wait_until 10 routes_are "${want[@]}" || fail "routes: $(routes)"
wait_until 10 masquerades || fail "$(nft list ruleset | grep -A20 moat-nat)"

step "a pod made by that list reaches the other node's pod with its own address, and the world with the node's"
CONFLIST=$CONF/00-moat.conflist NETWORK=moat
pod_add a
manifest_pod a
manifest all <<-END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: all, namespace: default }
spec: { podSelector: {}, policyTypes: [ Ingress, Egress ], egress: [ {} ], ingress: [ { from: [ { ipBlock: { cidr: 10.2.0.5/32 } }, { ipBlock: { cidr: "fd00:2::5/128" } } ] } ] }
END
may() { outcome_is answered 1000 "$@"; }
wait_until 10 may a far 80 || fail "$GOT"
allow a out 80
allow far a 80
deny ext a 80

step "what strangers take away is put back; another's route is not touched, and told"
ip route del 10.2.0.0/24
nft delete table inet moat-nat
wait_until 20 routes_are "${want[@]}" || fail "routes: $(routes)"
wait_until 20 masquerades || fail "no masquerading"
ip route add 10.3.0.0/24 via 192.168.70.2
manifest_node node3 192.168.50.3 fd00:50::3 10.3.0.0/24
wait_until 10 grep -q 'node-routes-incomplete.*10.3.0.0/24' "$DAEMON_LOG" || fail "not told"
[[ $(ip route show 10.3.0.0/24) == "10.3.0.0/24 via 192.168.70.2"* ]] || fail "a stranger's route was replaced"
ip route del 10.3.0.0/24
wait_until 10 routes_are "${want[@]}" "10.3.0.0/24 via 192.168.50.3 dev wire0" || fail "routes: $(routes)"

step "a Node that goes takes its routes along; the daemon's end does not"
rm $MANIFESTS/node-node3.yaml
wait_until 10 routes_are "${want[@]}" || fail "routes: $(routes)"
daemon_stop TERM
routes_are "${want[@]}" && masquerades || fail "they went with the daemon"
allow a far 80

step "released, nothing of it is left"
pod_del a
kill -TERM "$installer"
wait "$installer" || fail "$(cat "$log")"
"$INSTALL" uninstall --conf-dir $CONF --bin-dir $BIN 2>$T/install.err
"$INSTALL" release --conf-dir $CONF --bin-dir $BIN 2>$T/install.err || fail "$(cat $T/install.err)"
routes_are "" && ! nft list tables | grep moat >/dev/null || fail "left: $(routes; nft list tables)"
rm -rf /run/cni-ipam-state
NETWORK=stories
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a pod may try against others and its node with packets of its own making: what is tried, what must arrive, what did.
#
#   mallory --- node --- victim, ext         as on top of lib.sh; a listener on the node's loopback
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

topology
pod_add mallory
pod_add victim
for name in mallory victim; do
	allow node $name icmp # neighbours are resolved from here on
done
nft -f - <<-END
	table inet witness {
		counter forwarded { }
		counter victim { }
		chain forward { type filter hook forward priority 500; iifname "$(node_link mallory)" counter name forwarded; }
		# forged, or an error that a forged packet made the node send; the node has its own reasons to speak otherwise
		chain out {
			type filter hook postrouting priority 500
			oifname "${PORT[victim]}" ip6 saddr { ${ADDR6[victim]}, ${ADDR6[ext]}, fd00:1::77, fe80::1 } counter name victim
			oifname "${PORT[victim]}" icmpv6 type { time-exceeded, destination-unreachable, parameter-problem } counter name victim
		}
	}
END
count_of() { nft list counter inet witness "$1" | grep -oE 'packets [0-9]+' | grep -oE '[0-9]+'; }

# tried WHAT FORWARDED REACHED ARGUMENTS…: how many packets of mallory's must pass the node, how many reach the victim's link.
tried()
{
	local what=$1 forwarded=$2 reached=$3 f v
	shift 3
	f=$(count_of forwarded) v=$(count_of victim)
	probe_in mallory raw "$@"
	f=$(($(count_of forwarded) - f)) v=$(($(count_of victim) - v))
	note "$what: forwarded $f, to the victim $v"
	((f == forwarded && v == reached)) || fail "$what: forwarded $f of $forwarded, $v reached the victim, expected $reached"
}

m6=${ADDR6[mallory]} v6=${ADDR6[victim]}
step "to itself over the node: arrives (this test can fail)"
in_netns mallory ip -6 route del local "$m6" dev eth0 table local
in_netns mallory ip -6 route add "$m6" via fd00:1::1 dev eth0
tried "own address to itself" 1 0 udp --saddr "$m6" --daddr "$m6"

step "what a link needs, with the victim's own address: neither forwarded as the victim's nor answered to it"
for type in 133 135 136; do
	tried "type $type from the victim to itself" 0 0 icmp6 --type $type --hops 255 --saddr "$v6" --daddr "$v6"
done
for type in 131 132 143; do
	tried "report $type from the victim, over ext: the node says time exceeded" 0 0 \
		icmp6 --type $type --hops 1 --saddr "$v6" --daddr "${ADDR6[ext]}" --payload "quoted in the error"
	tried "report $type from the victim to itself" 0 0 icmp6 --type $type --hops 1 --saddr "$v6" --daddr "$v6"
done
for from in fd00:1::77 "${ADDR6[ext]}" "${ADDR6[node]}" fe80::1 ::; do
	tried "a solicitation from $from" 0 0 icmp6 --type 135 --hops 255 --saddr $from --daddr "$v6"
done

step "the node's loopback, with route_localnet as kube-proxy sets it and egress to anywhere"
policy all default 'podSelector: {}, policyTypes: [ Egress ], egress: [ {} ]'
manifest_namespace default
manifest_pod mallory
daemon_start
sysctls ipv4/conf/all/route_localnet=1
in_netns mallory bash -c "$(declare -f sysctls); sysctls ipv4/conf/all/route_localnet=1"
in_netns mallory ip -4 route flush table local dev lo
in_netns mallory ip route add 127.0.0.1 via 10.1.0.1 dev eth0 src "${ADDR4[mallory]}"
to_node() # ADDRESS WANTED
{
	count_start here node "$1" 5001
	probe_in mallory raw udp --saddr "${ADDR4[mallory]}" --daddr "$1" --dport 5001
	count_stop here
	((OTHER == $2)) || fail "$OTHER packets reached $1, expected $2"
}
lost=$(packets lost)
to_node 192.168.50.1 1
to_node 127.0.0.1 0
(($(packets lost) == lost + 1)) || fail "chain lost has counted $(($(packets lost) - lost)) of 1"


step "another way named in the packet: source routes and router alerts, with egress to anywhere and a node that follows them"
sysctls ipv4/conf/{all,"$(node_link mallory)"}/accept_source_route=1 ipv6/conf/{all,"$(node_link mallory)"}/seg6_enabled=1
to_ext() # WANTED LAYER…
{
	local wanted=$1
	shift
	background "$PROBE" capture ext=/run/netns/ext "node:/proc/$$/ns/net"
	wait_until 5 grep -q ready "$BACKGROUND_OUT" || fail "capture does not start"
	probe_in mallory craft --token 7 "$@"
	allow mallory "$e4" icmp # whatever was to come has come
	stop_background "$BACKGROUND" "$BACKGROUND_OUT"
	[[ $LAST == "$wanted"* ]] || fail "$LAST, expected $wanted: $*"
}
m4=${ADDR4[mallory]} e4=${ADDR4[ext]} e6=${ADDR6[ext]}
to_ext "7 ext 1" ip src="$m4" dst="$e4" / udp / token
to_ext ready ip src="$m4" dst=192.168.50.1 lsrr="$e4" / udp / token
to_ext ready ip src="$m4" dst=192.168.50.1 ssrr="$e4" / udp / token
to_ext ready ip src="$m4" dst="$e4" alert / udp / token
to_ext "7 ext 1" ip src="$m6" dst="$e6" / dest / udp / token
to_ext ready ip src="$m6" dst=fd00:50::1 / rt type=4 final="$e6" via=fd00:50::1 / udp / token
to_ext ready ip src="$m6" dst=fd00:50::1 / dest / rt type=4 final="$e6" via=fd00:50::1 / udp / token
to_ext ready ip src="$m6" dst="$e6" / hop alert / udp / token
to_ext ready ip src=fe80::7 dst="$e6" hops=1 / hop alert / icmp6 type=143 / token

nft delete table inet witness
finish

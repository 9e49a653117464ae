#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Primary: bridge
# Pods of one bridge obey policies with br_netfilter on, off, and turned while connections run; Services, probes and masquerade work.
#
#   client, server, other     ports of cni0 (hairpinMode, ipMasq)     10.96.0.10, fd00:96::10 port 8080 -> server port 80
#         |
#   cni0 10.1.0.1 -- node -- ext       net.bridge.bridge-nf-call-iptables, -ip6tables: 0, 1, and back
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

br_netfilter() { sysctls "bridge/bridge-nf-call-iptables=$1" "bridge/bridge-nf-call-ip6tables=$1"; } # 0|1

# Services as kube-proxy writes them.
service() # FAMILY CLUSTER_IP POD_IP POD_IP_AND_PORT
{
	nft -f - <<-END
	table $1 kube_proxy {
		chain services { $1 daddr $2 tcp dport 8080 dnat to $4; $1 daddr $2 udp dport 8080 dnat to $4; }
		chain prerouting { type nat hook prerouting priority dstnat; jump services; }
		chain output { type nat hook output priority -100; jump services; }
		chain postrouting {
			type nat hook postrouting priority srcnat
			$1 saddr $3 $1 daddr $3 masquerade
		}
	}
	END
}

topology
daemon_start
manifest_namespace default
for pod in client server other; do
	pod_add $pod
	manifest_pod $pod role=$pod
done
service ip 10.96.0.10 "${ADDR4[server]}" "${ADDR4[server]}:80"
service ip6 fd00:96::10 "${ADDR6[server]}" "[${ADDR6[server]}]:80"
ip route add default via "${ADDR4[ext]}" # the node asks its routes before the address is translated
ip -6 route add default via "${ADDR6[ext]}"
policy server default 'podSelector: { matchLabels: { role: server } }, policyTypes: [ Ingress ],
	ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ], ports: [ { port: 80 }, { port: 80, protocol: UDP } ] } ]'
policy egress default 'podSelector: {}, policyTypes: [ Egress ], egress: [ {} ]'
settled

mac_of() { in_netns "$1" ip -o link show eth0 | grep -oE 'link/ether [0-9a-f:]+' | cut -d' ' -f2; } # POD
# A pod that knows another's true MAC sends there, past the bridge's own.
true_macs()
{
	local from to address
	for from in client server other; do
		for to in client server other; do
			for address in "${ADDR4[$to]}" "${ADDR6[$to]}"; do
				[ $from = $to ] || in_netns $from ip neigh replace "$address" lladdr "$(mac_of $to)" dev eth0 nud permanent
			done
		done
	done
}
forget_macs() { for pod in client server other; do in_netns $pod ip neigh flush all nud permanent; in_netns $pod ip neigh flush all; done; }

as_policy_says()
{
	allow client server 80
	allow client server 80 udp
	deny client server 81
	deny client server icmp
	deny_all other server
	deny_all server client
	deny_all ext server
	allow_all client ext
	allow_all node server
	for ip in 10.96.0.10 fd00:96::10; do
		allow client $ip 8080
		allow client $ip 8080 udp
		allow server $ip 8080
		allow node $ip 8080
		deny other $ip 8080
	done
}

for on in 0 1; do
	br_netfilter $on
	step "bridge-nf-call-iptables = $on, with what the pods have learnt of each other"
	as_policy_says
	step "and with nothing learnt"
	forget_macs
	ip neigh flush all
	as_policy_says
	step "and with each other's true MACs"
	true_macs
	as_policy_says
	forget_macs
done

step "turned while connections run: none dies, none opens"
hold_start four client tcp "${ADDR4[server]}" 80
hold_start six client tcp "${ADDR6[server]}" 80
hold_start service client tcp 10.96.0.10 8080
hold_start out client tcp "${ADDR6[ext]}" 80
first_start denied other "${ADDR4[server]}" 80 "${ADDR6[server]}" 80 10.96.0.10 8080
first_added denied
for on in 0 1 0 1 0; do
	br_netfilter $on
	# the Service's connection is translated where it began: in the bridge with it on, in IP with it off
	for name in four six out; do hold_alive $name; done
done
first_stop denied
((ATTEMPTS > 50)) || fail "only $ATTEMPTS attempts"
((ANSWERS == 0)) || fail "$ANSWERS answers to $ATTEMPTS attempts of a denied pod"
hold_alive service

step "what a policy no longer allows dies at once, on and off"
br_netfilter 1
hold_alive four
policy_remove server
settled
all_dead four six service
hold_alive out
for name in four six service out; do hold_stop $name; done
nft delete table ip kube_proxy
nft delete table ip6 kube_proxy
finish

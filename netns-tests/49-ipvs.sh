#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Services by IPVS, as kube-proxy's mode "ipvs" sets them up: the ClusterIP is an address of the node on a dummy link; IPVS takes
# the packet in input, before moat's chain there, and sends it on through output. Runs where the kernel has IPVS, as root: its
# control does not take a user namespace's.
#
#   client -> 10.96.0.10:80 -> IPVS (masquerading method) -> db:80           ext as on top of lib.sh
STORY_NAMESPACES=-nm
[ "$(id -u)" = 0 ] && [ -e /proc/net/ip_vs ] && command -v ipvsadm >/dev/null || {
	echo "skipped: needs root, a kernel with IPVS and ipvsadm (make check-kernels has them)"
	exit 77
}
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

service4=10.96.0.10 service6=fd00:96::10

ask() # answered|dropped A [PORT]: the Service, both families, TCP and UDP
{
	local wanted=$1 from=$2 port=${3:-80} timeout=6000 protocol address
	[ "$wanted" = answered ] || timeout=600
	for address in $service4 $service6; do
		for protocol in tcp udp; do
			outcome_is "$wanted" $timeout "$from" $address "$port" $protocol || fail "$from to the Service by $protocol: $GOT"
		done
	done
}

topology
daemon_start
manifest_namespace default
for pod in client db; do
	pod_add $pod
	manifest_pod $pod "role=$pod"
done
settled
ip link add kube-ipvs0 type dummy
ip addr add $service4/32 dev kube-ipvs0
ip addr add $service6/128 dev kube-ipvs0 nodad
TOPOLOGY_LINKS+=(kube-ipvs0)
sysctls ipv4/vs/conntrack=1
for kind in t u; do
	ipvsadm -A -$kind $service4:80 -s rr
	ipvsadm -a -$kind $service4:80 -r "${ADDR4[db]}:80" -m
	ipvsadm -A -$kind "[$service6]:80" -s rr
	ipvsadm -a -$kind "[$service6]:80" -r "[${ADDR6[db]}]:80" -m
done

step "closed: the Service opens nothing; the node itself passes"
ask dropped client
ask answered node

step "client's egress alone is not enough"
policy clients default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ { to: [ { podSelector: { matchLabels: { role: db } } } ] } ]'
settled
ask dropped client

step "with db's ingress from client the Service answers, and nothing else is open"
policy db default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ], ports: [ { port: 80 }, { port: 80, protocol: UDP } ] } ]'
settled
ask answered client
deny client db 81
deny client ext 80
ip route add default via "${ADDR4[ext]}"
in_netns ext ip route add 10.96.0.0/24 via "${ADDR4[node]}"
outcome_is dropped 600 ext $service4 80 || fail "ext to the Service: $GOT"

step "without db's policy: closed again, an open connection too"
hold_start open client tcp $service4 80
hold_start open6 client tcp $service6 80
policy_remove db
settled
hold_dead open
hold_dead open6
ask dropped client

ipvsadm -C
ip link del kube-ipvs0
finish

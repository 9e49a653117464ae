#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What NetworkPolicy means, on real packets of both families.
#
#   ext 192.168.50.2, 172.17.0.9, 172.17.1.9; fd00:50::2, fd00:17::9, fd00:17:1::9
#    |
#   node --- web, web2 (namespace shop); front, back (shop); front (other namespace: tools)
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

# from_ext_as SOURCE4 SOURCE6 answered|dropped POD PORT: as ext's other addresses.
from_ext_as()
{
	local wanted=$3 to port=$5 source code timeout=4000
	[ "$wanted" = answered ] || timeout=300
	for source in "$1" "$2"; do
		to=${ADDR4[$4]} code=0
		[[ $source != *:* ]] || to=${ADDR6[$4]}
		probe_in ext tcp "$to" "$port" --source "$source" --timeout $timeout >/dev/null || code=$?
		[ "${OUTCOMES[code]:-broken}" = "$wanted" ] || fail "from $source to $to port $port: ${OUTCOMES[code]:-broken}, expected $wanted"
	done
}

# manifest_pod with named ports: NAME "PORTS" [KEY=VALUE…], PORTS the inside of a flow list.
pod_with_ports()
{
	local name=$1 ports=$2
	shift 2
	manifest_pod "$name" "$@"
	sed "s/containers: .*/containers: [ { name: main, image: none, ports: [ $ports ] } ]/" "$MANIFESTS/pod-$name.yaml" | manifest "pod-$name"
}

web() { policy web shop "podSelector: { matchLabels: { role: web } }, policyTypes: [ Ingress ], ingress: [ $1 ]"; }

topology
# Deprecated, so that ext takes them only when told.
for address in 172.17.0.9/32 172.17.1.9/32 fd00:17::9/128 fd00:17:1::9/128; do
	in_netns ext ip addr add $address dev eth0 preferred_lft 0
done
ip route add 172.17.0.0/16 via 192.168.50.2
ip -6 route add fd00:17::/32 via fd00:50::2
manifest_namespace shop team=shop
manifest_namespace tools team=tools
for pod in web web2 front back; do
	pod_add $pod --ns shop
	listen $pod 79 90 91
	manifest_pod $pod "role=${pod%2}" tier=one
done
pod_add tool --ns tools
manifest_pod tool role=front tier=two
for ns in shop tools; do
	policy egress-$ns $ns 'podSelector: {}, policyTypes: [ Egress ], egress: [ {} ]'
done
daemon_start
settled

step "an egress policy opens no ingress; a pod reaches itself"
deny_all front web
deny_all ext web
allow_all front ext
allow_all web web

step "ports 80 to 90"
web '{ ports: [ { port: 80, endPort: 90 } ] }'
settled
for port in 80 81 90; do
	allow front web $port
done
for port in 79 91; do
	deny front web $port
done
deny front web 80 udp
deny front web icmp
step "UDP is not TCP"
web '{ ports: [ { port: 80, protocol: UDP } ] }'
settled
allow front web 80 udp
deny front web 80
deny front web 81 udp
step "ICMP passes with rules without ports only"
web '{ from: [ { podSelector: { matchLabels: { role: front } } } ] }'
settled
allow_all front web
deny_all back web
deny_all tool web

step "named ports: each pod's own number, in both directions"
pod_with_ports web '{ name: http, containerPort: 80 }' role=web tier=one
pod_with_ports web2 '{ name: http, containerPort: 81 }, { name: http, containerPort: 80, protocol: UDP }' role=web tier=one
web '{ ports: [ { port: http } ] }'
settled
allow front web 80
deny front web 81
allow front web2 81
deny front web2 80
deny front web2 80 udp
web '{}'
policy egress-shop shop 'podSelector: {}, policyTypes: [ Egress ], egress: [ { to: [ { podSelector: { matchLabels: { role: web } } } ], ports: [ { port: http } ] } ]'
settled
allow front web 80
deny front web 81
allow front web2 81
deny front web2 80
deny front ext 80
policy egress-shop shop 'podSelector: {}, policyTypes: [ Egress ], egress: [ {} ]'

step "ipBlock and its excepts"
web '{ from: [ { ipBlock: { cidr: 172.17.0.0/16, except: [ 172.17.1.0/24 ] } }, { ipBlock: { cidr: "fd00:17::/32", except: [ "fd00:17:1::/48" ] } } ], ports: [ { port: 80 } ] }'
settled
from_ext_as 172.17.0.9 fd00:17::9 answered web 80
from_ext_as 172.17.0.9 fd00:17::9 dropped web 81
from_ext_as 172.17.1.9 fd00:17:1::9 dropped web 80
deny ext web 80
step "an except takes away nothing that another policy gives"
policy more shop 'podSelector: { matchLabels: { role: web } }, policyTypes: [ Ingress ], ingress: [ { from: [ { ipBlock: { cidr: 172.17.1.9/32 } }, { ipBlock: { cidr: "fd00:17:1::/64" } } ], ports: [ { port: 80 } ] } ]'
settled
from_ext_as 172.17.0.9 fd00:17::9 answered web 80
from_ext_as 172.17.1.9 fd00:17:1::9 answered web 80
from_ext_as 172.17.1.9 fd00:17:1::9 dropped web 81
policy_remove more

step "namespaceSelector and podSelector: in one peer both, in two peers either"
web '{ from: [ { namespaceSelector: { matchLabels: { team: tools } }, podSelector: { matchLabels: { role: front } } } ] }'
settled
allow tool web 80
deny front web 80
web '{ from: [ { namespaceSelector: { matchLabels: { team: tools } }, podSelector: { matchLabels: { role: back } } } ] }'
settled
deny tool web 80
deny back web 80
web '{ from: [ { namespaceSelector: { matchLabels: { team: tools } } }, { podSelector: { matchLabels: { role: back } } } ] }'
settled
allow tool web 80
allow back web 80
deny front web 80

step "a pod's label that flips opens and closes within a second, its connections too"
web '{ from: [ { namespaceSelector: {}, podSelector: { matchLabels: { tier: two } } } ] }'
settled
deny front web 80
manifest_pod front role=front tier=two
soon allow front web 80
hold_start flipped front tcp "${ADDR4[web]}" 80
hold_start flipped6 front tcp "${ADDR6[web]}" 80
hold_start steady tool tcp "${ADDR6[web]}" 80
manifest_pod front role=front tier=one
soon deny front web 80
hold_dead flipped
hold_dead flipped6
hold_alive steady
step "a namespace's label likewise"
web '{ from: [ { namespaceSelector: { matchLabels: { team: tools } } } ] }'
settled
manifest_namespace tools team=none
soon deny tool web 80
hold_dead steady
manifest_namespace tools team=tools
soon allow tool web 80

step "the selected pod's label: it leaves the policy, and is closed"
hold_start leaving tool tcp "${ADDR4[web]}" 80
pod_with_ports web '{ name: http, containerPort: 80 }' role=none tier=one
soon deny tool web 80
hold_dead leaving
manifest_pod web role=web tier=one
soon allow tool web 80

step "forty policies add up, whatever their order"
for i in {40..1}; do
	policy "many-$i" shop "podSelector: { matchLabels: { role: web } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: front, tier: tier-$i } } } ], ports: [ { port: $((60 + i)) } ] } ]"
done
manifest_pod front role=front tier=tier-20
manifest_pod back role=front tier=tier-21
settled
allow front web 80
deny front web 81
allow back web 81
deny back web 80
allow tool web 81

step "a completed pod is nobody's peer; its connections end"
hold_start completed back tcp "${ADDR4[web]}" 81
sed 's/phase: Running/phase: Succeeded/' "$MANIFESTS/pod-back.yaml" | manifest pod-back
soon deny back web 81
hold_dead completed
manifest_pod back role=front tier=tier-21
soon allow back web 81

step "a hostNetwork pod at an address is no peer there"
web '{ from: [ { podSelector: { matchLabels: { role: host } } } ] }'
manifest host <<END
apiVersion: v1
kind: Pod
metadata: { name: host, namespace: shop, uid: host-1, labels: { role: host } }
spec: { nodeName: elsewhere, hostNetwork: true, containers: [ { name: main, image: none } ] }
status: { phase: Running, podIPs: [ { ip: 192.168.50.2 }, { ip: "fd00:50::2" } ] }
END
settled
deny ext web 80
sed 's/hostNetwork: true/hostNetwork: false/' "$MANIFESTS/host.yaml" | manifest host
settled
allow ext web 80

step "a manifest with another UID is another pod: closed"
sed 's/uid: uid-.*/uid: another/' "$MANIFESTS/pod-web.yaml" | manifest pod-web
soon deny ext web 80
deny_all web ext
state_says web 'not known: closed' || fail "status says: $(state_of web)"
manifest_pod web role=web tier=one
soon allow ext web 80

finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Services by rules as kube-proxy writes them: policies speak of the pod behind a ClusterIP, never of the ClusterIP.
#
#   10.96.0.10, fd00:96::10 port 8080 (ClusterIP) -> server port 80
#   client, server, ext --- node
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

CLUSTER_IPS=(10.96.0.10 fd00:96::10)

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

server_policy() { policy server default "podSelector: { matchLabels: { role: server } }, policyTypes: [ Ingress, Egress ], ingress: [ $1 ]"; }
client_policy() { policy client default "podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ $1 ]"; }

# by_service allow|deny A [udp]: over both ClusterIPs
by_service()
{
	local ip
	for ip in "${CLUSTER_IPS[@]}"; do
		"$1" "$2" "$ip" 8080 ${3:+"$3"}
	done
}

TO_SERVER='{ to: [ { podSelector: { matchLabels: { role: server } } } ], ports: [ { port: 80 }, { port: 80, protocol: UDP } ] }'
FROM_CLIENT='{ from: [ { podSelector: { matchLabels: { role: client } } } ], ports: [ { port: 80 }, { port: 80, protocol: UDP } ] }'

topology
manifest_namespace default
for pod in server client; do
	pod_add $pod
	manifest_pod $pod role=$pod
done
service ip "${CLUSTER_IPS[0]}" "${ADDR4[server]}" "${ADDR4[server]}:80"
service ip6 "${CLUSTER_IPS[1]}" "${ADDR6[server]}" "[${ADDR6[server]}]:80"
in_netns ext ip route add 10.96.0.0/24 via "${ADDR4[node]}"
in_netns ext ip -6 route add fd00:96::/64 via "${ADDR6[node]}"
ip route add default via "${ADDR4[ext]}"
ip -6 route add default via "${ADDR6[ext]}"
server_policy ''
daemon_start
settled

step "no egress, no ingress: closed by every name; the server itself reaches itself, the node too"
by_service deny client
by_service deny ext
by_service allow server
by_service allow server udp
by_service allow node

step "egress alone is not enough"
client_policy "$TO_SERVER"
settled
by_service deny client
step "both: through the ClusterIP and directly"
server_policy "$FROM_CLIENT"
settled
by_service allow client
by_service allow client udp
allow client server 80
by_service deny ext
step "ingress alone is not enough"
client_policy ''
settled
by_service deny client
deny client server 80

step "the Service's port and address are nothing that policy sees"
client_policy '{ ports: [ { port: 8080 }, { port: 8080, protocol: UDP } ] }'
settled
by_service deny client
client_policy '{ to: [ { ipBlock: { cidr: 10.96.0.0/24 } }, { ipBlock: { cidr: "fd00:96::/64" } } ] }'
settled
by_service deny client
client_policy "$TO_SERVER"
settled
by_service allow client

step "open connections through the ClusterIP die with the client's policy"
hold_start tcp4 client tcp "${CLUSTER_IPS[0]}" 8080
hold_start tcp6 client tcp "${CLUSTER_IPS[1]}" 8080
hold_start udp4 client udp "${CLUSTER_IPS[0]}" 8080
hold_start udp6 client udp "${CLUSTER_IPS[1]}" 8080
hold_start itself server tcp "${CLUSTER_IPS[0]}" 8080
hold_start itself6 server tcp "${CLUSTER_IPS[1]}" 8080
all_alive tcp4 tcp6 udp4 udp6
policy_remove client
settled
all_dead tcp4 tcp6 udp4 udp6
by_service deny client
all_alive itself itself6

step "and with the server's"
client_policy "$TO_SERVER"
settled
hold_start again4 client tcp "${CLUSTER_IPS[0]}" 8080
hold_start again6 client tcp "${CLUSTER_IPS[1]}" 8080
all_dead tcp4 tcp6 # what was revoked does not wake up when the policy comes back: their clients must open anew
server_policy ''
settled
all_dead again4 again6
all_alive itself itself6
by_service allow server

step "an endpoint that changes: the Service follows, policy judges the new pod"
pod_add server2
manifest_pod server2 role=other
server_policy "$FROM_CLIENT"
nft delete table ip kube_proxy
nft delete table ip6 kube_proxy
service ip "${CLUSTER_IPS[0]}" "${ADDR4[server2]}" "${ADDR4[server2]}:80"
service ip6 "${CLUSTER_IPS[1]}" "${ADDR6[server2]}" "[${ADDR6[server2]}]:80"
settled
by_service deny client
manifest_pod server2 role=server
settled
by_service allow client
nft delete table ip kube_proxy
nft delete table ip6 kube_proxy

finish

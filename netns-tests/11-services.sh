#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Services by rules as kube-proxy writes them: destination NAT in prerouting and output, masquerade for a pod that reaches itself.
# moat sees the pod behind the Service, so a closed pod is closed by every name it has; only hairpin and the node pass.
#
#   server <- 10.96.0.10, fd00:96::10 port 80 (ClusterIP) <- server itself, client, ext, node
. "$(dirname "$0")/lib.sh"

# Stands beside moat's table as another program's.
service() # FAMILY CLUSTER_IP POD_IP POD_IP_AND_PORT
{
	nft -f - <<-END
	table $1 kube_proxy {
		chain services { $1 daddr $2 tcp dport 80 dnat to $4; $1 daddr $2 udp dport 80 dnat to $4; }
		chain prerouting { type nat hook prerouting priority dstnat; jump services; }
		chain output { type nat hook output priority -100; jump services; }
		chain postrouting {
			type nat hook postrouting priority srcnat
			$1 saddr $3 $1 daddr $3 masquerade
		}
	}
	END
}

kube_proxy() # POD
{
	service ip 10.96.0.10 "${ADDR4[$1]}" "${ADDR4[$1]}:80"
	service ip6 fd00:96::10 "${ADDR6[$1]}" "[${ADDR6[$1]}]:80"
}

topology
pod_add server
pod_add client
kube_proxy server
# The node sends to a ClusterIP by its default route, before the address is translated.
ip route add default via "${ADDR4[ext]}"
ip -6 route add default via "${ADDR6[ext]}"
in_netns ext ip route add 10.96.0.0/24 via "${ADDR4[node]}"
in_netns ext ip -6 route add fd00:96::/64 via "${ADDR6[node]}"

for cluster_ip in 10.96.0.10 fd00:96::10; do
	step "$cluster_ip: the node reaches it, and the server reaches itself"
	allow node $cluster_ip 80
	allow node $cluster_ip 80 udp
	allow server $cluster_ip 80
	allow server $cluster_ip 80 udp
	step "$cluster_ip: nobody else does"
	deny client $cluster_ip 80
	deny client $cluster_ip 80 udp
	deny ext $cluster_ip 80
	deny ext $cluster_ip 80 udp
done

step "without enforcement they would (this test can fail)"
conflist_write '{"type": "moat", "mode": "audit"}'
nft delete table ip kube_proxy
nft delete table ip6 kube_proxy
pod_add open
kube_proxy open
for cluster_ip in 10.96.0.10 fd00:96::10; do
	allow ext $cluster_ip 80
	allow ext $cluster_ip 80 udp
	deny client $cluster_ip 80
done
nft delete table ip kube_proxy
nft delete table ip6 kube_proxy
finish

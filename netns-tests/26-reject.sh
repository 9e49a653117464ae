#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# deny: reject answers those whom the daemon knows, and leaves waiting those whom it does not know yet. Tunnels to other
# nodes pass in no mode.
#
#   ext --- node --- a, b, new            as on top of lib.sh
. "$(dirname "$0")/lib.sh"

topology
conflist_write '{"type": "moat", "deny": "reject"}'
manifest_namespace default
manifest node <<END
apiVersion: v1
kind: Node
metadata: { name: other }
spec: { podCIDRs: [ 10.1.0.0/24, "fd00:1::/64" ] }
status: { addresses: [ { type: InternalIP, address: 192.168.50.2 }, { type: InternalIP, address: "fd00:50::2" } ] }
END
manifest open-egress <<END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: open-egress, namespace: default }
spec: { podSelector: { matchLabels: { pod: a } }, policyTypes: [ Egress ], egress: [ {} ] }
END
pod_add b
step "an unconfirmed pod answers nobody"
deny ext b 80

daemon_start
manifest_pod b
pod_add a
manifest_pod a
step "known peers and those outside the pods' ranges are answered at once"
eventually reject a b 80
prohibit a b 80 udp
eventually reject ext b 80
reject b ext 80

step "a client that is not known yet waits"
pod_add new 10.1.0.200/24 fd00:1::200/64
manifest egress-new <<END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: new, namespace: default }
spec: { podSelector: { matchLabels: { role: new } }, policyTypes: [ Egress ], egress: [ {} ] }
END
deny new b 80
manifest_pod new role=new
eventually reject new b 80

step "no tunnel to another node, whatever policy allows"
listen ext 8472
allow a ext 80 udp
deny a ext 8472 udp

finish

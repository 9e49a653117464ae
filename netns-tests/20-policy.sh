#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon opens exactly what a policy allows, and takes it back with its open connections.
#
#   ext --- node --- client, other, db           as on top of lib.sh
. "$(dirname "$0")/lib.sh"

topology
daemon_start
manifest_namespace default
for pod in client other db; do
	pod_add $pod
	manifest_pod $pod "role=$pod"
done

step "strict: without a policy all is closed, node probes aside"
deny_all client db
deny_all ext db
deny_all client ext
allow_all node db

step "ingress of db and egress of client: exactly tcp/80 between them"
manifest policy-db <<-END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db, namespace: default }
spec:
  podSelector: { matchLabels: { role: db } }
  policyTypes: [ Ingress ]
  ingress:
  - from: [ { podSelector: { matchLabels: { role: client } } } ]
    ports: [ { port: 80 } ]
END
deny client db 80
manifest policy-client <<-END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: clients, namespace: default }
spec:
  podSelector: {}
  policyTypes: [ Egress ]
  egress:
  - {}
END
eventually allow client db 80
deny client db 81
deny client db 80 udp
deny client db icmp
deny other db 80
deny ext db 80
allow_all client ext

step "an open connection dies with the policy that allowed it, another lives"
hold_start dying client tcp "${ADDR4[db]}" 80
hold_start dying6 client tcp "${ADDR6[db]}" 80
hold_start living client tcp 192.168.50.2 80
hold_alive dying
hold_alive dying6
manifest_remove policy-db
hold_dead dying
hold_dead dying6
hold_alive living
hold_stop living
deny client db 80

finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is created, updated, patched and deleted through a real API server is in the kernel, and on the wire.
#
#   control   etcd, kube-apiserver
#      |
#   ext --- node --- client, db, other (namespace tools)
#
# Needs: etcd kube-apiserver kubectl
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/api.sh
. "$CLUSTER/lib/api.sh"

topology
manifest_namespace tools team=tools
daemon_start
for pod in client db other; do
	if [ $pod = other ]; then pod_make other --ns tools; else pod_make $pod; fi
	manifest_pod $pod role=$pod
	pod_connect $pod || fail "ADD of $pod"
done
settled

step "pods without policies are closed"
deny_all client db
deny_all other db
deny_all ext db
allow_all node db

step "create"
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
policy other tools 'podSelector: {}, policyTypes: [ Egress ], egress: [ {} ]'
db_takes() # PEER PORT
{
	policy db default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { $1 } ], ports: [ { port: $2 } ] } ]"
}
db_takes 'podSelector: { matchLabels: { role: client } }' 80
settled
allow client db 80
deny client db 81
deny other db 80
deny ext db 80
hold_start open client tcp "${ADDR4[db]}" 80

step "update: the other port, and what was open is cut"
db_takes 'podSelector: { matchLabels: { role: client } }' 81
settled
allow client db 81
deny client db 80
hold_dead open

step "patch: labels of a pod, and of a namespace"
kubectl label --overwrite pod client role=none >/dev/null
settled
deny client db 81
kubectl label --overwrite pod client role=client >/dev/null
db_takes 'namespaceSelector: { matchLabels: { team: tools } }' 81
settled
allow other db 81
kubectl patch namespace tools --type=merge -p '{"metadata": {"labels": {"team": null}}}' >/dev/null
settled
deny other db 81
kubectl patch networkpolicy db --type=json -p '[{"op": "replace", "path": "/spec/ingress/0/from", "value": [{"podSelector": {}}]}]' >/dev/null
settled
allow client db 81
deny other db 81

step "delete"
hold_start open client tcp "${ADDR6[db]}" 81
policy_remove db
settled
deny client db 81
hold_dead open

step "a Pod of the same name and another UID is another pod: the one that runs is closed"
db_takes 'podSelector: { matchLabels: { role: client } }' 80
settled
allow client db 80
manifest_remove pod-client
settled
deny client db 80
manifest_pod client role=client
settled
deny client db 80
deny client ext 80
finish

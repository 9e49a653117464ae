#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A peer group of 16,000 pods: more than one batch takes where net.core.wmem_max has its default, so it goes in parts before
# any rule uses it.
#
#   ext --- node --- a            as on top of lib.sh; the 16,000 are objects only, ext has the address of the last
. "$(dirname "$0")/lib.sh"

topology
in_netns ext ip addr add 10.250.62.128/32 dev eth0
ip route add 10.250.0.0/16 via 192.168.50.2
manifest_namespace default
pod_add a
manifest_pod a
awk 'BEGIN {
	print "apiVersion: v1\nkind: List\nitems:"
	for (i = 1; i <= 16000; i++)
		printf "- apiVersion: v1\n  kind: Pod\n  metadata: { name: p%d, namespace: default, labels: { far: \"1\" } }\n" \
			"  spec: { nodeName: other }\n  status: { phase: Running, podIPs: [ { ip: 10.250.%d.%d } ] }\n", i, int(i / 256), i % 256
}' >$T/pods.tmp
mv $T/pods.tmp $MANIFESTS/pods-far.yaml
manifest far <<END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: from-far, namespace: default }
spec: { podSelector: { matchLabels: { pod: a } }, ingress: [ { from: [ { podSelector: { matchLabels: { far: "1" } } } ] } ] }
END
daemon_start

step "the last of 16,000 reaches the pod, a stranger does not"
ADDR4[far]=10.250.62.128
from_far() { probe_in ext tcp "${ADDR4[a]}" 80 --source 10.250.62.128 --timeout 1000 >/dev/null; }
wait_until 10 from_far || fail "the last of the group does not reach a"
deny ext a 80
(($(nft list sets inet | grep -c '10\.250\.') > 14000 / 4)) || fail "the group's set is not filled"

step "and after a restart too"
daemon_stop KILL
daemon_start
wait_until 10 from_far || fail "the last of the group does not reach a after a restart"
deny ext a 80
finish

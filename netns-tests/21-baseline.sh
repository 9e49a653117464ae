#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The baseline: what every pod may do besides what its policies say, followed as its file changes, in strict mode.
#
#   ext, branch --- node --- dns          kube-system, k8s-app=kube-dns
#                    |  \--- web, neighbour, other
#                    '------ 169.254.20.10, the node-local cache
#
# ext is the API server first, and another node later.
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

BASELINE=$T/baseline
mkdir -p $BASELINE

# baseline <<END: as the kubelet writes a mounted ConfigMap; baseline.yaml is a link through ..data, which is renamed over
VERSIONS=0
baseline()
{
	VERSIONS=$((VERSIONS + 1))
	mkdir $BASELINE/..v$VERSIONS
	{ printf 'apiVersion: moat.cni/v1\nkind: Baseline\n'; cat; } >$BASELINE/..v$VERSIONS/baseline.yaml
	ln -s ..v$VERSIONS $BASELINE/..data.new
	mv -T $BASELINE/..data.new $BASELINE/..data
	[ -L $BASELINE/baseline.yaml ] || ln -s ..data/baseline.yaml $BASELINE/baseline.yaml
}

slices() # PORT
{
	manifest slices <<-END
	apiVersion: discovery.k8s.io/v1
	kind: EndpointSliceList
	items:
	- addressType: IPv4
	  metadata: { name: kubernetes, namespace: default, labels: { kubernetes.io/service-name: kubernetes } }
	  endpoints: [ { addresses: [ "${ADDR4[ext]}" ], conditions: { ready: true } } ]
	  ports: [ { name: https, port: $1, protocol: TCP } ]
	- addressType: IPv6
	  metadata: { name: kubernetes6, namespace: default, labels: { kubernetes.io/service-name: kubernetes } }
	  endpoints: [ { addresses: [ "${ADDR6[ext]}" ] } ]
	  ports: [ { name: https, port: $1 } ]
	END
}

explained() { "$BUILD/moatctl" explain "$@" >"$T/explain.text" || true; }
explains() { explained "${@:2}" && grep -qF -- "$1" "$T/explain.text" || fail "explain ${*:2}: $(cat "$T/explain.text")"; }

topology
conflist_write '{"type": "moat"}'
manifest_namespace kube-system
manifest_namespace default
manifest_namespace other
host_add branch wire1 172.17.1. fd00:51::
ip address add 169.254.20.10/32 dev lo
listen node 53
slices 81
daemon_start --baseline $BASELINE/baseline.yaml
pod_add dns --ns kube-system
listen dns 53
pod_add web
pod_add other --ns other
manifest_pod dns k8s-app=kube-dns
manifest_pod web
manifest_pod other
settled

step "a file that is not there is told; strict is strict"
status_says 'in force is none' || fail "status: $(cat "$T/status.text")"
status_says 'No such file' || fail "status: $(cat "$T/status.text")"
deny web dns 53 udp
deny ext web 80

step "dns: both ends, nothing else"
baseline <<-END
entities: [ { name: dns } ]
END
eventually allow web dns 53 udp
allow other dns 53
allow web dns 53
deny web dns 80
deny web other 53
deny dns web 53
allow web 169.254.20.10 53 udp
explains 'allowed by the baseline (dns), egress[0]; no policy selects it for that direction' default/web kube-system/dns udp/53
explains 'allowed by the baseline (dns), ingress[0]' default/web kube-system/dns udp/53
state_says web 'ingress: closed; egress: closed but for the baseline' || fail "status: $(state_of web)"

step "the API server, where its EndpointSlice says, and when that moves"
baseline <<-END
entities: [ { name: dns }, { name: apiserver }, { name: nodes } ]
END
eventually allow web ext 81
deny web ext 80
allow other ext 81
slices 80
eventually allow web ext 80
deny web ext 81
manifest_remove slices
eventually deny web ext 80
status_says 'no EndpointSlice' || fail "status: $(cat "$T/status.text")"

step "nodes: another node reaches pods, on all its addresses, as it comes and goes"
deny ext web 80
manifest node2 <<-END
apiVersion: v1
kind: Node
metadata: { name: node2, annotations: { flannel.alpha.coreos.com/public-ipv6: "${ADDR6[ext]}" } }
status: { addresses: [ { type: InternalIP, address: "${ADDR4[ext]}" } ] }
END
eventually allow ext web 80
allow_all ext other
deny branch web 80
deny web ext 80
explains 'allowed by the baseline (nodes), ingress[0]' "${ADDR4[ext]}" default/web tcp/80

step "it adds up with policies; open connections live on"
policy web default 'podSelector: {}, policyTypes: [ Ingress ], ingress: [ { from: [ { ipBlock: { cidr: 172.17.1.0/24 } } ] } ]'
settled
hold_start kept ext tcp "${ADDR4[web]}" 80
allow ext web 80
explains 'allowed by the baseline (nodes)' "${ADDR4[ext]}" default/web tcp/80

step "a version with a mistake is told, and changes nothing"
baseline <<-END
entities: [ { name: dns }, { name: everything } ]
END
wait_until 5 status_says 'in force is the last good version' || fail "status: $(cat "$T/status.text")"
status_says 'entities\[1\]: has no name of an entity' || fail "status: $(cat "$T/status.text")"
allow ext web 80
rm $BASELINE/..data
wait_until 5 status_says 'No such file' || fail "status: $(cat "$T/status.text")"
allow web dns 53 udp
hold_alive kept

step "taken back: what it allowed is denied, and what was open is cut"
baseline </dev/null
eventually deny ext web 80
deny web dns 53 udp
hold_dead kept
status_says '0 rules; in force is this version' || fail "status: $(cat "$T/status.text")"

step "rules in the shape of a NetworkPolicy's, for every namespace; a restarted daemon has them at once"
baseline <<-END
rules:
- egress: [ { to: [ { podSelector: {} } ] } ]
  ingress: [ { from: [ { podSelector: {} } ] } ]
- namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: other } }
  ingress: [ { from: [ { ipBlock: { cidr: "${ADDR4[ext]}/32" } } ], ports: [ { port: 80 } ] } ]
END
pod_add neighbour
manifest_pod neighbour
eventually allow web neighbour 80
allow neighbour web icmp
deny web other 80
deny ext web 80
daemon_stop KILL
daemon_start --baseline $BASELINE/baseline.yaml
settled
allow web neighbour 80
deny web other 80

finish

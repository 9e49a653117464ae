# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Objects through a real API server: the functions by which stories of netns-tests write manifests talk to it here, so that these
# libraries' policies, floods and counters serve as they are.

# shellcheck source=SCRIPTDIR/control.sh
. "$CLUSTER/lib/control.sh"
# shellcheck source=SCRIPTDIR/../../netns-tests/lib/policies.sh
. "$HERE/lib/policies.sh"

# The daemon may read what deploy/ lets it read, and nothing else.
policyd_may()
{
	kubectl apply -f - >/dev/null <<-END
	apiVersion: rbac.authorization.k8s.io/v1
	kind: ClusterRole
	metadata: { name: moat-policyd }
	rules:
	- { apiGroups: [ "" ], resources: [ namespaces, pods, nodes ], verbs: [ list, watch ] }
	- { apiGroups: [ networking.k8s.io ], resources: [ networkpolicies ], verbs: [ list, watch ] }
	- { apiGroups: [ discovery.k8s.io ], resources: [ endpointslices ], verbs: [ list, watch ] }
	---
	apiVersion: rbac.authorization.k8s.io/v1
	kind: ClusterRoleBinding
	metadata: { name: moat-policyd }
	roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: moat-policyd }
	subjects:
	- { apiGroup: rbac.authorization.k8s.io, kind: User, name: moat-policyd }
	- { kind: ServiceAccount, name: moat-policyd, namespace: kube-system }
	END
}

# The topology of all stories, with a control plane; the daemon has a certificate of its own.
eval "$(declare -f topology | sed '1s/topology/node_topology/')"
topology()
{
	node_topology
	control_up
	policyd_may
	certificate policyd ca moat-policyd moat
	kubeconfig policyd $API certificate policyd
	kubectl create -f - >/dev/null <<-END
	{ apiVersion: v1, kind: Node, metadata: { name: $NODE_NAME }, spec: { podCIDRs: [ 10.1.0.0/24, "fd00:1::/64" ], podCIDR: 10.1.0.0/24 } }
	END
}

POLICYD_SOURCE=(--kubeconfig $PKI/policyd.conf)
daemon_start() # [OPTION…]
{
	"$BUILD/moat-policyd" run "${POLICYD_SOURCE[@]}" --node "$NODE_NAME" "$@" >>"$DAEMON_LOG" 2>&1 &
	DAEMON=$!
	PIDS+=("$DAEMON")
	wait_until 20 synced || fail "the daemon does not get synced"
}

# manifest NAME <<END: applied, and kept to be deleted by that name.
manifest()
{
	cat >"$MANIFESTS/$1.yaml"
	run kubectl apply -f "$MANIFESTS/$1.yaml" >$T/kubectl 2>&1 || fail "kubectl: $(cat $T/kubectl)"
}

manifest_remove()
{
	run kubectl delete --force --grace-period=0 -f "$MANIFESTS/$1.yaml" >$T/kubectl 2>&1 || fail "kubectl: $(cat $T/kubectl)"
	rm "$MANIFESTS/$1.yaml"
}

# manifest_pod NAME [KEY=VALUE…]: after pod_make and before pod_connect, since ADD bears the UID that the API server gives.
manifest_pod()
{
	local name=$1
	shift
	manifest "pod-$name" <<-END
	apiVersion: v1
	kind: Pod
	metadata:
	  name: $name
	  namespace: ${NAMESPACE[$name]}
	  labels:
	    pod: $name
	$(labels_yaml 4 "$@")
	spec:
	  nodeName: $NODE_NAME
	  terminationGracePeriodSeconds: 0
	  containers: [ { name: main, image: none } ]
	END
	POD_UID[$name]=$(kubectl -n "${NAMESPACE[$name]}" get pod "$name" -o 'jsonpath={.metadata.uid}')
}

caught_up() { "$CLUSTER/lib/caught-up" "$BUILD/moatctl" >$T/behind 2>&1; }
settled() # [SECONDS]
{
	wait_until "${1:-20}" caught_up || fail "the daemon has not heard of everything: $(cat $T/behind)"
	wait_until "${1:-20}" eval '! status_says "revoked so far"' || fail "the daemon still looks for connections to revoke"
}

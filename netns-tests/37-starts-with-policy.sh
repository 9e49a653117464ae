#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod starts with its policy in place: when ADD returns, the first packet passes. Without a daemon, or with one that hangs, ADD
# returns at once, or soon, and the pod is closed.
#
#   ext --- node --- client, p1 … p20
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

# One try, without the patience of allow.
first_probe() { outcome_is answered 900 "$@" || fail "the first probe $*: $GOT"; }

topology
conflist_write '{"type": "moat", "waitForPolicy": "10s"}' # a busy machine is slow, and nobody waits in vain here
manifest_namespace default
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
policy web default 'podSelector: { matchLabels: { role: web } }, policyTypes: [ Ingress, Egress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ], ports: [ { port: 80 } ] } ], egress: [ { ports: [ { port: 80 } ] } ]'
daemon_start
pod_make client
manifest_pod client role=client
pod_connect client
allow_all client ext # the wire's first second is the wire's, not moat's

step "twenty pods in a row: what their policy allows passes with the first packet"
slowest=0
for i in {1..20}; do
	pod_make "p$i"
	manifest_pod "p$i" role=web
	settled # the kubelet learns of a Pod before it starts it
	elapsed_ms pod_connect "p$i"
	((CODE == 0)) || fail "ADD of p$i: code $CODE"
	((ELAPSED <= slowest)) || slowest=$ELAPSED
	if ((i % 2)); then
		first_probe client "p$i" 80
		first_probe "p$i" ext 80
	else
		first_probe "p$i" ext 80
		first_probe client "p$i" 80
	fi
done
step "slowest ADD: $slowest ms, ptp and host-local included"
for i in 1 7 20; do
	deny client "p$i" 81
	deny ext "p$i" 80
	deny "p$i" ext 81
done
((slowest < 10000)) || fail "an ADD waited for its time to run out"

conflist_write '{"type": "moat"}'
step "a pod that the daemon does not know: nothing to wait for, closed"
pod_make unknown
elapsed_ms pod_connect unknown
((CODE == 0 && ELAPSED < 1000)) || fail "ADD: code $CODE after $ELAPSED ms"
deny_all client unknown
manifest_pod unknown role=web
eventually allow client unknown 80

# The plugin alone, so that the time is its own. pod_direct POD NUMBER MS [KEY VALUE]: ADD within MS
pod_direct()
{
	local name=$1 number=$2 limit=$3 result
	shift 3
	pod_make "$name"
	link_make "$name" "10.1.0.$number/32" "fd00:1::$number/128"
	manifest_pod "$name" role=web
	result=$(prev_result "$name" "10.1.0.$number/32" "fd00:1::$number/128")
	elapsed_ms plugin_works ADD "$name" "$(config prevResult "$result" "$@")" \
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$name;K8S_POD_UID=uid-${CONTAINER[$name]}"
	((ELAPSED < limit)) || fail "ADD of $name took $ELAPSED ms, limit $limit"
	note "ADD of $name: $ELAPSED ms"
}

direct_gone() # POD
{
	plugin_works DEL "$1" "$(config)"
	pod_forget "$1"
	rm "$MANIFESTS/pod-$1.yaml"
}

step "with a daemon that hangs: after waitForPolicy, closed"
daemon_pause
pod_direct hung 210 1700
((ELAPSED >= 900)) || fail "ADD took $ELAPSED ms: it has not waited"
deny_all client hung
deny hung ext 80
pod_direct hung2 211 700 waitForPolicy '"200ms"'
deny client hung2 80
daemon_resume
eventually allow client hung 80
eventually allow client hung2 80

step "without a daemon: at once, closed; whether its socket is left or not"
daemon_stop KILL
pod_direct dead 212 300
deny_all client dead
daemon_start
eventually allow client dead 80
daemon_stop TERM
pod_direct absent 213 300
deny_all client absent
daemon_start # only a daemon clears away what policies left
for pod in hung hung2 dead absent; do
	direct_gone $pod
done

finish

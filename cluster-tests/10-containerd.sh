#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods of a real runtime, asked for as the kubelet asks, through the CRI: containerd calls the primary and moat before it starts the
# first process, which probes from its first instruction on.
#
#   ext --- node --- seen, early, web, client        containers, connected by PRIMARY
#
# Needs: cri containerd ctr runc
. "$(dirname "$0")/lib.sh"
mount -t tmpfs tmpfs /var/lib
# shellcheck source=SCRIPTDIR/lib/containerd.sh
. "$CLUSTER/lib/containerd.sh"
# shellcheck source=SCRIPTDIR/../netns-tests/lib/policies.sh
. "$HERE/lib/policies.sh"

# cri_pod NAME COMMAND…: a running container; then probes may run in its namespace, by its name.
declare -A SANDBOX
cri_pod()
{
	local name=$1 id addresses pid
	NAMESPACE[$name]=default
	cri $CRI run default "$name" "uid-$name" $PROBE_IMAGE "${@:2}" >"$T/cri" || fail "no pod $name"
	read -r id addresses <"$T/cri"
	SANDBOX[$name]=$id
	ADDR4[$name]=$(tr ' ' '\n' <<<"$addresses" | grep -v :)
	ADDR6[$name]=$(tr ' ' '\n' <<<"$addresses" | grep :)
	pid=$(ctr -n k8s.io tasks ls | awk -v id="$id" '$1 == id { print $2 }')
	ip netns attach "$name" "$pid"
}

cri_remove() # NAME
{
	wait_until 10 run cri $CRI stop "${SANDBOX[$1]}" || fail "$1 cannot be stopped" # as the kubelet: its shim may be about to end by itself
	run ip netns del "$1"
}

cri_object() # NAME
{
	manifest "pod-$1" <<-END
	{ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "$1", "namespace": "default", "uid": "uid-$1", "labels": { "role": "$1" } },
	  "spec": { "nodeName": "$NODE_NAME" }, "status": { "phase": "Running", "podIPs": [ { "ip": "${ADDR4[$1]}" }, { "ip": "${ADDR6[$1]}" } ] } }
	END
}

said() { cat "/run/pod-logs/$1/main"; }
counted() # NAME: ends the container; what its prober counted is in ATTEMPTS and ANSWERS
{
	local pid
	pid=$(grep -lz "^first$" /proc/[0-9]*/cmdline 2>/dev/null | tr -dc '0-9\n' | while read -r pid; do
		[ "$(readlink "/proc/$pid/ns/net")" != "$(in_netns "$1" readlink /proc/self/ns/net)" ] || echo "$pid"
	done)
	kill -TERM "$pid"
	wait_until 5 grep -q attempts "/run/pod-logs/$1/main" || fail "$1 says $(said "$1")"
	read -r ATTEMPTS ANSWERS < <(sed -n 's/.*attempts \([0-9]*\) answers \([0-9]*\).*/\1 \2/p' "/run/pod-logs/$1/main")
}
targets="192.168.50.2 80 fd00:50::2 80"

topology
cni_install
echo "{ \"cniVersion\": \"1.0.0\", \"name\": \"$NETWORK\", \"plugins\": [ $(primary_config) ] }" >$CNI_CONFIGS/10-primary.conflist
containerd_start

step "without moat the first instructions of a container are answered"
# shellcheck disable=SC2086 # words
cri_pod seen /probe first $targets
counted seen
((ATTEMPTS > 0 && ANSWERS > 0)) || fail "the prober proves nothing: $ATTEMPTS attempts, $ANSWERS answers"
cri_remove seen

step "with moat they are not"
cp $CONFLIST $CNI_CONFIGS/00-moat.conflist
chained() # containerd notices the new list in its own time
{
	cri_pod try
	cri_remove try
	nft list table inet moat >/dev/null 2>&1
}
wait_until 20 chained || fail "containerd does not take the list"
# shellcheck disable=SC2086
cri_pod early /probe first $targets
deny_all early ext
deny_all ext early
allow node early icmp
counted early
((ATTEMPTS > 0 && ANSWERS == 0)) || fail "$ATTEMPTS attempts, $ANSWERS answers"
cri_remove early

step "opened by the daemon"
manifest_namespace default
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
policy web default 'podSelector: { matchLabels: { role: web } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ], ports: [ { port: 80 } ] } ]'
daemon_start
for pod in web client; do
	cri_pod $pod
	cri_object $pod
done
eventually allow client web 80
deny client web 81
deny web client 80
deny ext web 80
allow client ext 80

step "stopped through the CRI: nothing is left"
cri_remove web
cri_remove client
finish

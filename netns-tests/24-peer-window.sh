#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The peer window across nodes: from the return of a pod's ADD on one node until a policy of another node, which selects it, lets it
# through there. Two nodes, each with its plugin and its daemon, follow the same objects; here the API tells a pod's address at once.
# And the deny window: what ADD waits for, a pod that was known has its policy when ADD returns.
#
#   client… --- node1 ---- node2 --- server      ingress from role=client
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

CLIENTS=10
RUN2=/run/moat2

on_node2() { in_netns node2 env MOAT_RUN_DIR=$RUN2 "$@"; }

cni2() # VERB POD
{
	on_node2 "$DRIVER" "$1" --conflist $T/conflist2 --path "$BUILD:$CNI_PLUGINS" --cache $T/cni2 --netns "/run/netns/$2" \
		--container "${CONTAINER[$2]}" --result "$RESULTS/$2" \
		--args "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$2;K8S_POD_UID=uid-${CONTAINER[$2]}"
}

node2_says() { on_node2 "$BUILD/moatctl" status 2>/dev/null | grep -q -- "$1"; }
told() { grep -q '^after ' "${FIRST_OUT[$1]}"; }

topology
conflist_write '{"type": "moat", "waitForPolicy": "10s"}'
host_add node2 wire2 10.200.0. fd00:200::
in_netns node2 bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip route add 10.2.0.0/24 via 10.200.0.2
ip -6 route add fd00:2::/64 via fd00:200::2
sed 's/10\.1\.0\./10.2.0./g; s/fd00:1:/fd00:2:/g; s,/run/ipam,/run/ipam2,' $CONFLIST >$T/conflist2
mkdir -m 700 $RUN2

manifest_namespace default
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
policy server default 'podSelector: { matchLabels: { role: server } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ] } ]'
daemon_start
# not by a function: of one in the background only the shell around it would be stopped
nsenter --net=/run/netns/node2 env MOAT_RUN_DIR=$RUN2 "$BUILD/moat-policyd" run --manifests $MANIFESTS --node node2 >>$T/daemon2.log 2>&1 &
DAEMON2=$!
PIDS+=("$DAEMON2")
wait_until 10 node2_says 'on node node2' || fail "the second daemon does not answer: $(cat $T/daemon2.log)"
pod_make server
NODE_NAME=node2 manifest_pod server role=server
cni2 add server || fail "ADD of server"
pod_addresses server
NODE_NAME=node2 manifest_pod server role=server
wait_until 5 node2_says '1 attached' || fail "$(on_node2 "$BUILD/moatctl" status)"

step "$CLIENTS pods in a row: from the return of ADD to the first answer from the other node"
windows=()
for ((i = 1; i <= CLIENTS; i++)); do
	pod_make "c$i"
	manifest_pod "c$i" role=client
	settled # the kubelet learns of a Pod before it starts it
	first_start "f$i" "c$i" "${ADDR4[server]}" 80
	pod_connect "c$i" || fail "ADD of c$i"
	first_added "f$i"
	manifest_pod "c$i" role=client # with its address now
	wait_until 10 told "f$i" || fail "c$i does not reach the server: $(cat "${FIRST_OUT[f$i]}")"
	windows+=("$(sed -n 's/^after \([0-9]*\) us/\1/p' "${FIRST_OUT[f$i]}")")
	first_stop "f$i"
done
mapfile -t windows < <(printf '%s\n' "${windows[@]}" | sort -n)
step "peer window: $((windows[CLIENTS / 2] / 1000)) ms in the median, $((windows[CLIENTS - 1] / 1000)) ms at most"
((windows[CLIENTS - 1] < 5000000)) || fail "a peer window of more than 5 s"

step "the deny window: every pod that was known had its policy when ADD returned, and status says so"
status_says "deny window  $CLIENTS pods started with their policy in place; 0 wait" || fail "status: $(cat "$T/status.text")"
conflist_write '{"type": "moat"}'
pod_add unknown
manifest_pod unknown role=client
eventually allow unknown server 80
status_says "deny window  $CLIENTS pods started with their policy in place, 1 later: after [0-9.]* ms in the median" ||
	fail "status: $(cat "$T/status.text")"

step "who is not selected stays out, known there or not"
pod_add stranger
manifest_pod stranger role=other
settled
deny stranger server 80

cni2 del server || fail "DEL of server"
pod_forget server
kill "$DAEMON2"
wait "$DAEMON2" 2>/dev/null || true
ip link del wire2
finish

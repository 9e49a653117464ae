#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The DaemonSet is rolled under the leak counter: no packet leaks, and no allowed one is lost.
#
#   n1  client ==> db, other            n2  client ==> far            as on top of lib/nodes.sh; the counter's tap is on n1
#
# Needs: etcd kube-apiserver kubectl kube-controller-manager kube-scheduler kubelet kube-proxy containerd ctr runc
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/nodes.sh
. "$CLUSTER/lib/nodes.sh"
# shellcheck source=SCRIPTDIR/../netns-tests/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/../netns-tests/lib/leak.sh
. "$HERE/lib/leak.sh"

background_probe() # NAME MODE…: the library's node is n1
{
	background "$PROBE" -n "${1/#node/n1}" "${@:2}"
}

cluster_up
moat_apply strict
pods n1 client db other
pods n2 far
policies_apply
leak_path client db allow "$KINDS" 5000
leak_path client far allow "$KINDS" 5000
leak_path client db allow "udp echo" 80 steady
leak_path other db deny "$KINDS" 5000
leak_path other far deny "$KINDS" 5000
leak_path db client deny "$KINDS" 5000
leak_path other n2 deny "syn udp" 5000
leak_start
for round in 1 2; do
	step "rolled, $round"
	kubectl -n moat rollout restart daemonset/moat >/dev/null
	moat_rolled_out
	leak_sleep 1
done
leak_stop
step ok

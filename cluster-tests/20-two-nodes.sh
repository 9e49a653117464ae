#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A whole cluster: `kubectl apply -k deploy/strict` installs moat from its own image on two nodes, and everything that follows is asked
# of real pods.
#
#   n1 (control plane) client, db, other            n2  far            as on top of lib/nodes.sh
#
# Needs: etcd kube-apiserver kubectl kube-controller-manager kube-scheduler kubelet kube-proxy containerd ctr runc
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/nodes.sh
. "$CLUSTER/lib/nodes.sh"
# shellcheck source=SCRIPTDIR/../netns-tests/lib/policies.sh
. "$HERE/lib/policies.sh"

# node_state N: what uninstalling must give back.
node_state()
{
	on_node "n$1" bash -c 'nft list tables; ls /opt/cni/bin /etc/cni/net.d; sha256sum /etc/cni/net.d/*; ls /run/moat
		cd /proc/sys/net; head -n 99 ipv4/conf/cni0/{proxy_arp,proxy_arp_pvlan,send_redirects} ipv4/conf/all/send_redirects ipv6/conf/cni0/proxy_ndp' 2>&1
}

start=$SECONDS
cluster_up
step "a cluster of two nodes after $((SECONDS - start)) s"

step "without moat everything is open"
pod_apply client n1
pod_apply far n2
pod_enter client n1
pod_enter far n2
allow client far 80
kubectl delete pod client far --now >/dev/null
node_state 1 >$T/before1
node_state 2 >$T/before2

step "kubectl apply -k deploy/strict"
moat_apply strict

step "pods are closed from their start, within and across nodes"
pods n1 client db other
pods n2 far
deny client db 80
deny client far 80
deny far db 80
deny client n2 22
in_netns n1 "$PROBE" tcp "${ADDR4[db]}" 80 >/dev/null || fail "n1 does not reach its own pod"

step "policies, applied with kubectl"
policies_apply 80
asked()
{
	allow client db 80
	allow client far 80
	deny client db 81
	deny client far 81
	deny other db 80
	deny other far 80
	deny far db 80
	deny client other 80
}
asked

step "the same through VXLAN, as flannel does it"
routes_vxlan
asked

step "uninstalled: the nodes are as they were found"
kubectl delete networkpolicy --all >/dev/null
moat_apply uninstall
kubectl delete -k "$DEPLOY/uninstall" >/dev/null
allow other db 80
allow other far 80
for n in 1 2; do
	node_state $n >$T/after$n
	diff $T/before$n $T/after$n >$T/diff || fail "n$n is not as it was found: $(cat $T/diff)"
done
step ok

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A cluster of two nodes in the story's namespaces: each node has a network, a host name and a mount namespace of its own, in which
# all paths that kubelet, containerd and CNI plugins use by default are its own.
#
#      n1 192.168.70.11                n2 192.168.70.12          kubelet, containerd, kube-proxy; pods in 10.244.1.0/24, 10.244.2.0/24
#      | control plane                 |
#      '------------ lan0 -------------'                         the story's own namespace
#
# shellcheck disable=SC2034 # for control.sh
CONTROL=n1 API_HOST=192.168.70.11 NO_ADMISSION=DefaultStorageClass
# shellcheck source=SCRIPTDIR/control.sh
. "$CLUSTER/lib/control.sh"
# shellcheck source=SCRIPTDIR/containers.sh
. "$CLUSTER/lib/containers.sh"

declare -A HOLDER # the process that keeps a node's namespaces
on_node() # NODE COMMAND…
{
	nsenter -t "${HOLDER[$1]}" -n -m -u -- "${@:2}"
}

# What a node finds as its own, made in its mount namespace: an empty /run but for the story's files, and everything that is written.
NODE_ROOT='
	set -e
	hostname $0
	mount -t tmpfs tmpfs /var/lib
	mount -t tmpfs tmpfs /var/log
	mount -t tmpfs tmpfs /opt
	mkdir -p $1/etc $1/work
	mount -t overlay overlay -o lowerdir=/etc,upperdir=$1/etc,workdir=$1/work,userxattr /etc
	rm -rf /etc/cni
	mkdir -p /etc/cni/net.d /opt/cni/bin /var/log/pods /var/log/containers /var/lib/kubelet /var/lib/containerd
	for own in containerd netns moat xtables; do
		mkdir -p $1/$own /run/$own
		mount --bind $1/$own /run/$own
	done
	mount --make-rshared /
	echo made
	exec sleep infinity'

node_make() # N
{
	local n=n$1 address=192.168.70.1$1
	netns_add $n
	run ip link add "lan-$n" type veth peer name eth0 netns $n
	run ip link set "lan-$n" master lan0 up
	TOPOLOGY_LINKS+=("lan-$n")
	in_netns $n ip addr add "$address/24" dev eth0
	in_netns $n ip link set eth0 up
	in_netns $n ip route add default via 192.168.70.1
	in_netns $n bash -c "$(declare -f sysctls); sysctls ipv4/ip_forward=1 ipv6/conf/all/forwarding=1 bridge/bridge-nf-call-iptables=1"
	ADDR4[$n]=$address
	node_boot "$1"
}

# node_boot N: its mounts, with nothing that was in /run before, as after a restart; its network is there.
node_boot()
{
	local n=n$1
	mkdir -p $T/$n
	rm -rf $T/$n/{containerd,netns,moat,xtables}
	nsenter "--net=/run/netns/$n" unshare -m -u --propagation private bash -c "$NODE_ROOT" "$n" "$T/$n" >"$LOGS/$n" 2>&1 &
	HOLDER[$n]=$!
	PIDS+=("$!")
	wait_until 10 grep -q made "$LOGS/$n" || fail "$n is not made: $(cat "$LOGS/$n")"
	on_node $n bash -c "ln -s $CNI_PLUGINS/* /opt/cni/bin/"
}

# The primary: what flannel writes, a bridge with a range of the node's, and moat is not in it.
primary_write() # N [KEY VALUE]
{
	on_node "n$1" tee /etc/cni/net.d/10-primary.conflist >/dev/null <<-END
	{ "cniVersion": "1.0.0", "name": "cluster", "plugins": [
	  { "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false${2:+, \"$2\": $3},
	    "ipam": { "type": "host-local", "ranges": [ [ { "subnet": "10.244.$1.0/24" } ] ], "routes": [ { "dst": "0.0.0.0/0" } ] } },
	  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
	END
}

image_import() # NODE ARCHIVE
{
	local name
	on_node "$1" ctr -n k8s.io images import --snapshotter native "$2" >$T/import 2>&1 || fail "no image: $(cat $T/import)"
	# an OCI archive's name may get a prefix
	name=$(on_node "$1" ctr -n k8s.io images ls -q | grep 'moat:0.1.0-dev$' || true)
	[ "${name:-localhost/moat:0.1.0-dev}" = localhost/moat:0.1.0-dev ] || on_node "$1" ctr -n k8s.io images tag "$name" localhost/moat:0.1.0-dev >/dev/null
}

node_containerd() # N
{
	local n=n$1
	containerd_config "$T/$n/containerd.toml" /etc/cni/net.d /opt/cni/bin
	component "containerd-$n" node nsenter -t "${HOLDER[$n]}" -n -m -u -- containerd --config "$T/$n/containerd.toml"
	ready "containerd-$n" 60 on_node $n ctr version
	for archive in "${ARCHIVES[@]}"; do
		image_import $n "$archive"
	done
}

node_kubelet() # N
{
	local n=n$1
	[ -f "$PKI/$n.crt" ] || certificate $n ca "system:node:$n" system:nodes
	kubeconfig $n $API certificate $n
	cat >"$T/$n/kubelet.yaml" <<-END
	apiVersion: kubelet.config.k8s.io/v1beta1
	kind: KubeletConfiguration
	authentication: { anonymous: { enabled: false }, webhook: { enabled: false }, x509: { clientCAFile: $PKI/ca.crt } }
	authorization: { mode: AlwaysAllow }
	address: ${ADDR4[$n]}
	containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
	featureGates: { KubeletInUserNamespace: true }
	failCgroupV1: false
	cgroupDriver: cgroupfs
	cgroupsPerQOS: false
	enforceNodeAllocatable: []
	failSwapOn: false
	oomScoreAdj: 0
	resolvConf: ""
	syncFrequency: 5s
	imageGCHighThresholdPercent: 100
	evictionHard: { memory.available: 50Mi, nodefs.available: "1%", imagefs.available: "1%" }
	END
	component "kubelet-$n" node nsenter -t "${HOLDER[$n]}" -n -m -u -- kubelet --config "$T/$n/kubelet.yaml" \
		--kubeconfig "$PKI/$n.conf" --hostname-override $n --node-ip "${ADDR4[$n]}" --v=2
	ready "kubelet-$n" 60 kubectl get node $n
	kubectl patch node $n -p "{ \"spec\": { \"podCIDR\": \"10.244.$1.0/24\", \"podCIDRs\": [ \"10.244.$1.0/24\" ] } }" >/dev/null
}

node_proxy() # N
{
	local n=n$1
	cat >"$T/$n/proxy.yaml" <<-END
	apiVersion: kubeproxy.config.k8s.io/v1alpha1
	kind: KubeProxyConfiguration
	mode: nftables
	hostnameOverride: $n
	clusterCIDR: 10.244.0.0/16
	clientConnection: { kubeconfig: $PKI/proxy.conf }
	conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
	oomScoreAdj: 0
	END
	component "proxy-$n" node nsenter -t "${HOLDER[$n]}" -n -m -u -- kube-proxy --config "$T/$n/proxy.yaml" --v=1
}

# How pods of one node reach the other's.
routes_plain()
{
	in_netns n1 ip route replace 10.244.2.0/24 via 192.168.70.12
	in_netns n2 ip route replace 10.244.1.0/24 via 192.168.70.11
	ip route replace 10.244.1.0/24 via 192.168.70.11
	ip route replace 10.244.2.0/24 via 192.168.70.12
}

# As flannel does: a tunnel device whose address is the first of the node's range, and entries for the others by hand.
routes_vxlan()
{
	local n other mac
	for n in 1 2; do
		in_netns n$n ip link add flannel.1 type vxlan id 1 dev eth0 local 192.168.70.1$n dstport 8472 nolearning
		in_netns n$n ip addr add 10.244.$n.0/32 dev flannel.1
		in_netns n$n ip link set flannel.1 up
	done
	for n in 1 2; do
		other=$((3 - n))
		mac=$(in_netns n$other cat /proc/net/dev >/dev/null; in_netns n$other ip -o link show flannel.1 | grep -oE 'link/ether [^ ]*' | cut -d' ' -f2)
		in_netns n$n ip neigh replace 10.244.$other.0 lladdr "$mac" dev flannel.1 nud permanent
		in_netns n$n bridge fdb replace "$mac" dev flannel.1 dst 192.168.70.1$other
		in_netns n$n ip route replace 10.244.$other.0/24 via 10.244.$other.0 dev flannel.1 onlink
	done
}

cluster_up()
{
	local n
	run ip link set lo up
	sysctls_dad
	sysctls ipv4/ip_forward=1
	run ip link add lan0 type bridge
	run ip link set lan0 up
	run ip addr add 192.168.70.1/24 dev lan0
	for n in 1 2; do node_make $n; done
	routes_plain
	control_up
	certificate manager ca system:kube-controller-manager moat
	certificate scheduler ca system:kube-scheduler moat
	certificate proxy ca system:kube-proxy moat
	for n in manager scheduler proxy; do kubeconfig $n $API certificate $n; done
	component kube-controller-manager n1 kube-controller-manager --kubeconfig=$PKI/manager.conf --authentication-kubeconfig=$PKI/manager.conf \
		--authorization-kubeconfig=$PKI/manager.conf --secure-port=0 --service-account-private-key-file=$PKI/service.key \
		--root-ca-file=$PKI/ca.crt --use-service-account-credentials=true --allocate-node-cidrs=false --leader-elect=false --v=1
	component kube-scheduler n1 kube-scheduler --kubeconfig=$PKI/scheduler.conf --authentication-kubeconfig=$PKI/scheduler.conf \
		--authorization-kubeconfig=$PKI/scheduler.conf --secure-port=0 --leader-elect=false --v=1
	for n in 1 2; do
		primary_write $n
		node_containerd $n
		node_kubelet $n
		node_proxy $n
	done
	wait_until 90 kubectl wait --for=condition=Ready node/n1 node/n2 --timeout=1s >/dev/null 2>&1 || fail "nodes are not ready: $(kubectl describe nodes | tail -40)"
	wait_until 60 kubectl get serviceaccount default >/dev/null 2>&1 || fail "no service account"
}

# pod NAME NODE [LABEL=VALUE]…: applied, running; then probes may run in it, by its name.
pod_apply()
{
	local name=$1 node=$2
	shift 2
	kubectl apply -f - >/dev/null <<-END
	apiVersion: v1
	kind: Pod
	metadata:
	  name: $name
	  labels:
	    pod: $name
	$(labels_yaml 4 "$@")
	spec:
	  nodeName: $node
	  terminationGracePeriodSeconds: 0
	  containers: [ { name: main, image: "$PROBE_IMAGE", imagePullPolicy: Never } ]
	END
}

pod_enter() # NAME NODE
{
	local id pid
	kubectl wait --for=condition=Ready "pod/$1" --timeout=60s >/dev/null || fail "$1 does not get ready: $(kubectl describe pod "$1" | tail -15)"
	ADDR4[$1]=$(kubectl get pod "$1" -o 'jsonpath={.status.podIP}')
	id=$(on_node "$2" ctr -n k8s.io containers ls -q "labels.\"io.kubernetes.pod.name\"==$1,labels.\"io.kubernetes.container.name\"==main")
	pid=$(on_node "$2" ctr -n k8s.io tasks ls | awk -v id="$id" '$1 == id { print $2 }')
	ip netns del "$1" 2>/dev/null || true
	ip netns attach "$1" "$pid"
	PLACE[$1]=$2
}
declare -A PLACE

# ---- moat on it ----------------------------------------------------------------------------------------------------------

DEPLOY=${DEPLOY:-$CLUSTER/../deploy}
IMAGE=$BUILD/image/moat.tar
[ -f "$IMAGE" ] || skip "no image: make image"
ARCHIVES=("$T/probe.tar" "$T/pause.tar" "$IMAGE")
probe_archive "$T/probe.tar"
pause_archive "$T/pause.tar"

moat_apply() # strict|…|uninstall
{
	kubectl apply -k "$DEPLOY/$1" >$T/apply 2>&1 || fail "$(cat $T/apply)"
	moat_rolled_out
}

moat_rolled_out()
{
	kubectl -n moat rollout status daemonset/moat --timeout=120s >$T/rollout 2>&1 || fail "moat is not rolled out: $(cat $T/rollout
		kubectl -n moat describe pods | tail -60; kubectl -n moat logs daemonset/moat --all-containers --prefix 2>&1 | tail -30)"
}

# pods NODE NAME…: of role NAME; once all run, probes may run in them.
pods()
{
	local node=$1 name
	shift
	for name; do pod_apply "$name" "$node" "role=$name"; done
	for name; do pod_enter "$name" "$node"; done
}

# client may ask db and far whatever it likes; nobody else may ask anybody.
policies_apply()
{
	kubectl apply -f - >/dev/null <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: servers, namespace: default }
	spec:
	  podSelector: { matchExpressions: [ { key: role, operator: In, values: [ db, far ] } ] }
	  policyTypes: [ Ingress ]
	  ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ]${1:+, ports: [ { port: $1 \} ]} } ]
	---
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: clients, namespace: default }
	spec:
	  podSelector: { matchLabels: { role: client } }
	  policyTypes: [ Egress ]
	  egress: [ { to: [ { podSelector: {} } ] } ]
	END
	EVENTUALLY=20 eventually allow client db 80
	EVENTUALLY=20 eventually allow client far 80
}

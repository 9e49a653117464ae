# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# etcd and kube-apiserver on the host `control` (or on who else CONTROL names, at API_HOST), and the administrator's kubectl.

# shellcheck source=SCRIPTDIR/certificates.sh
. "$CLUSTER/lib/certificates.sh"

CONTROL=${CONTROL:-control}
API_HOST=${API_HOST:-192.168.60.2}
API=https://$API_HOST:6443
ETCD=http://127.0.0.1:2379

# control_up: after topology
control_up()
{
	[ $CONTROL != control ] || host_add control wire1 192.168.60. fd00:60::
	authority ca
	openssl genrsa -out $PKI/service.key 2048 2>/dev/null
	certificate apiserver ca kube-apiserver moat "IP:$API_HOST,IP:10.96.0.1,IP:127.0.0.1,DNS:kubernetes.default.svc"
	certificate admin ca admin system:masters
	kubeconfig admin $API certificate admin
	export KUBECONFIG=$PKI/admin.conf
	etcd_start
	apiserver_start
}

etcd_start()
{
	component etcd $CONTROL etcd --data-dir $T/etcd --name control --log-level warn --unsafe-no-fsync \
		--listen-client-urls $ETCD --advertise-client-urls $ETCD \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster control=http://127.0.0.1:2380
	ready etcd 60 in_netns $CONTROL curl -fs $ETCD/health
}

# What etcd is told over HTTP: etcd_say PATH JSON.
etcd_say() { in_netns $CONTROL curl -fsS "$ETCD/v3/$1" -d "$2"; }

# All history is forgotten: whoever goes on from an old version is answered 410 Gone.
etcd_compact()
{
	local revision
	revision=$(etcd_say kv/range '{"key": "AA=="}' | grep -oE '"revision": *"[0-9]+"' | grep -oE '[0-9]+')
	etcd_say kv/compaction "{\"revision\": \"$revision\", \"physical\": true}" >/dev/null
}

# shellcheck disable=SC2054 # the commas are of options
APISERVER=(kube-apiserver --etcd-servers=$ETCD --bind-address=$API_HOST --advertise-address=$API_HOST --secure-port=6443
	--service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC --allow-privileged=true
	--enable-admission-plugins=NodeRestriction --disable-admission-plugins="${NO_ADMISSION-ServiceAccount}"
	--client-ca-file=$PKI/ca.crt --tls-cert-file=$PKI/apiserver.crt --tls-private-key-file=$PKI/apiserver.key
	--service-account-issuer=https://kubernetes.default.svc --service-account-key-file=$PKI/service.key
	--service-account-signing-key-file=$PKI/service.key --profiling=false --v=1
	--kubelet-client-certificate=$PKI/admin.crt --kubelet-client-key=$PKI/admin.key)

apiserver_start()
{
	component kube-apiserver $CONTROL "${APISERVER[@]}"
	ready kube-apiserver 180 in_netns $CONTROL kubectl get --raw /readyz
}

apiserver_kill() { component_stop kube-apiserver KILL; }

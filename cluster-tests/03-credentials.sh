#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Credentials are rotated under the daemon: the token of a service account as in a pod, the client's certificate, the server's
# certificate and its authority. What is refused is told, empties nothing, and is over when the file is right.
#
#   control, node, ext, client, db           as on top of lib.sh
#
# Needs: etcd kube-apiserver kubectl
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/api.sh
. "$CLUSTER/lib/api.sh"

ACCOUNT=/run/secrets/kubernetes.io/serviceaccount # /var/run is /run
mkdir -p $ACCOUNT

# token NAME: bound to a Secret of that name, so that it ends with it. Renamed in, as the kubelet does.
token()
{
	kubectl -n kube-system create secret generic "$1" >/dev/null
	kubectl -n kube-system create token moat-policyd --bound-object-kind Secret --bound-object-name "$1" >$ACCOUNT/token.new
	mv $ACCOUNT/token.new $ACCOUNT/token
}

restarted() { apiserver_kill; apiserver_start; }
trouble_says() { "$BUILD/moatctl" status --json 2>/dev/null | grep -qi -- "$1"; }

opened() { policy db default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: {} } ], ports: [ { port: 80 } ] } ]'; }
# works: what is changed now comes through.
works()
{
	opened
	settled 60
	allow client db 80
	policy_remove db
	settled 60
	deny client db 80
}

topology
kubectl -n kube-system create serviceaccount moat-policyd >/dev/null
cp $PKI/ca.crt $ACCOUNT/ca.crt
token first
export KUBERNETES_SERVICE_HOST=$API_HOST KUBERNETES_SERVICE_PORT=6443
POLICYD_SOURCE=() # in a pod none is needed
daemon_start
for pod in client db; do
	pod_make $pod
	manifest_pod $pod role=$pod
	pod_connect $pod || fail "ADD of $pod"
done
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
works

step "the token is rotated, and the former one ends"
token second
kubectl -n kube-system delete secret first >/dev/null
restarted
works

step "a token that has ended: told, and what is in force stays"
opened
settled
kubectl -n kube-system delete secret second >/dev/null
restarted
wait_until 60 trouble_says 401 || fail "401 is not told: $("$BUILD/moatctl" status --json)"
allow client db 80
deny client db 81
token third
settled 60
policy_remove db
settled 60
deny client db 80
daemon_stop

step "the client's certificate is rotated"
POLICYD_SOURCE=(--kubeconfig $PKI/policyd.conf)
unset KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT
daemon_start
certificate policyd ca moat-policyd moat
restarted
works

step "a certificate of an unknown authority: told, and nothing changes"
opened
settled
authority stranger
certificate apiserver stranger kube-apiserver moat "IP:$API_HOST"
apiserver_kill
component kube-apiserver control "${APISERVER[@]}"
wait_until 60 trouble_says certificate || fail "no word of the certificate: $("$BUILD/moatctl" status --json)"
allow client db 80
deny client db 81

step "the server's certificate and its authority are rotated"
cat $PKI/stranger.crt >>$PKI/ca.crt
ready kube-apiserver 180 kubectl get --raw /readyz
settled 60
policy_remove db
settled 60
deny client db 80
works
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# deploy/ and a real API server: every base is taken with nothing to warn about, the daemon's ServiceAccount may read what the daemon follows
# and nothing else, and who may not set labels moat.cni/… does not.
#
#   control (etcd, kube-apiserver) --- node (moat-policyd with the ServiceAccount's token)
# Needs: etcd kube-apiserver kubectl
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/control.sh
. "$CLUSTER/lib/control.sh"

DEPLOY=$CLUSTER/../deploy
ACCOUNT=system:serviceaccount:moat:moat-policyd
can() { [ "$(kubectl auth can-i "$@" --as $ACCOUNT 2>/dev/null)" = "${ANSWER:-yes}" ] || fail "can $*: not ${ANSWER:-yes}"; }
cannot() { ANSWER=no can "$@"; }
tenant() { kubectl --as tenant "$@"; }
refused() { ! tenant "$@" >$T/out 2>&1 || fail "a tenant may: $*"; grep -q "${WORD:-moat.cni}" $T/out || fail "$*: $(cat $T/out)"; }
works() { "$@" >$T/out 2>&1 || fail "$*: $(cat $T/out)"; }

topology
control_up

step "every base is valid, and each is applied over the others"
for base in "$DEPLOY"/*/kustomization.yaml; do
	base=$(basename "$(dirname "$base")")
	[[ $base != base && $base != k3s ]] || continue # k3s is a component
	works kubectl apply --validate=strict -k "$DEPLOY/$base"
	! grep -qi warning $T/out || fail "$base: $(cat $T/out)"
done
for base in preview uninstall; do
	mkdir -p $T/k3s-$base
	printf 'resources: [ ../deploy/%s ]\ncomponents: [ ../deploy/k3s ]\n' $base >$T/k3s-$base/kustomization.yaml
	[ -e $T/deploy ] || cp -r "$DEPLOY" $T/deploy
	works kubectl apply --validate=strict -k $T/k3s-$base
	[ "$(kubectl -n moat get daemonset moat -o jsonpath='{.spec.template.spec.volumes[?(@.name=="conf")].hostPath.path}')" = \
		/var/lib/rancher/k3s/agent/etc/cni/net.d ] || fail "k3s: $base"
done
works kubectl apply --validate=strict -k "$DEPLOY/strict"
[ "$(kubectl -n moat get daemonset moat -o jsonpath='{.spec.template.spec.containers[*].name}')" = "installer policyd" ] || fail "uninstall is left over"

step "what the daemon may"
for kind in namespaces pods nodes networkpolicies.networking.k8s.io; do
	for verb in get list watch; do
		can $verb $kind -A
	done
	for verb in create update patch delete; do
		cannot $verb $kind -A
	done
done
can list endpointslices.discovery.k8s.io -n default
for kind in endpointslices.discovery.k8s.io secrets configmaps services serviceaccounts events; do
	cannot get $kind -n kube-system
	cannot list $kind -A
done
cannot create pods --subresource=exec -A
cannot get nodes --subresource=proxy

step "that is enough: it gets synced with the account's token"
kubectl -n moat create token moat-policyd >$T/token
kubeconfig account $API token $T/token
"$BUILD/moat-policyd" run --kubeconfig $PKI/account.conf --node $NODE_NAME --baseline "$DEPLOY/base/baseline.yaml" >>"$DAEMON_LOG" 2>&1 &
DAEMON=$!
PIDS+=("$DAEMON")
wait_until 30 "$BUILD/moatctl" ready >/dev/null || fail "$("$BUILD/moatctl" status)"
! grep -q 403 "$DAEMON_LOG" || fail "it may not read something"

step "labels moat.cni/…"
works kubectl create clusterrole namespaces --verb=create,update,patch,get --resource=namespaces,namespaces/status
works kubectl create clusterrolebinding namespaces --clusterrole=namespaces --user=tenant
works kubectl create namespace a
label_refused() { ! tenant label namespace a moat.cni/mode=audit >$T/out 2>&1; }
wait_until 30 label_refused || fail "a tenant may loosen"
grep -q 'cluster administrator' $T/out || fail "$(cat $T/out)"
works tenant label namespace a team=x
refused patch namespace a --subresource status --type merge -p '{"metadata":{"labels":{"moat.cni/mode":"strict"}}}'
works kubectl label namespace a moat.cni/mode=strict
refused label namespace a moat.cni/mode-
refused label namespace a moat.cni/mode=audit --overwrite
works tenant label namespace a team=y --overwrite
! kubectl label namespace a moat.cni/mode=lax --overwrite >$T/out 2>&1 || fail "a mode that is none"
printf '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b","labels":{"moat.cni/mode":"audit"}}}' >$T/b.json
refused create -f $T/b.json
works kubectl create clusterrolebinding modes --clusterrole=moat-modes --user=tenant
label_taken() { tenant label namespace a moat.cni/mode=preview --overwrite >/dev/null 2>&1; }
wait_until 10 label_taken || fail "who may, may not"
finish

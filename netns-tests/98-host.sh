#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A host without Kubernetes: the conflist and the command line of deploy/systemd, with the real bridge, portmap and masquerading.
# Primary: bridge
#
#   ext --- node --- a, b on the bridge of that conflist
. "$(dirname "$0")/lib.sh"
UNIT=$HERE/../deploy/systemd/moat-policyd.service
mkdir -p $T/etc/moat/manifests $T/etc/cni

topology
cp "$HERE/../deploy/systemd/00-moat.conflist" $T/etc/cni/
# shellcheck disable=SC2034 # read by the library
CONFLIST=$T/etc/cni/00-moat.conflist NETWORK=moat BRIDGE=moat0 MANIFESTS=$T/etc/moat/manifests SOURCE=(--manifests $T/etc/moat/manifests)

step "containers are closed, without a daemon"
pod_add a
pod_add b
for to in a b; do
	deny ext $to 80
	allow node $to 80
done
deny a b 80
deny a ext 80

step "the daemon as the unit starts it: what its manifests allow is open"
command=$(sed -n 's/^ExecStart=//p' "$UNIT")
[[ $command = /usr/local/sbin/moat-policyd\ run\ --manifests\ /etc/moat/manifests\ --conflist\ /etc/cni/net.d/00-moat.conflist ]] || fail "$command"
manifest_namespace default
manifest_pod a
manifest_pod b
manifest clients <<-END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: default }
spec:
  podSelector: {}
  policyTypes: [ Ingress, Egress ]
  ingress: [ { ports: [ { port: 80 } ] } ]
  egress: [ { ports: [ { port: 80 } ] } ]
END
daemon_start --conflist $CONFLIST
wait_until 10 "$BUILD/moatctl" ready || fail "$("$BUILD/moatctl" status)"
allow a b 80
allow a ext 80
deny a b 81
deny ext a 81

step "the settings of the unit leave it what it needs"
grep -q '^CapabilityBoundingSet=CAP_NET_ADMIN$' "$UNIT"
! grep -qE '^(ProtectKernelTunables|PrivateNetwork|PrivateUsers)=yes' "$UNIT" || fail "the unit takes too much"
for name in a b; do
	pod_del $name
done
daemon_stop TERM
for family in ip ip6; do # the bridge plugin's masquerading, portmap's
	nft delete table $family nat 2>/dev/null || true
done
finish

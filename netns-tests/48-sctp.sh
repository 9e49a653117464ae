#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SCTP by policy, with real associations: where the kernel has SCTP sockets.
#
#   ext --- node --- client, db           as on top of lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

[ -d /proc/net/sctp ] || skip "this kernel has no SCTP sockets (make check-kernels has)"

db() { policy db default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { ports: [ $1 ] } ]"; }

# associates|silent A B PORT, both families
associates() { outcome_is answered 6000 "$@" sctp || fail "sctp $*: $GOT"; }
silent() { outcome_is dropped 600 "$@" sctp || fail "no sctp $*: $GOT"; }

topology
daemon_start
manifest_namespace default
for pod in client db; do
	pod_add $pod
	manifest_pod $pod "role=$pod"
done
for server in ext db; do
	PIDS+=("$(probe_in $server serve --background sctp :: 80 90)")
done

step "closed: no association with anybody, from the node aside"
settled
silent client db 80
silent ext db 80
silent client ext 80
associates node db 80

step "egress to anywhere, ingress to sctp/80 only"
policy clients default 'podSelector: {}, policyTypes: [ Egress ], egress: [ {} ]'
db '{ protocol: SCTP, port: 80 }'
settled
associates client db 80
associates client ext 80
silent client db 90
silent ext db 90
deny client db 80
deny client db 80 udp

step "TCP on the same port is not SCTP"
db '{ protocol: TCP, port: 80 }'
settled
allow client db 80
silent client db 80

step "a range of SCTP ports"
db '{ protocol: SCTP, port: 81, endPort: 99 }'
settled
associates client db 90
silent client db 80
finish

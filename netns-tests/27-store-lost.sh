#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The pod store is lost while pods run: a daemon that starts then closes what nobody owns, and others do not suffer.
#
#   node --- a, b, later            as on top of lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

topology
manifest_namespace default
manifest open <<END
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: open, namespace: default }
spec: { podSelector: {}, policyTypes: [ Ingress, Egress ], ingress: [ { ports: [ { port: 80 } ] } ], egress: [ { ports: [ { port: 80 } ] } ] }
END
daemon_start
pod_add a
pod_add b
manifest_pod a
manifest_pod b
eventually allow a b 80

step "an attachment without its state file is closed by the next daemon"
daemon_stop KILL
allow a b 80
rm /run/moat/pods/$NETWORK/b-*
daemon_start
eventually deny a b 80
pod_add later
manifest_pod later
eventually allow later a 80
"$BUILD/moatctl" status >$T/status && fail "status is content: $(cat $T/status)"
grep -q 'up to date' $T/status || fail "status: $(cat $T/status)"
grep -q '! default/b .*escaped' $T/status || fail "who is no longer known is not told: $(cat $T/status)"
if nft list chains inet | grep -oE '(p|g..)-[0-9a-f]{32}-[0-9a-f]+' | sed 's/.*-//' | sort -u | sed 1d | grep -q .; then
	fail "chains of a former daemon are left: $(nft list chains inet)"
fi

step "it is told, and goes with its link, and nothing is left of it"
wait_until 5 status_says "port ${PORT[b]} with .*is no attachment's in the pod store" || fail "status: $(cat $T/status.text)"
old4=${ADDR4[b]} old6=${ADDR6[b]} old_port=${PORT[b]}
in_netns b ip link del eth0
pod_forget b
untraced() { [[ $(nft list ruleset) != *"$old_port"* ]] && [ ! -L "/run/moat/ports/$old_port" ] && [ ! -L "/run/moat/addrs/$old4" ] && [ ! -L "/run/moat/addrs/$old6" ]; }
wait_until 5 untraced || fail "left behind of $old_port"

step "its address can be had again"
rm -f /run/ipam/$NETWORK/"$old4" /run/ipam/$NETWORK/"$old6"
pod_add heir "$old4/24" "$old6/64"
deny ext heir 80
manifest_remove pod-b
manifest_pod heir
eventually allow a heir 80
finish

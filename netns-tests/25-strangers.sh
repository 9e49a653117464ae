#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Somebody else at the table while the daemon runs: what they break is put right at once, and nothing leaks meanwhile for long.
#
#   ext --- node --- a, b            as on top of lib.sh
. "$(dirname "$0")/lib.sh"

policy() # allows a → b on tcp/80 both ways round
{
	manifest policy <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: a-to-b, namespace: default }
	spec:
	  podSelector: {}
	  policyTypes: [ Ingress, Egress ]
	  ingress: [ { from: [ { podSelector: { matchLabels: { pod: a } } } ], ports: [ { port: 80 } ] } ]
	  egress: [ { to: [ { podSelector: { matchLabels: { pod: b } } } ], ports: [ { port: 80 } ] } ]
	END
}

as_policy_says() { eventually allow a b 80 && eventually deny a b 81 && eventually deny b a 80 && eventually deny ext b 80; }
chain_of() { nft list chains inet | grep -oE "$1-${PORT[$2]}-[0-9a-f]+" | head -n 1; } # i|e POD
has_rule() { nft list chain inet moat "$1" | grep -q goto; }

topology
manifest_namespace default
policy
daemon_start
pod_add a
pod_add b
manifest_pod a
manifest_pod b
as_policy_says

step "flush ruleset"
nft flush ruleset
wait_until 10 nft list chain inet moat forward >/dev/null 2>&1 || fail "the table does not come back"
as_policy_says

step "a static chain flushed"
nft flush chain inet moat to
wait_until 10 eval 'nft list chain inet moat to | grep -q vmap' || fail "chain to does not come back"
as_policy_says

step "a pod's chain flushed: empty would mean open"
chain=$(chain_of i b)
nft flush chain inet moat "$chain"
wait_until 10 has_rule "$chain" || fail "the rule of $chain does not come back"
as_policy_says

step "a group's set flushed"
nft flush set inet moat "$(nft list sets inet | grep -oE 'a4-[0-9a-f]+-[0-9a-f]+' | head -n 1)"
as_policy_says
nft flush set inet moat "$(nft list sets inet | grep -oE 'a6-[0-9a-f]+-[0-9a-f]+' | head -n 1)"
as_policy_says

step "more notifications than the daemon's socket holds, and then a flush"
noticed=$(grep -c notifications-lost "$DAEMON_LOG" || true)
"$PROBE" ear "$DAEMON" nftables hard >/dev/null # some KiB
daemon_pause
for i in {1..50}; do nft "add table inet other$i"; done
daemon_resume
wait_until 5 eval '(($(grep -c notifications-lost "$DAEMON_LOG") > noticed))' || fail "the daemon did not notice the overrun"
nft flush ruleset
wait_until 10 nft list chain inet moat forward >/dev/null 2>&1 || fail "the table does not come back"
as_policy_says

step "an ADD that repairs closes every pod, and the daemon opens them again"
daemon_pause
nft flush chain inet moat forward
pod_add c
deny a b 80
daemon_resume
as_policy_says
"$BUILD/moatctl" status >$T/status || fail "status: $(cat $T/status)"
grep -q 'ruleset intact' $T/status || fail "status: $(cat $T/status)"

finish

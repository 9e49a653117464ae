#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The swap discipline: a policy with port ranges is rewritten again and again under a flood that nobody answers, so that every
# packet is judged anew. What every version allows loses no packet, what none allows leaks none. (A ruleset that makes,
# fills and swaps to a map in one transaction loses some per thousand here.)
#
#   client, noisy ==floods==> db          counted before and behind moat
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

VERSIONS=120 # two policies each
RATE=10000   # a second and family; 20,000 are less than a machine does

# Every version allows 5000 from the client, none 9000; the ranges around it, the peers and the number of rules alternate.
version() # NUMBER
{
	local i=$1 peers='{ podSelector: { matchLabels: { role: client } } }' more=""
	((i % 2)) || peers+=", { podSelector: { matchLabels: { role: peer-$i } } }, { ipBlock: { cidr: 10.$((i % 200)).0.0/16, except: [ 10.$((i % 200)).1.0/24 ] } }"
	((i % 3)) || more=", { ports: [ { port: $((6000 + i)), endPort: $((7000 + i)), protocol: UDP } ] }"
	((i % 5)) || more+=", { from: [ { podSelector: { matchLabels: { role: client } } } ], ports: [ { port: 4999, endPort: 5001, protocol: UDP } ] }"
	policy db default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [
	    { from: [ $peers ], ports: [ { port: $((4000 + i)), endPort: $((5000 + i)), protocol: UDP }, { port: $((80 + i % 2)) } ] }$more ]"
	policy client default "podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [
	    { to: [ { podSelector: { matchLabels: { role: db } } } ], ports: [ { port: $((3000 + i)), endPort: $((5500 + i)), protocol: UDP } ] },
	    { to: [ { podSelector: { matchLabels: { role: other-$i } } } ] } ]"
}

swaps() { "$BUILD/moatctl" status --json | grep -oE '"runs": *[0-9]+' | grep -oE '[0-9]+'; }
swapped() { (($(swaps) > $1)); }

topology
manifest_namespace default
for pod in client noisy db; do
	pod_add $pod
	manifest_pod $pod role=$pod
done
policy noisy default 'podSelector: { matchLabels: { role: noisy } }, policyTypes: [ Egress ], egress: [ {} ]'
version 0
daemon_start
settled

for family in 4 6; do
	declare -n address=ADDR$family
	watched_start "allowed$family" client db "${address[db]}" 5000 $RATE
	watched_start "denied$family" noisy db "${address[db]}" 9000 1000
done
first=$(swaps)
for ((i = 1; i <= VERSIONS; i++)); do
	runs=$(swaps)
	version $i
	wait_until 5 swapped "$runs" || fail "version $i is not applied"
done
settled
changes=$(($(swaps) - first))
step "$changes changes"
((changes > VERSIONS)) || fail "too few changes"
for family in 4 6; do
	watched_stop "allowed$family" lost
	((BEFORE > 10000)) || fail "$BEFORE allowed packets are too few"
	watched_stop "denied$family" leaked
done
witness_end
finish

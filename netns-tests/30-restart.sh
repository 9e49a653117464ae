#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon goes, is killed at any moment, comes back, loses its directory: nothing that is allowed is lost and nothing that is
# denied leaks, counted packet by packet; what changed meanwhile holds when it is back.
#
#   ext --- node --- client ==floods and connections==> db
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

# Ports 5000 to 5100 and 80 from the client, always; what else the number stands for changes with it.
db_policy()
{
	policy db default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [
	    { from: [ { podSelector: { matchLabels: { role: client } } } ],
	      ports: [ { port: 80 }, { port: 5000, endPort: $((5050 + $1 % 50)), protocol: UDP } ] },
	    { from: [ { podSelector: { matchLabels: { role: nobody-$1 } } } ], ports: [ { port: 9000, protocol: UDP } ] } ]"
}

topology
manifest_namespace default
pod_add client
pod_add db
manifest_pod client role=client
manifest_pod db role=db
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
policy doomed default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { ports: [ { port: 81 } ] } ]'
db_policy 0
daemon_start
eventually allow client db 80
eventually allow client db 81
deny client db 9000 udp

for family in 4 6; do
	declare -n address=ADDR$family
	hold_start "tcp$family" client tcp "${address[db]}" 80
	hold_start "doomed$family" client tcp "${address[db]}" 81
	watched_start "allowed$family" client db "${address[db]}" 5000 2000
	watched_start "denied$family" client db "${address[db]}" 9000 2000
done

step "ends and comes back"
daemon_stop TERM
hold_alive tcp4
daemon_start
settled

step "killed at ten moments while policies change, and back"
for round in {1..10}; do
	(
		for i in {1..20}; do
			db_policy $((round * 20 + i))
		done
	) &
	writer=$!
	PIDS+=("$writer")
	sleep 0.0$((RANDOM % 100 / 10))$((RANDOM % 10)) # the moment is the point
	daemon_stop KILL
	wait "$writer"
	daemon_start
done
settled
hold_alive tcp4
hold_alive tcp6
hold_alive doomed4

step "the directory is renamed away and comes back"
mv "$MANIFESTS" "$MANIFESTS.away"
wait_until 5 status_says 'directory cannot be read' || fail "status does not tell of the missing directory"
hold_alive tcp4
daemon_stop KILL
"$BUILD/moat-policyd" run --manifests "$MANIFESTS" >>"$DAEMON_LOG" 2>&1 &
DAEMON=$!
PIDS+=("$DAEMON")
wait_until 5 status_says 'not synced' || fail "status does not say that nothing is known yet"
hold_alive tcp4
hold_alive tcp6
allow client db 80
deny ext db 80
mv "$MANIFESTS.away" "$MANIFESTS"
wait_synced
settled
hold_alive tcp4
hold_alive doomed6

step "another directory takes its place"
cp -r "$MANIFESTS" "$MANIFESTS.other"
mv "$MANIFESTS" "$MANIFESTS.away"
mv "$MANIFESTS.other" "$MANIFESTS"
settled
! status_says 'directory cannot be read' || fail "the directory's return is not seen"
all_alive tcp4 tcp6 doomed4 doomed6

step "what changed while it was away holds when it is back"
hold_alive doomed4
daemon_stop TERM
policy_remove doomed
hold_alive doomed4
hold_alive doomed6
daemon_start
hold_dead doomed4
hold_dead doomed6
deny client db 81
hold_alive tcp4
hold_alive tcp6

for family in 4 6; do
	watched_stop "allowed$family" lost
	watched_stop "denied$family" leaked
done
witness_end
finish

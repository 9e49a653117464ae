#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon ends, starts again, and is killed at random moments, also while it starts and while policies change, under the leak
# counter: nothing leaks, and nothing that is allowed is lost. LEAK_KILLS kills; LEAK_SEED repeats them.
#
#   client, db, other, ext, node as on top of lib/leak.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

LEAK_KILLS=${LEAK_KILLS:-25}
RANDOM=${LEAK_SEED:=$$}

# What the kills meet halfway: rules for nobody that is here, so that no path changes; the chains of db do.
churn() # NUMBER
{
	policy churn default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: nobody-$1 } } } ], ports: [ { port: $((6000 + $1)), endPort: $((6100 + $1)) } ] } ]"
}

leak_field
leak_start

step "ends and comes back"
for _ in 1 2 3; do
	daemon_stop TERM
	leak_sleep 0.1
	daemon_start
	leak_sleep 0.1
done

step "killed at $LEAK_KILLS random moments, seed $LEAK_SEED"
for ((kill = 1; kill <= LEAK_KILLS; kill++)); do
	churn $kill
	leak_sleep "0.0$(printf %02d $((RANDOM % 60)))"
	daemon_stop KILL
	"$BUILD/moat-policyd" run --manifests "$MANIFESTS" >>"$DAEMON_LOG" 2>&1 &
	DAEMON=$!
	PIDS+=("$DAEMON")
done
wait_synced
settled
allow client db 80
deny other db 80
leak_stop
finish

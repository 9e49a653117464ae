#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A namespace that writes more than its bounds, again and again: its own pods are closed and told, another namespace's are not, and its
# policies come into force as fast as without it, by the ratio of medians of one run.
#
#   ext --- node --- evil (namespace hostile), good (namespace quiet)
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

# hostile_policy RULES SALT: each rule with a peer and a port of its own
hostile_policy()
{
	echo 'apiVersion: networking.k8s.io/v1'
	echo 'kind: NetworkPolicy'
	echo "metadata: { name: much, namespace: hostile, labels: { salt: \"$2\" } }"
	echo 'spec: { podSelector: {}, policyTypes: [ Ingress ], ingress: ['
	seq 1 "$1" | sed "s/.*/{ from: [ { podSelector: { matchLabels: { role: r&-$2 } } } ], ports: [ { port: & } ] },/"
	echo '{ ports: [ { port: 80 } ] } ] }'
}

quiet_policy() { policy quiet quiet "podSelector: {}, policyTypes: [ Ingress ], ingress: [ { ports: [ { port: 80 }, { port: $1 } ] } ]"; }

# latencies FIRST_PORT: leaves in MEDIAN the microseconds from a policy's rename to the answer that it is in force
latencies()
{
	local port start
	local -a took=()
	for ((port = $1; port < $1 + 21; port++)); do
		start=${EPOCHREALTIME/./}
		quiet_policy "$port"
		until "$BUILD/moatctl" explain "${ADDR4[ext]}" quiet/good "tcp/$port" >/dev/null 2>&1; do
			((${EPOCHREALTIME/./} - start < 20000000)) || fail "a policy of namespace quiet waits for 20 s"
		done
		took+=($((${EPOCHREALTIME/./} - start)))
	done
	MEDIAN=$(printf '%s\n' "${took[@]}" | sort -n | sed -n 11p)
}

topology
manifest_namespace hostile
manifest_namespace quiet
pod_add evil --ns hostile
pod_add good --ns quiet
manifest_pod evil
manifest_pod good
hostile_policy 10 0 | manifest hostile
quiet_policy 443
daemon_start
settled
allow ext evil 80
allow ext good 80

step "beyond a bound: closed, and told by status, explain and log; the other namespace is not concerned"
hostile_policy 1100 0 | manifest hostile
eventually deny ext evil 80
settled
status_says 'excess: NetworkPolicy much has 1101 rules, at most 1000 are read' || fail "status: $(cat "$T/status.text")"
state_says evil 'ingress: closed: see excess; egress: closed: see excess' || fail "status: $(state_of evil)"
state_says good 'ingress: policy' || fail "status: $(state_of good)"
explained=$("$BUILD/moatctl" explain "${ADDR4[ext]}" hostile/evil tcp/80 || true)
[[ $explained == *"closed: NetworkPolicy much has 1101 rules, at most 1000 are read"* ]] || fail "explain says $explained"
(($(grep -c 'event=tenant-excess namespace=hostile pod=evil action=closed' "$DAEMON_LOG") == 1)) || fail "the log does not say so, once"
allow ext good 80

step "as fast beside a namespace that writes twenty such policies a second"
latencies 1000
quiet=$MEDIAN
for salt in 1 2; do
	hostile_policy 1100 $salt >$T/hostile-$salt
done
churn()
{
	local i
	for ((i = 0; ; i++)); do
		cp "$T/hostile-$((i % 2 + 1))" "$T/hostile.tmp"
		mv "$T/hostile.tmp" "$MANIFESTS/hostile.yaml"
		sleep 0.05
	done
}
churn &
churning=$!
PIDS+=("$churning")
latencies 2000
kill "$churning"
step "medians: $((quiet / 1000)) ms alone, $((MEDIAN / 1000)) ms beside it"
# a sanitizer's daemon is busy with reading alone
grep -q __asan_init "$BUILD/moat-policyd" || ((MEDIAN < 4 * quiet)) || fail "policies of namespace quiet take $MEDIAN us, $quiet us without the hostile one"
allow ext good 80
deny ext evil 80

step "within the bounds again: in force"
hostile_policy 10 3 | manifest hostile
eventually allow ext evil 80
settled
! status_says 'excess:' || fail "status: $(cat "$T/status.text")"

finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A namespace that writes more than its bounds, again and again: its own pods are closed and told, another namespace's are not, and its
# policies come into force as fast as without it, by the ratio of medians of one run. So they do beside one that writes what
# costs most within them: the daemon's time is shared.
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
		sleep 0.1 # spread over some of the other's turns
	done
	MEDIAN=$(printf '%s\n' "${took[@]}" | sort -n | sed -n 11p)
}

[ -x /usr/bin/python3 ] || skip "python3 is missing: package python3"
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

# Each churns until churn_stop. churn_large RULES: twenty policies a second of so many rules.
churn_large()
{
	local salt
	for salt in 1 2; do
		hostile_policy "$1" $salt >$T/hostile-$salt
	done
	churn_on &
	CHURN=$!
	PIDS+=("$CHURN")
}
churn_on()
{
	local i
	for ((i = 0; ; i++)); do
		cp "$T/hostile-$((i % 2 + 1))" "$T/hostile.tmp"
		mv "$T/hostile.tmp" "$MANIFESTS/hostile.yaml"
		sleep 0.05
	done
}
# A thousand changes a second, of fifty policies by turns.
churn_small()
{
	cat >$T/small.py <<-END
		import os, time
		began = time.monotonic()
		i = 0
		while True:
		    with open("$T/small.tmp", "w") as f:
		        f.write("""apiVersion: networking.k8s.io/v1
		kind: NetworkPolicy
		metadata: { name: small-%d, namespace: hostile }
		spec: { podSelector: {}, ingress: [ { from: [ { ipBlock: { cidr: 10.%d.%d.0/24 } } ], ports: [ { port: %d } ] } ] }
		""" % (i % 50, i // 250 % 250, i % 250, 1000 + i % 50))
		    os.rename("$T/small.tmp", "$MANIFESTS/small-%d.yaml" % (i % 50))
		    i += 1
		    time.sleep(max(0, began + i / 1000 - time.monotonic()))
	END
	background /usr/bin/python3 $T/small.py
	CHURN=$BACKGROUND
}
churn_stop() { kill "$CHURN"; wait "$CHURN" || true; }
used() { awk '{ print int($1 / 1000) }' "/proc/$DAEMON/schedstat"; } # microseconds of a processor

# beside WHAT FIRST_PORT CHURN…: the quiet namespace's policies, and the start of one of its pods, beside that churn
beside()
{
	local began before what=$1 first=$2
	shift 2
	"$@"
	began=${EPOCHREALTIME/./} before=$(used)
	latencies "$first"
	step "$what: median $((MEDIAN / 1000)) ms, alone $((quiet / 1000)) ms; $((($(used) - before) * 100 / (${EPOCHREALTIME/./} - began))) % of a processor"
	# a sanitizer's daemon is busy with reading alone
	grep -q __asan_init "$BUILD/moat-policyd" || ((MEDIAN < 4 * quiet + 20000)) || fail "policies of namespace quiet take $MEDIAN us, $quiet us alone"
	starts_with_its_policy "late$first"
	churn_stop
}
# ADD has waited for the daemon, and not in vain: the first packet passes.
starts_with_its_policy()
{
	pod_make "$1" --ns quiet
	manifest_pod "$1"
	pod_connect "$1" || fail "ADD of $1"
	outcome_is answered 900 ext "$1" 80 || fail "$1 does not start with its policy: $GOT"
	pod_del "$1"
	manifest_remove "pod-$1"
}

latencies 1000
quiet=$MEDIAN
step "as fast beside a namespace that writes without end"
beside "twenty large policies a second, beyond the bounds" 2000 churn_large 1100
allow ext good 80
deny ext evil 80
beside "twenty large ones within the bounds" 3000 churn_large 400
allow ext good 80
eventually allow ext evil 80
beside "a thousand small ones" 4000 churn_small
allow ext good 80

step "what waited is read: the last that was written"
hostile_policy 10 3 | manifest hostile
eventually allow ext evil 80
settled
! status_says 'excess:' || fail "status: $(cat "$T/status.text")"

finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A stopped daemon, with the lock or without, holds up nobody: pods come, closed, and go. When it wakes it applies what was
# written, and gives nothing to whoever has an address now that it believed to be another pod's.
#
#   ext --- node --- client, db; gone (10.1.0.99), then heir at the same addresses
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

SAME=(10.1.0.99/24 fd00:1::99/64)

# Takes the lock as the daemon does and stays stopped with it.
lock_from_stopped()
{
	background flock /run/moat/lock bash -c 'echo locked; kill -STOP $$'
	HOLDER=$BACKGROUND
	wait_until 5 grep -q locked "$BACKGROUND_OUT" || fail "the lock is not taken"
}

lock_release()
{
	pkill -CONT -P "$HOLDER" # the shell inside flock ends, and flock with it
	wait "$HOLDER" || true
}

# What is changed for `gone` while it goes: tcp/80 with everyone, and one port that is another each time.
former()
{
	policy former default "podSelector: { matchLabels: { role: gone } }, policyTypes: [ Ingress, Egress ],
	    ingress: [ { ports: [ { port: 80 }, { port: $1 } ] } ], egress: [ { ports: [ { port: 80 }, { port: $1 } ] } ]"
}

topology
manifest_namespace default
pod_add client
pod_add db
manifest_pod client role=client
manifest_pod db role=db
former 1
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
policy db default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } }, { podSelector: { matchLabels: { role: gone } } } ] } ]'
pod_add gone "${SAME[@]}"
manifest_pod gone role=gone
daemon_start
settled
allow_all client db
allow client gone 80
allow gone db 80
allow ext gone 80

# The plugin alone, so that the time is its own: late_comes_and_goes ADD_MS DEL_MS
late_comes_and_goes()
{
	local result
	pod_make late
	link_make late 10.1.0.50/32 fd00:1::50/128
	manifest_pod late role=gone
	result=$(prev_result late 10.1.0.50/32 fd00:1::50/128)
	elapsed_ms plugin_works ADD late "$(config prevResult "$result")" \
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=late;K8S_POD_UID=uid-${CONTAINER[late]}"
	((ELAPSED < $1)) || fail "ADD took $ELAPSED ms"
	deny_all client late
	deny late db 80
	allow node late 80
	elapsed_ms plugin_works DEL late "$(config)"
	((ELAPSED < $2)) || fail "DEL took $ELAPSED ms"
	pod_forget late
	rm "$MANIFESTS/pod-late.yaml"
}

step "stopped: an ADD waits its second and no more, and its pod is closed; a DEL does not wait"
daemon_pause
late_comes_and_goes 2000 1000
step "stopped, and the lock held by a stopped process: half a second more"
lock_from_stopped
late_comes_and_goes 2500 1500

step "awake, the lock still held: the daemon goes on without it"
policy db default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: gone } } } ] } ]'
daemon_resume
eventually deny client db 80
allow gone db 80
lock_release

# With the lock taken the daemon waits 50 ms before each of a change's three transactions, what it will send already made: it is
# stopped there. The kernel has to refuse what it then sends for the former.
step "stopped between decision and send; the open pod goes, another gets its addresses: not one answer, before and after"
for round in 1 2; do
	hold_start "from-gone$round" gone tcp "${ADDR4[db]}" 80
	lock_from_stopped
	former $((1000 * round))
	sleep "$(printf 0.%02d $((round * 4 - 1)))" # the moment is the point
	daemon_pause
	lock_release
	probers=("from-client$round" "from-client6$round" "from-heir$round" "from-heir6$round")
	first_start "from-client$round" client "${SAME[0]%/*}" 80
	first_start "from-client6$round" client "${SAME[1]%/*}" 80
	pod_del gone
	pod_make heir
	first_start "from-heir$round" heir "${ADDR4[db]}" 80
	first_start "from-heir6$round" heir "${ADDR6[db]}" 80
	pod_connect heir "${SAME[@]}" || fail "ADD of heir"
	for name in "${probers[@]}"; do
		first_added "$name"
	done
	manifest_pod heir role=heir # while the manifest of the former still names these addresses
	deny client heir 80
	lock_from_stopped # what the daemon does wrong now stays for 50 ms
	daemon_resume
	settled
	lock_release
	deny client heir 80
	deny ext heir 80
	deny heir db 80
	hold_dead "from-gone$round"
	for name in "${probers[@]}"; do
		first_stop "$name"
		((ATTEMPTS > 5)) || fail "$name: only $ATTEMPTS attempts"
		((ANSWERS == 0)) || fail "$name: $ANSWERS of $ATTEMPTS answered"
	done
	((round == 2)) && break
	pod_del heir
	rm "$MANIFESTS/pod-heir.yaml"
	pod_add gone "${SAME[@]}"
	manifest_pod gone role=gone
	settled
	allow client gone 80
	allow gone db 80
done

step "stopped while a policy narrows: applied when it wakes, open connections included"
policy heir default 'podSelector: { matchLabels: { role: heir } }, policyTypes: [ Ingress ], ingress: [ { ports: [ { port: 80 }, { port: 81 } ] } ]'
eventually allow client heir 80
hold_start narrowed client tcp "${ADDR4[heir]}" 80
hold_start narrowed6 client tcp "${ADDR6[heir]}" 80
hold_start kept client tcp "${ADDR6[heir]}" 81
daemon_pause
policy heir default 'podSelector: { matchLabels: { role: heir } }, policyTypes: [ Ingress ], ingress: [ { ports: [ { port: 81 } ] } ]'
hold_alive narrowed
daemon_resume
hold_dead narrowed
hold_dead narrowed6
hold_alive kept
deny client heir 80

finish

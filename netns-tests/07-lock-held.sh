#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A stopped or hung holder of moat's lock delays an ADD or DEL by half a second and never blocks it; its pod is closed as always.
#
#   a, b --- node      one process holds /run/moat/lock, stopped
. "$(dirname "$0")/lib.sh"

topology
pod_add a
exec 9>/run/moat/lock
flock 9
# Not only slow: another open file of ours is another holder.
! flock -n /run/moat/lock true || fail "the lock is not held"

step "ADD and DEL go on without it"
pod_make b
link_make b 10.1.0.30/32 fd00:1::30/128
result=$(prev_result b 10.1.0.30/32 fd00:1::30/128)
elapsed_ms plugin_works ADD b "$(config prevResult "$result")"
((ELAPSED < 1500)) || fail "ADD took $ELAPSED ms"
((ELAPSED >= 300)) || fail "ADD took $ELAPSED ms: it has not waited for the lock at all"
deny_all a b
deny_all ext b
allow node b 80
elapsed_ms plugin_works DEL b "$(config)"
((ELAPSED < 1500)) || fail "DEL took $ELAPSED ms"
deny_all ext b

step "many at once, lock free again"
exec 9>&-
for i in 1 2 3 4 5 6 7 8; do
	pod_make p$i
	link_make p$i 10.1.0.$((40 + i))/32 fd00:1::$((40 + i))/128
done
adders=()
for i in 1 2 3 4 5 6 7 8; do
	(plugin_works ADD p$i "$(config prevResult "$(prev_result p$i 10.1.0.$((40 + i))/32 fd00:1::$((40 + i))/128)")") &
	adders+=($!)
done
for pid in "${adders[@]}"; do
	wait "$pid" || fail "one of eight ADDs failed"
done
for i in 1 2 3 4 5 6 7 8; do
	deny ext p$i 80
	allow node p$i 80
	plugin_works DEL p$i "$(config)"
	pod_forget p$i
done
pod_forget b
finish

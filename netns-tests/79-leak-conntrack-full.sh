#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The connection tracking table is full: the kernel drops whatever is new, and moat cannot help that. But nothing that is denied passes, what
# is established goes on, pods come and go, and a policy that narrows still takes its connections away.
#
#   client, db, other, ext, node as on top of lib/leak.sh; late comes and goes meanwhile
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

MAX=$(cat /proc/sys/net/netfilter/nf_conntrack_max)
((MAX <= 1 << 21)) || skip "a table of $MAX entries is too large to fill"
full() { (($(cat /proc/sys/net/netfilter/nf_conntrack_count) > MAX - 100)); } # some expire at any time
refill() { "$PROBE" conntrack-fill $((MAX + 100)) >/dev/null; }

need_conntrack
leak_field
policy tools tools 'podSelector: {}, policyTypes: [ Egress ], egress: [ { to: [ { namespaceSelector: {}, podSelector: { matchLabels: { role: db } } } ] } ]'
settled
leak_start
leak_sleep 0.3 # the steady ones are established

step "full"
# What is new is the kernel's to drop; it takes an echo's entry for another's too, which is never assured.
leak_set either 'client>db/*:5000' 'client>db/echo*' 'node>db/*' 'ext>db/*:5000' 'db>ext/*'
elapsed_ms refill
full || fail "$(cat /proc/sys/net/netfilter/nf_conntrack_count) of $MAX entries"
step "$MAX entries in $ELAPSED ms"
leak_sleep 0.5

step "an ADD and a DEL"
refill
pod_make late
elapsed_ms pod_connect late
((CODE == 0)) || fail "ADD with a full table: code $CODE"
step "ADD took $ELAPSED ms, primary included"
leak_path client late deny "$KINDS" 5000
leak_path ext late deny "$KINDS" 5000
leak_sleep 0.3
elapsed_ms pod_del late
((CODE == 0)) || fail "DEL with a full table: code $CODE"
step "DEL took $ELAPSED ms, primary included"
leak_sleep 0.1

step "a policy that narrows takes an established flow away"
refill
leak_set either 'client>db/*:80'
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ]'
elapsed_ms settled 60
step "settled in $ELAPSED ms"
leak_set deny 'client>db/*'
leak_sleep 0.5
full || refill

step "and when there is room again, all is as policy says"
leak_set either 'client>db/*'
leak_policies
settled 60
run conntrack -F 2>/dev/null
leak_set allow 'node>db/*' 'ext>db/*:5000' 'db>ext/*' 'client>db/*'
leak_sleep 0.3
leak_stop
finish

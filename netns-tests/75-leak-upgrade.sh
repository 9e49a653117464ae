#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An upgrade to a version with another layout of the static rules, and back: base chains of other names at other priorities. By the
# daemon that starts, by an ADD without a daemon, and with one version's plugin beside the other's daemon. Under the leak counter;
# nobody is closed for it, and nothing of the other layout is left.
#
#   client, db, other, ext, node as on top of lib/leak.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

OWN=$BUILD OTHER=$BUILD/netns-tests/other-layout
ln -sf "$BUILD/moatctl" $T/moatctl
LEAK_ROUNDS=${LEAK_ROUNDS:-3}

# as DIRECTORY COMMAND…: with that version's programs
as()
{
	local BUILD=$1 MOAT=$1/moat
	shift
	"$@"
}

has_chain() { nft list chain "${2:-inet}" moat "$1" >/dev/null 2>&1; }
stands() # own|other: only that layout
{
	local here=(forward input tunnels) gone=(passing entry burrows) name
	[ "$1" = own ] || { here=(passing entry burrows); gone=(forward input tunnels); }
	for name in "${here[@]}"; do
		has_chain "$name" || return 1
	done
	for name in "${gone[@]}"; do
		! has_chain "$name" || return 1
	done
	[ "$PRIMARY" != bridge ] || { has_chain "${here[0]}" bridge && ! has_chain "${gone[0]}" bridge; }
}
rewritten() { grep -c 'event=ruleset-rewritten' "$DAEMON_LOG"; }

version_start() # DIRECTORY: its daemon; moatctl is the same
{
	"$1/moat-policyd" run --manifests "$MANIFESTS" --node "$NODE_NAME" >>"$DAEMON_LOG" 2>&1 &
	DAEMON=$!
	PIDS+=("$DAEMON")
	wait_synced
	settled
}

passing_by() # DIRECTORY: a pod comes and goes with that version's plugin
{
	as "$1" plugin_works ADD late "$(config prevResult "$RESULT")"
	leak_set deny '*>late/*' 'late>*'
	leak_sleep 0.1
	as "$1" plugin_works DEL late "$(config)"
}

leak_field
stands own || fail "the layout is not known"
before=$(rewritten)
pod_make late
link_make late 10.1.0.50/32 fd00:1::50/128
RESULT=$(prev_result late 10.1.0.50/32 fd00:1::50/128)
leak_path ext late either "$KINDS" 5000
leak_path client late either "syn udp" 5000
leak_path late db either "$KINDS" 5000
leak_start

for ((round = 1; round <= LEAK_ROUNDS; round++)); do
	step "round $round: by the daemon"
	daemon_stop TERM
	version_start "$OTHER"
	wait_until 5 stands other || fail "the other layout does not stand"
	passing_by "$OTHER"
	stands other || fail "an ADD has changed it back"
	daemon_stop TERM
	version_start "$OWN"
	wait_until 5 stands own || fail "our layout does not stand again"
	passing_by "$OWN"

	step "round $round: by an ADD, without a daemon"
	daemon_stop TERM
	passing_by "$OTHER"
	stands other || fail "ADD has not changed the layout"
	passing_by "$OWN"
	stands own || fail "ADD has not changed the layout back"
	version_start "$OWN"
	stands own || fail "the daemon has changed it"
done
(($(rewritten) == before)) || fail "the static part was taken for a damaged one: $(cat "$DAEMON_LOG")"

step "one version's daemon, the other's plugin"
for _ in 1 2 3; do
	passing_by "$OTHER"
	leak_sleep 0.3
done
leak_stop
pod_forget late
finish

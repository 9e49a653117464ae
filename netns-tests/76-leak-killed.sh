#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The plugin is killed before each system call that it makes, one after the other, under the leak counter; then it is tried again, then
# comes DEL. A pod whose ADD has succeeded once is closed until its link is gone, whatever dies; others notice nothing. Without a
# daemon, which would put things right. LEAK_STRIDE 1 takes each call, 17 every seventeenth, from a random one on (LEAK_SEED).
#
#   ext --- node --- seen ==all==> watched (audit: everything passes)
#                |-- victim (strict) on a link made by hand: node ==> victim, nobody else; and victim to nobody
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

# A leak checker cannot work in a traced process.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
LEAK_STRIDE=${LEAK_STRIDE:-17}
RANDOM=${LEAK_SEED:=$$}
LEAK_RATE=50
RESULT=$(prev_result victim 10.1.0.20/32 fd00:1::20/128)

# killed_at N VERB CONFIG: the plugin dies before its N-th system call; false if it does not make so many.
killed_at()
{
	local n=$1 verb=$2 config=$3 code=0
	{ # bash announces each killed child there
		"$PROBE" die-at "$n" env "CNI_COMMAND=$verb" "CNI_PATH=$BUILD" "CNI_CONTAINERID=${CONTAINER[victim]}" \
			CNI_NETNS=/run/netns/victim CNI_IFNAME=eth0 "$MOAT" <<<"$config" >$T/out 2>$T/err || code=$?
	} 2>/dev/null
	((code == 0 || code == 137)) || fail "$verb, killed before system call $n: exit code $code: $(cat $T/out $T/err)"
	((code == 137))
}

# each_kill BEFORE AFTER VERB CONFIG: the two are called around each kill.
each_kill()
{
	local before=$1 after=$2 verb=$3 config=$4 n kills=0
	for ((n = 1 + RANDOM % LEAK_STRIDE; ; n += LEAK_STRIDE)); do
		$before
		killed_at $n "$verb" "$config" || break
		kills=$((kills + 1))
		$after $n
	done
	$after $n
	step "$kills kills"
	((kills * LEAK_STRIDE > 100)) || fail "only $kills kills of $verb: does ptrace work here?"
}

again() { plugin_works "$1" victim "$(config prevResult "$RESULT")"; } # VERB
# A pod whose ADD has succeeded was closed, and must stay so until its link is gone.
guarded() { set_has ports port-victim || fail "the port is open after $1"; }

none() { :; }
from_nothing() # no table, no state: the ADD that makes everything
{
	leak_set either '*' # what it makes anew in one batch, others' packets may meet half: without a table nobody was guarded
	nft delete table inet moat
	rm -rf /run/moat/pods/$NETWORK/"${CONTAINER[victim]}"* /run/moat/*/port-victim /run/moat/addrs/*20
}
made_again() # N
{
	again ADD
	leak_set allow 'node>victim/*' 'seen>watched/*'
	leak_set deny 'seen>victim/*' 'ext>victim/*' 'victim>*'
	again CHECK
	leak_sleep 0.03
}
added_again() # N: every second one goes on with DEL at once
{
	if (($1 / LEAK_STRIDE % 2)); then
		again ADD
		again CHECK
	fi
	again DEL
	! set_has to_pod 10.1.0.20 || fail "not removed by a DEL after an ADD killed before system call $1"
	guarded "a DEL after an ADD killed before system call $1"
}
deleted_again()
{
	guarded "a DEL killed before system call $1"
	again DEL
	guarded "a DEL killed before system call $1 and another, its link is there"
	! set_has to_pod 10.1.0.20 || fail "second DEL after a kill before system call $1"
}

topology
conflist_write '{"type": "moat", "mode": "audit"}'
pod_add seen
pod_add watched
pod_make victim
link_make victim 10.1.0.20/32 fd00:1::20/128
leak_path seen watched allow "$KINDS" 5000
leak_path node victim allow "syn udp echo" 5000
for from in seen ext; do
	leak_path $from victim either "$KINDS" 5000
done
for to in watched ext node; do
	leak_path victim $to either "$KINDS" 5000
done
leak_start

step "seed $LEAK_SEED; ADD that makes everything, killed, then ADD"
each_kill from_nothing made_again ADD "$(config prevResult "$RESULT")"
step "ADD killed, then ADD and DEL, or only DEL"
leak_set either 'node>victim/*' # after DEL that depends on its link: a bridge carries nothing to it
each_kill none added_again ADD "$(config prevResult "$RESULT")"
step "DEL killed, then DEL: the port is closed all the time"
each_kill "again ADD" deleted_again DEL "$(config)"

plugin_works DEL victim "$(config)"
leak_stop
pod_forget victim
# A writer that dies between writing a file and renaming it leaves a temporary one, which no reader takes for state.
find /run/moat -name '.tmp.*' -delete
finish

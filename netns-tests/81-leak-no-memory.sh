#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# There is no memory: one request after the other fails, in the plugin's ADD and DEL, and in a daemon that starts. Who gets none ends at
# once, or says so, and opens nothing: what was closed is closed, what is allowed goes on, and the next one gets there. Under the
# leak counter. LEAK_STRIDE 1 takes each request, 19 every nineteenth, from a random one on (LEAK_SEED).
#
#   client, db, other, ext, node as on top of lib/leak.sh; victim (10.1.0.20) on a link made by hand, known to nobody
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

! grep -q __asan_init "$MOAT" || skip "a sanitizer has an allocator of its own"
LEAK_STRIDE=${LEAK_STRIDE:-19}
LEAK_KILLS=${LEAK_KILLS:-9}
RANDOM=${LEAK_SEED:=$$}
LEAK_RATE=15
RESULT=$(prev_result victim 10.1.0.20/32 fd00:1::20/128)
NOMEM=$BUILD/netns-tests/nomem.so
MOAT=$BUILD/netns-tests/moat-dynamic # nothing can be preloaded into the static one

starved() # REQUEST VERB CONFIG: its exit code in CODE
{
	CODE=0
	{ # bash announces each aborted child there
		env LD_PRELOAD="$NOMEM" NOMEM_COUNT=1 "NOMEM_AT=$1" "CNI_COMMAND=$2" "CNI_PATH=$BUILD" \
			"CNI_CONTAINERID=${CONTAINER[victim]}" CNI_NETNS=/run/netns/victim CNI_IFNAME=eth0 \
			"$MOAT" <<<"$3" >$T/out 2>$T/err || CODE=$?
	} 2>/dev/null
}

requests() { sed -n 's/^requests //p' $T/err | tail -n 1; } # of the last one that ended by itself

# It aborted, said why, or did without.
ended_well() # WHAT
{
	case $CODE in
	0 | 134) ;;
	1) [ -n "$(error_code $T/out)" ] || fail "$1: no error is told: $(cat $T/out $T/err)" ;;
	*) fail "$1: exit code $CODE: $(cat $T/out $T/err)" ;;
	esac
}

# starve VERB CONFIG FUNCTION…: each request; the functions before and after it.
starve()
{
	local verb=$1 config=$2 before=$3 after=$4 n last aborted=0
	$before
	starved 0 "$verb" "$config"
	last=$(requests)
	$after
	for ((n = 1 + RANDOM % LEAK_STRIDE; n <= last; n += LEAK_STRIDE)); do
		$before
		starved $n "$verb" "$config"
		ended_well "$verb without memory at request $n"
		((CODE != 134)) || aborted=$((aborted + 1))
		set_has ports port-victim || fail "the port is open after $verb without memory at request $n"
		$after
	done
	step "$verb: $last requests, $aborted of those tried ended it"
	((aborted * LEAK_STRIDE > 50)) || fail "too few: is memory refused at all?"
}

none() { :; }
again_add() { plugin_works ADD victim "$(config prevResult "$RESULT")"; }
again_del() { plugin_works DEL victim "$(config)"; }
added()
{
	again_add
	plugin_works CHECK victim "$(config prevResult "$RESULT")"
}
deleted()
{
	again_del
	! set_has to_pod 10.1.0.20 || fail "not removed"
}

# starved_daemon REQUEST: until it is there, or has ended; its exit code in CODE.
starved_daemon()
{
	rm -f $T/code
	( # bash announces each aborted child
		env LD_PRELOAD="$NOMEM" "NOMEM_AT=$1" "$BUILD/moat-policyd" run --manifests "$MANIFESTS" --node "$NODE_NAME" >>"$DAEMON_LOG" 2>&1 &
		echo $! >$T/pid
		CODE=0
		wait $! || CODE=$?
		echo $CODE >$T/code
	) 2>/dev/null &
	wait_until 20 eval '[ -s $T/code ] || synced' || { kill -KILL "$(cat $T/pid)"; fail "a daemon without memory hangs"; }
	kill -KILL "$(cat $T/pid)" 2>/dev/null || true
	wait $!
	CODE=$(cat $T/code)
}

leak_field
pod_make victim
link_make victim 10.1.0.20/32 fd00:1::20/128
again_add
leak_path ext victim deny "$KINDS" 5000
leak_path client victim deny "syn udp echo" 5000
leak_path victim db deny "$KINDS" 5000
leak_path victim ext deny "$KINDS" 5000
leak_start

step "the plugin, seed $LEAK_SEED"
starve ADD "$(config prevResult "$RESULT")" none added
starve DEL "$(config)" again_add deleted

step "the daemon, as it starts"
daemon_stop TERM
env LD_PRELOAD="$NOMEM" NOMEM_COUNT=1 "$BUILD/moat-policyd" run --manifests "$MANIFESTS" --node "$NODE_NAME" >>"$DAEMON_LOG" 2>$T/err &
DAEMON=$!
PIDS+=("$DAEMON")
wait_synced
daemon_stop TERM
last=$(requests)
aborted=0
for ((i = 1; i <= LEAK_KILLS; i++)); do
	starved_daemon $((1 + (RANDOM * 32768 + RANDOM) % last))
	case $CODE in
	134) aborted=$((aborted + 1)) ;;
	1 | 137) ;;
	139 | 142 | 159) VIOLATES=yes ;; # libseccomp without memory: it follows a NULL, walks in a circle, or makes a filter that lacks a call
	*) fail "a daemon without memory ended with exit code $CODE: $(tail -n 3 "$DAEMON_LOG")" ;;
	esac
done
DAEMON=
step "$last requests until it is stopped; $aborted of $LEAK_KILLS aborted"
((aborted > LEAK_KILLS / 10)) || fail "too few: is memory refused at all?"
daemon_start
allow client db 80
deny other db 80
leak_stop
plugin_works DEL victim "$(config)"
pod_forget victim
finish

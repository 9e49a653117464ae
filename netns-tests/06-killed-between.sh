#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The plugin is killed before each of its system calls that change something, one after the other. The pod is never open, a second
# ADD closes it as ever, a DEL after the kill leaves nothing.
#
#   victim (10.1.0.20, fd00:1::20) on a link made by hand; ext probes it
. "$(dirname "$0")/lib.sh"

command -v strace >/dev/null || skip "strace is not installed"
strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"

# A leak checker cannot work in a traced process.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
CALLS="sendto sendmsg mkdir mkdirat openat write rename renameat renameat2 symlink symlinkat unlinkat flock recvmsg"
RESULT=$(prev_result victim 10.1.0.20/32 fd00:1::20/128)

# killed_at CALL N VERB CONFIG: the plugin dies before its N-th CALL; false if it has no such.
killed_at()
{
	local call=$1 n=$2 verb=$3 config=$4 code=0
	{ # bash announces each killed child there
		strace -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$n" \
			env "CNI_COMMAND=$verb" "CNI_PATH=$BUILD" "CNI_CONTAINERID=${CONTAINER[victim]}" \
			CNI_NETNS=/run/netns/victim CNI_IFNAME=eth0 "$MOAT" <<<"$config" >$T/out 2>$T/err || code=$?
	} 2>/dev/null
	((code == 0 || code == 137)) || fail "$verb, killed before $call $n: exit code $code: $(cat $T/out $T/err)"
	((code == 137))
}

closed()
{
	outcome_is dropped 60 ext victim 80 || fail "open after $1: $GOT"
}

# A pod whose ADD has succeeded was closed, and must stay so until its link is gone.
guarded() { set_has ports port-victim; }

topology
pod_make victim
link_make victim 10.1.0.20/32 fd00:1::20/128
kills=0

step "ADD killed, then ADD; ADD killed, then DEL"
for call in $CALLS; do
	for retry in ADD DEL; do
		for ((n = 1; ; n++)); do
			killed_at "$call" $n ADD "$(config prevResult "$RESULT")" || break
			kills=$((kills + 1))
			if [ $retry = ADD ]; then
				plugin_works ADD victim "$(config prevResult "$RESULT")"
				closed "ADD after a kill before $call $n"
				plugin_works CHECK victim "$(config prevResult "$RESULT")"
			fi
			plugin_works DEL victim "$(config)"
			! set_has pods 10.1.0.20 || fail "not removed by a DEL after an ADD killed before $call $n"
		done
		plugin_works DEL victim "$(config)"
	done
done
note "$kills kills of ADD"
((kills > 20)) || fail "only $kills kills: does strace inject?"

step "DEL killed, then DEL: the port is closed all the time"
kills=0
for call in $CALLS; do
	for ((n = 1; ; n++)); do
		plugin_works ADD victim "$(config prevResult "$RESULT")"
		killed_at "$call" $n DEL "$(config)" || break
		kills=$((kills + 1))
		guarded || fail "the port is open after a DEL killed before $call $n"
		closed "a DEL killed before $call $n"
		plugin_works DEL victim "$(config)"
		guarded || fail "the port is open after a DEL killed before $call $n and another, its link is there"
		! set_has pods 10.1.0.20 || fail "second DEL after a kill before $call $n"
	done
done
note "$kills kills of DEL"
plugin_works DEL victim "$(config)"
pod_forget victim
# A writer that dies between writing a file and renaming it leaves a temporary one, which no reader takes for state.
find /run/moat -name '.tmp.*' -delete
finish

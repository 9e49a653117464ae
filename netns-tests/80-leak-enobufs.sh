#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The kernel has no memory for an answer, at any netlink call: every receive and every send of the plugin's ADD and DEL is refused with
# ENOBUFS, one run after the other, and then the daemon's, now and then, while policies change. An ADD that says it succeeded has
# closed its pod, one that failed succeeds when it is tried again; the daemon gets there. Under the leak counter.
#
#   client, db, other, ext, node as on top of lib/leak.sh; victim (10.1.0.20) on a link made by hand, known to nobody
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

command -v strace >/dev/null || skip "strace is not installed"
strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" # a leak checker cannot work in a traced process
LEAK_RATE=15
CALLS="recvfrom recvmsg sendto sendmsg"
RESULT=$(prev_result victim 10.1.0.20/32 fd00:1::20/128)

# refused CALL N VERB CONFIG: the plugin's N-th CALL fails. Its exit code in CODE; false if it makes no such call.
refused()
{
	local call=$1 n=$2 verb=$3 config=$4
	CODE=0
	strace -o $T/trace -e "trace=$call" -e "inject=$call:error=ENOBUFS:when=$n" \
		env "CNI_COMMAND=$verb" "CNI_PATH=$BUILD" "CNI_CONTAINERID=${CONTAINER[victim]}" \
		CNI_NETNS=/run/netns/victim CNI_IFNAME=eth0 "$MOAT" <<<"$config" >$T/out 2>$T/err || CODE=$?
	grep -q INJECTED $T/trace
}

# A failure is the specification's error, not an end without a word.
told() # WHAT
{
	((CODE == 0)) || { ((CODE == 1)) && [ -n "$(error_code $T/out)" ]; } || fail "$1: exit code $CODE: $(cat $T/out $T/err)"
}

churn() # NUMBER
{
	policy churn default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: nobody-$1 } } }, { ipBlock: { cidr: 10.$1.0.0/16 } } ], ports: [ { port: $((6000 + $1)) } ] } ]"
}

leak_field
pod_make victim
link_make victim 10.1.0.20/32 fd00:1::20/128
plugin_works ADD victim "$(config prevResult "$RESULT")"
leak_path ext victim deny "$KINDS" 5000
leak_path client victim deny "syn udp echo" 5000
leak_path victim db deny "$KINDS" 5000
leak_path victim ext deny "$KINDS" 5000
leak_start

for call in $CALLS; do
	for ((n = 1; ; n++)); do
		refused "$call" $n ADD "$(config prevResult "$RESULT")" || break
		told "ADD, $call $n refused"
		((CODE == 0)) || plugin_works ADD victim "$(config prevResult "$RESULT")"
		plugin_works CHECK victim "$(config prevResult "$RESULT")"
		refused "$call" $n DEL "$(config)" || true
		told "DEL, $call $n refused"
		set_has ports port-victim || fail "the port is open after DEL, $call $n refused"
		((CODE == 0)) || plugin_works DEL victim "$(config)"
		! set_has to_pod 10.1.0.20 || fail "not removed by DEL, $call $n refused"
	done
	step "$((n - 1)) times $call"
	((n > 1)) || [[ $call = recvmsg ]] || fail "the plugin does not $call: does strace inject?"
done
plugin_works DEL victim "$(config)"

step "the daemon"
for call in $CALLS; do
	for every in 7 4; do
		strace -f -o /dev/null -e "trace=$call" -e "inject=$call:error=ENOBUFS:when=2+$every" -p "$DAEMON" 2>$T/strace &
		tracer=$!
		PIDS+=("$tracer")
		wait_until 5 grep -q attached $T/strace || fail "strace does not attach: $(cat $T/strace)"
		for i in {1..8}; do
			churn $i
			leak_sleep 0.02
		done
		kill -TERM "$tracer"
		wait "$tracer" || true
		kill -0 "$DAEMON" || fail "the daemon has ended: $(tail -n 3 "$DAEMON_LOG")"
	done
done
leak_set either 'client>db/*'
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ]'
settled 20
leak_set deny 'client>db/*'
leak_sleep 0.2
leak_stop
pod_forget victim
finish

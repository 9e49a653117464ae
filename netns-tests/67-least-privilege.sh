#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the programs can do besides their job: no capability that they do not need, no system call that is not known (a violation
# ends the daemon visibly, and changes nothing in the kernel), no word with another user at the control socket.
#
#   ext --- node --- a (ingress tcp/80 from everyone), b
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

NET_ADMIN=0000000000001000 NONE=0000000000000000
field() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"; } # PID NAME
is() # PID NAME WANTED
{
	local got
	got=$(field "$1" "$2")
	[ "$got" = "$3" ] || fail "$(cat "/proc/$1/comm"): $2 is $got, expected $3"
}
capabilities() # PID PERMITTED
{
	is "$1" CapPrm "$2"
	is "$1" CapEff "$2"
	is "$1" CapInh $NONE
	is "$1" CapAmb $NONE
	is "$1" NoNewPrivs 1
}
stat_of() { stat -c '%a %U' "$1"; }
allowed_and_denied()
{
	allow ext a 80
	deny ext a 81
	deny ext b 80
}

command -v strace >/dev/null || skip "strace is missing: package strace"
topology
conflist_write '{"type": "moat", "waitForPolicy": "20s"}'
manifest_namespace default
policy a default 'podSelector: { matchLabels: { pod: a } }, policyTypes: [ Ingress ], ingress: [ { ports: [ { port: 80 } ] } ]'
pod_add a
pod_add b
manifest_pod a
manifest_pod b
daemon_start
settled

step "the daemon has CAP_NET_ADMIN and no other capability, for good, and a filter of its system calls"
capabilities "$DAEMON" $NET_ADMIN
is "$DAEMON" CapBnd $NONE
is "$DAEMON" Seccomp 2

step "the run directory is the owner's alone"
for path in /run/moat /run/moat/{pods,addrs,ports,closing} "/run/moat/pods/$NETWORK"; do
	[ "$(stat_of $path)" = "700 root" ] || fail "$path: $(stat_of $path)"
done
[ "$(stat_of /run/moat/policyd.sock)" = "600 root" ] || fail "policyd.sock: $(stat_of /run/moat/policyd.sock)"
chmod 750 /run/moat
plugin_fails 50 0750 STATUS "" "$(config)"
chmod 700 /run/moat

step "the plugin and moatctl, caught while they wait for a stopped daemon"
daemon_pause
pod_make c
background pod_connect c
add=$BACKGROUND
here() { [ "$(readlink "/proc/$1/ns/net" 2>/dev/null)" = "$(readlink /proc/self/ns/net)" ]; } # other stories' plugins run too
plugin_waits()
{
	for PLUGIN in $(pgrep -x moat); do
		! here "$PLUGIN" || [ "$(field "$PLUGIN" CapEff 2>/dev/null)" != $NET_ADMIN ] || return 0
	done
	return 1
}
wait_until 10 plugin_waits || fail "no plugin waits with CAP_NET_ADMIN alone"
capabilities "$PLUGIN" $NET_ADMIN
background "$BUILD/moatctl" status
ctl=$BACKGROUND
dropped() { [ "$(field "$ctl" CapPrm)" = $NONE ]; }
wait_until 10 dropped || fail "moatctl's capabilities are $(field "$ctl" CapPrm)"
capabilities "$ctl" $NONE
is "$ctl" CapBnd $NONE
daemon_resume
wait "$add" || fail "ADD: $(cat "$BACKGROUND_OUT")"
pod_addresses c
wait "$ctl" || fail "moatctl: $(cat "$BACKGROUND_OUT")"

# forge WHEN COMMAND…: what getsockopt says of the other end is forged, process 4242 of user 12345, from the WHENth call on.
forge() { ASAN_OPTIONS=detect_leaks=0 strace -qq -o /dev/null -e trace=getsockopt -e "inject=getsockopt:poke_exit=@arg4=9210000039300000:when=$1+" "${@:2}"; }
# wrapped_add NUMBER PROGRAM: ADD of pod d by a program that starts the plugin
wrapped_add()
{
	pod_make d
	link_make d "10.1.0.$1/24"
	MOAT=$2 plugin_works ADD d "$(config waitForPolicy '"20s"' prevResult "$(prev_result d "10.1.0.$1/24")")" \
		"CNI_ARGS=K8S_POD_NAMESPACE=default;K8S_POD_NAME=d;IgnoreUnknown=1"
}
wrapped_gone()
{
	plugin_works DEL d "$(config)"
	in_netns d ip link del eth0
	pod_forget d
}
if ! forge 1 true 2>/dev/null; then
	step "this strace cannot forge the other end of a socket"
else
	step "moatctl and the plugin do not talk to another user's daemon, and the daemon not to another user"
	code=0
	forge 1 "$BUILD/moatctl" status >$T/out 2>&1 || code=$?
	((code == 2)) && grep -q 'process 4242 of user 12345' $T/out || fail "moatctl ended with $code: $(cat $T/out)"
	# ADD asks getsockopt other things first: one ADD is only looked at, and the next one's same call is forged
	printf '%s\n' '#!/bin/bash' "ASAN_OPTIONS=detect_leaks=0 exec strace -qq -o $T/asked -e trace=getsockopt $BUILD/moat" >$T/watched
	chmod +x $T/watched
	wrapped_add 76 $T/watched
	position=$(grep -n SO_PEERCRED $T/asked | head -n 1 | cut -d: -f1)
	[ -n "$position" ] || fail "the plugin does not ask who the daemon is: $(cat $T/asked)"
	wrapped_gone
	printf '%s\n' '#!/bin/bash' "$(declare -f forge)" "forge $position $BUILD/moat" >$T/forged
	chmod +x $T/forged
	elapsed_ms wrapped_add 77 $T/forged
	grep -q 'nobody is told: process 4242 of user 12345' $T/err || fail "the plugin says: $(cat $T/err)"
	((ELAPSED < 15000)) || fail "the plugin waited $ELAPSED ms for a stranger"
	deny ext d 80
	{ forge 1 -p "$DAEMON" 2>$T/strace.err || true; } &
	tracer=$!
	PIDS+=("$tracer")
	refused() { "$BUILD/moatctl" status >$T/out 2>&1; grep -q 'ended the conversation' $T/out; }
	wait_until 10 refused || fail "moatctl: $(cat $T/out)"
	grep -q 'event=control-refused error="process 4242 of user 12345' "$DAEMON_LOG" || fail "the daemon does not say so"
	kill -INT "$(pgrep -P "$tracer" -x strace || echo "$tracer")"
	wait "$tracer" || true
	wait_until 10 synced || fail "the daemon does not answer any more"
	wrapped_gone
fi

VIOLATES=yes # on purpose
step "a system call that is not known ends the daemon, as SIGSYS, and the log says so"
allowed_and_denied
ended() { ! kill -0 "$DAEMON" 2>/dev/null; }
strace -qq -o $T/strace.out -e trace=epoll_wait,epoll_pwait -e inject=epoll_wait,epoll_pwait:retval=0:syscall=getegid:when=2 -p "$DAEMON" 2>$T/strace.err &
PIDS+=("$!")
code=0
wait_until 10 ended || fail "the daemon goes on: $(cat $T/strace.out)"
wait "$DAEMON" 2>/dev/null || code=$?
((code == 128 + 31)) || fail "the daemon ended with $code: $(cat $T/strace.out)"
grep -qE 'level=error event=seccomp-violation syscall=[0-9]+ arch=0x[0-9a-f]+' "$DAEMON_LOG" || fail "the log does not say why"
DAEMON=
step "what stood stands"
allowed_and_denied
pod_add e
manifest_pod e
deny ext e 80
daemon_start
settled
allowed_and_denied

step "without CAP_NET_ADMIN it says what is missing"
code=0
daemon_stop TERM
setpriv --bounding-set -net_admin --inh-caps -net_admin "$BUILD/moat-policyd" run --manifests $MANIFESTS 2>$T/err || code=$?
((code == 1)) && grep -q 'not-started error="CAP_NET_ADMIN is missing' $T/err || fail "it ended with $code: $(cat $T/err)"
daemon_start

finish

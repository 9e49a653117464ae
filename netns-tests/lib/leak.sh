# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The leak counter: senders flood every denied path and probe every allowed one with numbered packets while something happens;
# receivers count. For each packet the ledger knows what was expected of it when it was sent (netns-tests/probing/ledger.h).
#
#	leak_field                          pods, policies and paths below, daemon included; or leak_path … of one's own
#	leak_start
#	leak_set either 'client>db/*'       a change is under way: what is sent now is neither
#	…the change, until it is done…
#	leak_set deny 'client>db/*'         from here on, no packet
#	leak_stop                           asserts: not one leaked, not one allowed lost; prints the totals
#
# What was broken once on purpose, and what told (ptp, the numbers of make check):
#
#	ADD succeeds and closes nothing                          71: 9,854 leaked
#	another layout is taken for damage                       75: the other layout does not stand
#	an object without memory for a part of it is used        81: ADD ends by SIGSEGV
#	DEL gives the port free at once                          76, 77: the port is open
#	ADD without the lock succeeds and closes nothing         74: 2,251 leaked
#	the daemon takes the hooks' rules away as it ends        73: 868 leaked
#	a daemon that starts closes its pods first               73: 1 lost, window 40 ms
#	a swap in two transactions, the pod's chain empty between 78: 16 leaked
#	nobody locks                                             78: elements are left behind
#	no connection is revoked                                 72, 79: the daemon never settles
#	a batch that was refused with ENOBUFS counts as taken    80: not removed
#	a chain and what leads to it in one batch                82: 1 to 3 leaked, in four of its five phases
#
# What they did not see: a change of layout that cleans before it swaps (75): the kernel refuses to delete what is still jumped to.

LEDGER=$T/ledger
LEAK_RATE=${LEAK_RATE:-25} # packets a second and path; the field has some hundred paths
KINDS="syn ack udp echo fragments"
declare -A LEAK_FROM LEAK_TO # process by namespace
LEAK_TAP=

# leak_path FROM TO deny|allow|… "KIND…" PORT [steady]: in each family that both have an address of.
leak_path()
{
	local from=$1 to=$2 expectation=$3 kinds=$4 port=$5 steady=${6:-} kind
	for kind in $kinds; do
		[ -z "${ADDR4[$from]:-}" ] || [ -z "${ADDR4[$to]:-}" ] ||
			echo "$from $to $kind ${ADDR4[$from]} ${ADDR4[$to]} $port $LEAK_RATE $expectation $steady"
		[ -z "${ADDR6[$from]:-}" ] || [ -z "${ADDR6[$to]:-}" ] ||
			echo "$from $to $kind ${ADDR6[$from]} ${ADDR6[$to]} $port $LEAK_RATE $expectation $steady"
	done | "$PROBE" leak-paths "$LEDGER"
	LEAK_FROM[$from]=${LEAK_FROM[$from]:-}
	LEAK_TO[$to]=${LEAK_TO[$to]:-}
}

# leak_receive NAME, leak_send NAME: start; leak_unsend NAME stops what sends from there, before its namespace goes.
leak_receive()
{
	background_probe "$1" leak-receive "$LEDGER" "$1"
	LEAK_TO[$1]=$BACKGROUND
	wait_until 5 grep -q ready "$BACKGROUND_OUT" || fail "nothing receives in $1: $(cat "$BACKGROUND_OUT")"
}

leak_send()
{
	background_probe "$1" leak-send "$LEDGER" "$1"
	LEAK_FROM[$1]=$BACKGROUND
}

leak_unsend()
{
	kill -TERM "${LEAK_FROM[$1]}"
	wait "${LEAK_FROM[$1]}" || fail "the sender of $1 had ended"
	LEAK_FROM[$1]=
}

leak_start()
{
	local name
	background_probe node leak-tap "$LEDGER"
	LEAK_TAP=$BACKGROUND
	wait_until 5 grep -q ready "$BACKGROUND_OUT" || fail "no tap on the node: $(cat "$BACKGROUND_OUT")"
	for name in "${!LEAK_TO[@]}"; do
		leak_receive "$name"
	done
	for name in "${!LEAK_FROM[@]}"; do
		leak_send "$name"
	done
}

# leak_set deny|allow|either|opening|closing|off PATTERN…: of path names, "from>to/kind4:port". Returns when what was sent before has met its fate.
leak_set()
{
	note "leak_set $*"
	"$PROBE" leak-set "$LEDGER" "$@"
}

# leak_opened PATTERN…: waits until each path that is opening has let something through: its deny window is known then.
leak_opened()
{
	"$PROBE" leak-opened "$LEDGER" "$@" || fail "still closed: $("$PROBE" leak-report "$LEDGER" | grep 'never opened')"
}

# leak_sleep SECONDS: nothing happens but the flood. What is read there never comes: a pause without a process, and so to the millisecond.
mkfifo $T/never
exec {NEVER}<>$T/never
leak_sleep() { read -rt "$1" -u $NEVER || true; }

# leak_read: ends the flood; leaves SENT ARRIVED DENIED LEAKED LOST WINDOW (µs) QUEUES OVERRUN, and the report in $T/leak.report.
leak_read()
{
	local name
	for name in "${!LEAK_FROM[@]}"; do
		[ -z "${LEAK_FROM[$name]}" ] || leak_unsend "$name"
	done
	# What is under way arrives, or is seen not to: once nothing has moved for a while.
	"$PROBE" leak-set "$LEDGER" off '*'
	leak_sleep 0.1
	for name in "${!LEAK_TO[@]}"; do
		[ -n "${LEAK_TO[$name]}" ] || continue # came later, and has only the tap
		kill -TERM "${LEAK_TO[$name]}"
		wait "${LEAK_TO[$name]}" || fail "the receiver in $name had ended"
	done
	kill -TERM "$LEAK_TAP"
	wait "$LEAK_TAP" || fail "the tap had ended"
	"$PROBE" leak-report "$LEDGER" >"$T/leak.report"
	# shellcheck disable=SC2034 # read by stories
	read -r _ SENT _ ARRIVED _ DENIED _ LEAKED _ LOST _ WINDOW _ QUEUES _ OVERRUN < <(tail -n 1 "$T/leak.report")
}

# leak_stop: every kind of packet that was to be denied must have come to moat, or the count proves nothing.
leak_stop()
{
	leak_read
	step "sent $SENT, leaked $LEAKED, lost allowed $LOST, longest deny window $((WINDOW / 1000)).$(printf %03d $((WINDOW % 1000))) ms ($DENIED denied packets came to moat, $QUEUES lost in queues behind it)"
	[ -z "${VERBOSE:-}" ] || cat "$T/leak.report"
	((OVERRUN == 0)) || fail "the counter has missed $OVERRUN packets"
	((LEAKED == 0 && LOST == 0)) || fail "$LEAKED leaked, $LOST allowed lost: $(cat "$T/leak.report")"
	! grep -q 'never opened' "$T/leak.report" || fail "$(cat "$T/leak.report")"
	! grep 'sent' "$T/leak.report" | grep -q 'denied      0' || fail "a kind of packet was never denied: $(cat "$T/leak.report")"
	((DENIED > 0 && SENT < 2 * ARRIVED)) || fail "of $SENT packets $ARRIVED came to moat: this proves nothing"
	rm -f "$LEDGER"
	LEAK_FROM=() LEAK_TO=()
}

# ---- the usual field ---------------------------------------------------------------------------------------------------
#
#      ext --- node --- client ==all==> db        ext ==tcp, udp 5000==> db ==udp 5053==> ext;  node ==> db
#                  '--- other (namespace tools)   everything else is denied

leak_policies()
{
	policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ { to: [ { podSelector: { matchLabels: { role: db } } } ] } ]'
	policy db default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress, Egress ], ingress: [
	    { from: [ { podSelector: { matchLabels: { role: client } } } ] },
	    { from: [ $EXT_BLOCKS ], ports: [ { port: 5000 }, { port: 5000, protocol: UDP } ] } ],
	  egress: [ { to: [ $EXT_BLOCKS ], ports: [ { port: 5053, protocol: UDP } ] } ]"
}
EXT_BLOCKS='{ ipBlock: { cidr: 192.168.50.0/24 } }, { ipBlock: { cidr: "fd00:50::/64" } }'

leak_paths()
{
	leak_path client db allow "$KINDS" 5000
	leak_path client db allow "udp echo" 80 steady
	leak_path node db allow "syn udp echo" 5000
	leak_path ext db allow "syn udp" 5000
	leak_path db ext allow udp 5053
	leak_path db client deny "$KINDS" 5000
	leak_path other db deny "$KINDS" 5000
	leak_path other db deny "udp echo" 80 steady
	leak_path client other deny "$KINDS" 5000
	leak_path ext client deny "$KINDS" 5000
	leak_path ext db deny "syn ack udp" 5001
	leak_path other ext deny "$KINDS" 5000
	leak_path other node deny "$KINDS" 5000
	leak_path client node deny "syn udp" 5000
}

leak_field()
{
	local pod
	topology
	manifest_namespace default team=default
	manifest_namespace tools team=tools
	leak_policies
	daemon_start
	for pod in client db other; do
		if [ $pod = other ]; then pod_make $pod --ns tools; else pod_make $pod; fi
		manifest_pod $pod role=$pod
		pod_connect $pod || fail "ADD of $pod"
	done
	settled
	allow client db 80
	allow client db icmp
	leak_paths
}

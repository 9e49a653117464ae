# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For the stories with the daemon: policies in one line, what the daemon has taken, and floods that a witness counts.

# policy NAME NAMESPACE SPEC: SPEC is the inside of a flow mapping, `podSelector: {}, policyTypes: [ Egress ]`.
policy()
{
	manifest "policy-$1" <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: $1, namespace: $2 }
	spec: { $3 }
	END
}

policy_remove() { manifest_remove "policy-$1"; } # NAME

# Everything that was written before is read and in the kernel once the daemon has told of a later file, since it applies what it
# reads before it answers anybody.
MARKERS=0
settled() # [SECONDS]
{
	MARKERS=$((MARKERS + 1))
	manifest settled <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: settled, namespace: nowhere }
	marker-$MARKERS: is told as an unknown field
	spec: { podSelector: {} }
	END
	wait_until "${1:-10}" read_all || fail "the daemon has not read what was written"
	wait_until "${1:-10}" eval '! status_says "revoked so far"' || fail "the daemon still looks for connections to revoke"
}

# A namespace that has had its share of time waits, while the marker's does not.
read_all() { status_says "marker-$MARKERS" && ! grep -q 'wait for their turn' "$T/status.text"; }

# moatctl status says so (a basic regular expression). Its exit code tells of health, not of this.
status_says()
{
	"$BUILD/moatctl" status >"$T/status.text" 2>&1 || true
	grep -q -- "$1" "$T/status.text"
}

# state_of POD: the line of moatctl status behind the one with its name.
state_of() { "$BUILD/moatctl" status | grep -A 1 "^  ${NAMESPACE[$1]}/$1 on " | tail -n 1; }
state_says() { [[ $(state_of "$1") == *"$2"* ]]; } # POD TEXT

# soon allow|deny …: within a second. Short tries: eventually's would wait for TCP's own second try, which is as long.
soon()
{
	local wanted=answered
	[ "$1" = allow ] || wanted=dropped
	wait_until 1 outcome_is $wanted 200 "${@:2}" || fail "soon $*: $GOT"
}

# ---- a witness -------------------------------------------------------------------------------------------------------
#
# Counts a flood's packets before moat's first chain and behind its last one, in a table of its own: what a busy machine
# loses in its queues and buffers is on neither side, what moat drops is on one.

witness_start() # NAME ADDRESS PORT
{
	local family=ip
	[[ $2 != *:* ]] || family=ip6
	nft -f - <<-END
	table inet witness {
		chain before { type filter hook prerouting priority -500; }
		chain behind { type filter hook postrouting priority 500; }
	}
	add rule inet witness before $family daddr $2 udp dport $3 counter comment "$1"
	add rule inet witness behind $family daddr $2 udp dport $3 counter comment "$1"
	END
}

witness_of() # CHAIN NAME
{
	nft list chain inet witness "$1" | grep "\"$2\"" | grep -oE 'packets [0-9]+' | grep -oE '[0-9]+'
}

# witness_read NAME: once nothing moves any more; leaves BEFORE and BEHIND.
witness_read()
{
	wait_until 5 witness_rests "$1" || fail "packets of $1 do not stop"
	BEFORE=$(witness_of before "$1")
	# shellcheck disable=SC2034 # read by stories
	BEHIND=$(witness_of behind "$1")
}

witness_rests()
{
	local former
	former=$(witness_of before "$1")$(witness_of behind "$1")
	for _ in {1..10}; do
		! witness_moved "$1" "$former" || return 1
	done
}

witness_moved() { [ "$(witness_of before "$1")$(witness_of behind "$1")" != "$2" ]; }
witness_end() { nft delete table inet witness; }

# flood_start NAME A ADDRESS PORT RATE: until flood_stop NAME, which leaves SENT.
declare -A FLOOD FLOOD_OUT
flood_start()
{
	background_probe "$2" flood udp "$3" "$4" --rate "$5" --seconds 100
	FLOOD[$1]=$BACKGROUND
	FLOOD_OUT[$1]=$BACKGROUND_OUT
}

flood_stop()
{
	stop_background "${FLOOD[$1]}" "${FLOOD_OUT[$1]}"
	# shellcheck disable=SC2034 # read by stories
	SENT=${LAST#sent }
}

# What a story sees of a flood: watched_start NAME A B ADDRESS PORT RATE, where ADDRESS is B's; watched_stop NAME lost|leaked
# asserts that of the packets that came to moat none was dropped, or none let through.
watched_start()
{
	witness_start "$1" "$4" "$5"
	count_start "$1" "$3" "$4" "$5"
	flood_start "$1" "$2" "$4" "$5" "$6"
	wait_until 5 witness_moved "$1" "00" || fail "the flood $1 does not flow"
}

watched_stop()
{
	flood_stop "$1"
	witness_read "$1"
	count_stop "$1"
	step "$1: $SENT sent, $BEFORE came to moat, $BEHIND passed, $RECEIVED received"
	((BEFORE > 100)) || fail "$1: only $BEFORE packets: this proves nothing"
	if [ "$2" = lost ]; then
		((BEFORE == BEHIND)) || fail "$1: $((BEFORE - BEHIND)) allowed packets lost"
		((RECEIVED > 100)) || fail "$1: $RECEIVED received"
	else
		((BEHIND == 0 && RECEIVED == 0)) || fail "$1: $BEHIND denied packets leaked, $RECEIVED received"
	fi
}

# ---- several connections at once -------------------------------------------------------------------------------------

# all_alive NAME…, all_dead NAME…: as hold_alive and hold_dead, at the price of one.
all_alive()
{
	local name
	local -A before
	for name; do
		before[$name]=$(hold_count "$name")
	done
	for name; do
		wait_until 5 hold_answered "$name" $((before[$name] + 3)) || fail "hold $name is dead: $(tail -n 1 "${HOLD_OUT[$name]}")"
	done
}

any_answered() # NAME COUNT…: leaves who in ANSWERED
{
	while (($# > 0)); do
		ANSWERED=$1
		! hold_answered "$1" "$2" || return 0
		shift 2
	done
	return 1
}

silence_of() # NAME…: for a second
{
	local name
	local -a counts=()
	for name; do
		counts+=("$name" "$(hold_count "$name")")
	done
	! wait_until 1 any_answered "${counts[@]}"
}

all_dead() { silence_of "$@" || silence_of "$@" || fail "hold $ANSWERED is alive: $(tail -n 1 "${HOLD_OUT[$ANSWERED]}") answers"; }

need_conntrack() { command -v conntrack >/dev/null || skip "conntrack is missing: package conntrack"; }

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What reaches whom. A and B are names of pods, `node` or hosts; B may also be an address, then only its family is asked.

probe_in() # NAME MODE…
{
	if [ "$1" = node ]; then
		"$PROBE" "${@:2}"
	else
		"$PROBE" -n "$@"
	fi
}

# The same in the background. (Of a function in the background only the shell around it would be stopped.)
background_probe() # NAME MODE…
{
	if [ "$1" = node ]; then
		background "$PROBE" "${@:2}"
	else
		background "$PROBE" -n "$@"
	fi
}

addresses() # NAME or ADDRESS: one per line
{
	case $1 in
	*[:.]*) echo "$1" ;;
	*) printf '%s\n' ${ADDR4[$1]:-} ${ADDR6[$1]:-} ;;
	esac
}

OUTCOMES=(answered dropped refused unreachable)

# outcome_is WANTED TIMEOUT A B PORT|icmp [udp]: whether the probes to all addresses of B end so; what they did is in GOT.
outcome_is()
{
	local wanted=$1 timeout=$2 from=$3 to=$4 port=$5 proto=${6:-tcp} address code all=0 i
	local -a pids=() asked=()
	for address in $(addresses "$to"); do
		if [ "$port" = icmp ]; then
			probe_in "$from" ping "$address" --timeout "$timeout" >/dev/null &
		else
			probe_in "$from" "$proto" "$address" "$port" --timeout "$timeout" >/dev/null &
		fi
		pids+=($!)
		asked+=("$address")
	done
	((${#pids[@]} > 0)) || fail "$to has no address"
	GOT=""
	for i in "${!pids[@]}"; do
		code=0
		wait "${pids[i]}" || code=$?
		GOT+="${GOT:+, }${asked[i]} ${OUTCOMES[code]:-broken ($code)}"
		[ "${OUTCOMES[code]:-broken}" = "$wanted" ] || all=1
	done
	note "$from -> $to $port ${6:-}: $GOT"
	return $all
}

# A handshake needs no second try on an idle machine; the generous time is for a busy one.
allow() { outcome_is answered 4000 "$@" || fail "allow $*: $GOT"; }
deny() { outcome_is dropped 300 "$@" || fail "deny $*: $GOT"; }
reject() { outcome_is refused 1000 "$@" || fail "reject $*: $GOT"; }
# ICMP admin-prohibited, for what is not TCP.
prohibit() { outcome_is unreachable 1000 "$@" || fail "prohibit $*: $GOT"; }

# allow_all A B, deny_all A B: TCP, UDP and ICMP.
allow_all() { allow "$1" "$2" 80 && allow "$1" "$2" 80 udp && allow "$1" "$2" icmp; }
deny_all() { deny "$1" "$2" 80 && deny "$1" "$2" 80 udp && deny "$1" "$2" icmp; }

# eventually allow|deny …: polls until it holds, for what a daemon does in its own time.
eventually()
{
	local verb=$1 wanted timeout=1000
	shift
	case $verb in
	allow) wanted=answered ;;
	deny) wanted=dropped timeout=300 ;;
	reject) wanted=refused ;;
	*) fail "eventually $verb" ;;
	esac
	wait_until "${EVENTUALLY:-5}" outcome_is "$wanted" "$timeout" "$@" || fail "eventually $verb $*: $GOT"
}

# ---- connections that stay open ---------------------------------------------------------------------------------------

declare -A HOLD HOLD_OUT

# hold_start NAME A tcp|udp ADDRESS PORT [OPTION…]: waits until it is answered once.
hold_start()
{
	local name=$1 from=$2
	shift 2
	background_probe "$from" hold "$@"
	HOLD[$name]=$BACKGROUND
	HOLD_OUT[$name]=$BACKGROUND_OUT
	wait_until 5 hold_answered "$name" 0 || fail "hold $name does not open: $(cat "${HOLD_OUT[$name]}")"
}

hold_count() { grep -cE '^[0-9]+$' "${HOLD_OUT[$1]}" || true; }
hold_answered() { (($(hold_count "$1") > $2)); } # NAME MORE_THAN
hold_silent_for() # NAME TENTHS: nothing came in this time
{
	local before
	before=$(hold_count "$1")
	! wait_until "$2" hold_answered "$1" "$before"
}

# hold_alive NAME [SECONDS]: after a silence TCP needs some to try again
hold_alive()
{
	wait_until "${2:-5}" hold_answered "$1" $(($(hold_count "$1") + 3)) || fail "hold $1 is dead: $(tail -n 1 "${HOLD_OUT[$1]}")"
}

# Two seconds of silence at 20 bytes a second (and TCP's retransmissions) are no accident.
hold_dead()
{
	hold_silent_for "$1" 1 || hold_silent_for "$1" 1 || fail "hold $1 is alive: $(tail -n 1 "${HOLD_OUT[$1]}") answers"
}

hold_stop() { stop_background "${HOLD[$1]}" "${HOLD_OUT[$1]}"; }

# ---- the prober from the first instant ----------------------------------------------------------------------------------

# first_start NAME A ADDRESS PORT…; first_added NAME when ADD has returned; first_stop NAME leaves ATTEMPTS and ANSWERS since.
declare -A FIRST FIRST_OUT
first_start()
{
	local name=$1 from=$2
	shift 2
	background_probe "$from" first "$@"
	FIRST[$name]=$BACKGROUND
	FIRST_OUT[$name]=$BACKGROUND_OUT
	wait_until 5 grep -q ready "$BACKGROUND_OUT" || fail "prober $name does not start: $(cat "$BACKGROUND_OUT")"
}

first_added() { kill -USR1 "${FIRST[$1]}"; }

first_stop()
{
	stop_background "${FIRST[$1]}" "${FIRST_OUT[$1]}"
	read -r _ ATTEMPTS _ ANSWERS <<<"$LAST"
	note "prober $1: $LAST"
}

# ---- one-way packets and their number -----------------------------------------------------------------------------------

# count_start NAME A ADDRESS PORT: A counts what comes there. count_stop NAME: leaves in RECEIVED how many different packets
# of a flood came, in OTHER how many that bear no number.
declare -A COUNT COUNT_OUT
count_start()
{
	local name=$1 at=$2 address=$3 port=$4
	background_probe "$at" count udp "$address" "$port"
	COUNT[$name]=$BACKGROUND
	COUNT_OUT[$name]=$BACKGROUND_OUT
	wait_until 5 grep -q ready "$BACKGROUND_OUT" || fail "count $name does not listen: $(cat "$BACKGROUND_OUT")"
}

count_stop()
{
	stop_background "${COUNT[$1]}" "${COUNT_OUT[$1]}"
	read -r _ RECEIVED _ OTHER <<<"$LAST"
}

# set_has SET TEXT: whether an element of moat's table says so. (grep -q after a pipe would stop nft, and so be false at times.)
set_has() { [[ $(nft list set inet moat "$1" 2>/dev/null || nft list map inet moat "$1" 2>/dev/null) == *"$2"* ]]; }

# packets CHAIN [PATTERN]: what the counters of a chain of moat's tables have seen. (What a bridge carries is lost there already.)
packets()
{
	{
		nft list chain inet moat "$1"
		nft list chain bridge moat "$1" 2>/dev/null || true
	} | grep -E "${2:-.}" | grep -oE 'packets [0-9]+' | awk '{ n += $2 } END { print n + 0 }'
}

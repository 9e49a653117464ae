# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Attacks as data, and the table of what came of them. A file attacks/CLASS.tsv has lines
#
#	what is tried	who	families	arrives without moat	arrives with moat	the packet, as `probe craft` takes it
#
# An end is a place where it arrives: the name of a pod or host (its link) or `node` (its IP, behind its firewall); `-` is nowhere.
# Where primaries differ it is `on ptp / on bridge`. What comes back to the sender, which are answers to it, does not count.
#
# @NAME is an address of the family tried; @NAME.4, @NAME.6, @NAME.mac and @NAME.ll are addresses of a pod or host, @NAME.gateway.ll
# is the link-local address that the node has on its link.

declare -A WORD # what @… stands for, without the @

word() { WORD[$1]=$2; } # NAME VALUE

# word_pair NAME IPV4 IPV6
word_pair()
{
	word "$1.4" "$2"
	word "$1.6" "$3"
}

# Of a pod or host; of a pod also the node's end.
words_of() # NAME
{
	local name=$1
	word_pair "$name" "${ADDR4[$name]}" "${ADDR6[$name]}"
	word "$name.mac" "$(mac_of "$name" eth0)"
	word "$name.ll" "$(in_netns "$name" ip -6 -o addr show dev eth0 scope link | sed 's/.*inet6 \([^/]*\).*/\1/')"
	[[ -z ${PORT[$name]:-} ]] || word "$name.gateway.ll" "$(link_local_of_node "$name")"
}

mac_of() { in_netns "$1" ip -o link show "$2" | sed 's/.*link\/ether \([^ ]*\).*/\1/'; } # NAME LINK

# Once all are known: longer names come first, since @open begins @open.mac.
words_sort()
{
	mapfile -t WORDS < <(printf '%s\n' "${!WORD[@]}" | sed -E 'p; s/\.[46]$//' | awk '!seen[$0]++ { print length, $0 }' |
		sort -rn | cut -d' ' -f2)
}

# words_fill FAMILY TEXT: the result in FILLED
words_fill()
{
	local name key
	FILLED=$2
	for name in "${WORDS[@]}"; do
		[[ $FILLED == *@* ]] || return 0
		key=$name
		[[ -n ${WORD[$key]+is} ]] || key=$name.$1
		FILLED=${FILLED//@$name/${WORD[$key]-}}
	done
	[[ $FILLED != *@* ]] || fail "no such name: $FILLED"
}

declare -A GATEWAY # of who has sent yet
# The MAC at the other end of a pod's or host's link, as its default route has it.
gateway_mac() # NAME
{
	local name=$1 via
	via=$(in_netns "$name" ip -4 route show default | sed 's/default via \([^ ]*\).*/\1/')
	in_netns "$name" ip neigh show "$via" dev eth0 | sed 's/.*lladdr \([^ ]*\).*/\1/'
}

# ---- the stage ---------------------------------------------------------------------------------------------------------------

# quiet NAME…: neighbours are resolved from here on, and only the node still answers with errors and resets.
quiet()
{
	local name
	for name; do
		allow node "$name" icmp
	done
	for name; do
		in_netns "$name" nft -f - <<-END
			table inet quiet {
				chain out {
					type filter hook output priority 0
					icmp type { destination-unreachable, time-exceeded, parameter-problem, echo-reply } drop
					icmpv6 type { destination-unreachable, time-exceeded, parameter-problem, echo-reply } drop
					tcp flags rst drop
				}
			}
		END
	done
}

unquiet()
{
	local name
	for name; do
		in_netns "$name" nft delete table inet quiet
	done
}

# stage_words NAME…: of all pods and hosts, and of the node.
stage_words()
{
	local name
	WORD=()
	GATEWAY=()
	for name; do
		words_of "$name"
	done
	word_pair node 192.168.50.1 fd00:50::1
	word_pair gateway 10.1.0.1 fd00:1::1
	word_pair nobody 10.1.0.200 fd00:1::200
	word node.mac "$(gateway_mac mallory)"
	word_pair error "icmp4 type=3 code=1" "icmp6 type=1"
	word_pair exceeded "icmp4 type=11" "icmp6 type=3"
	word_pair toobig "icmp4 type=3 code=4 rest=1300" "icmp6 type=2 rest=1300"
	word_pair reply "icmp4 type=0" "icmp6 type=129"
}

# ---- attempts ----------------------------------------------------------------------------------------------------------------
#
# Every attempt is made twice: without moat, which proves that it would come through (the control), and with moat. PASS is `without` or
# `with`. The number of an attempt is the token of its packets.

PASS=without
TRIED=0
declare -a TRIED_CLASS TRIED_WHAT TRIED_FROM TRIED_FAMILY TRIED_WITHOUT TRIED_WITH SENT CAME_WITHOUT CAME_WITH

pass_start() # without|with
{
	PASS=$1
	TRIED=0 ROUND=4000
	step "$PASS moat"
}

# attempt CLASS WHO WHAT FAMILY WITHOUT WITH: the next number; what came of it is told by `came` or by capture_stop.
attempt()
{
	TRIED=$((TRIED + 1))
	TRIED_CLASS[TRIED]=$1 TRIED_FROM[TRIED]=$2 TRIED_WHAT[TRIED]=$3 TRIED_FAMILY[TRIED]=$4
	TRIED_WITHOUT[TRIED]=$(of_primary "$5") TRIED_WITH[TRIED]=$(of_primary "$6")
}

of_primary() # ENDS
{
	if [ "$PRIMARY" = bridge ]; then echo "${1##* / }"; else echo "${1%% / *}"; fi
}

came() # NUMBER ENDS
{
	if [ "$PASS" = without ]; then CAME_WITHOUT[$1]=$2; else CAME_WITH[$1]=$2; fi
}

# Something that is not a packet's arrival: observe CLASS WHO WHAT FAMILY WITHOUT WITH CAME
observe()
{
	attempt "${@:1:6}"
	came $TRIED "$7"
}

# Those of a file: attacks_read FILE [CLASS]; attacks_send sends what was read and waits until it has arrived, or will not.
ROUND=4000
declare -A SENDER_AT SENDER_DEV # where a sender is and by which link it sends, if not by eth0 of its own
attacks_read()
{
	local class=${2:-$1} what from families without with packet family
	while IFS=$'\t' read -r what from families without with packet; do
		[[ -n $what && $what != \#* ]] || continue
		for family in 4 6; do
			[[ $families == *$family* ]] || continue
			attempt "$class" "$from" "$what" $family "$without" "$with"
			words_fill $family "$packet"
			SENT[TRIED]=$PASS
			echo "$TRIED $FILLED" >>"$T/attacks.$from"
		done
	done <"$HERE/attacks/$1.tsv"
}

attacks_send()
{
	local file from
	for file in "$T"/attacks.*; do
		from=${file##*.}
		# what may always be said to the node comes behind all the rest: a neighbour solicitation
		ROUND=$((ROUND + 1))
		words_fill 6 "eth / ip src=@$from dst=@gateway hops=255 / nd target=@gateway / token nd"
		echo "$ROUND $FILLED" >>"$file"
		probe_in "${SENDER_AT[$from]:-$from}" craft --dev "${SENDER_DEV[$from]:-eth0}" \
			--gateway "${GATEWAY[$from]:=$(gateway_mac "$from")}" --lines <"$file"
		wait_until "${PATIENCE:-5}" grep -qx "arrived $ROUND" "$CAPTURE_OUT" || [ -n "${PATIENCE:-}" ] ||
			fail "what $from sends does not come to an end"
		rm "$file"
	done
}

# capture_start FIRST NAME…: at their links, and at the node's IP; capture_stop says what came of the attempts from number FIRST on.
capture_start()
{
	local name ends=()
	CAPTURE_FROM=$1
	shift
	for name; do
		ends+=("$name=/run/netns/$name")
	done
	background "$PROBE" capture "${ends[@]}" "node:/proc/$$/ns/net"
	CAPTURE=$BACKGROUND CAPTURE_OUT=$BACKGROUND_OUT
	wait_until 5 grep -q ready "$CAPTURE_OUT" || fail "capture does not start: $(cat "$CAPTURE_OUT")"
}

capture_stop()
{
	local token end i
	local -A arrived=()
	kill -TERM "$CAPTURE"
	wait "$CAPTURE" || fail "capture: $(cat "$CAPTURE_OUT")"
	while read -r token end _; do
		[[ $token != [0-9]* || $end = "${TRIED_FROM[token]:-}" ]] || arrived[$token]+=${arrived[$token]:+,}$end
	done <"$CAPTURE_OUT"
	for ((i = CAPTURE_FROM; i <= TRIED; i++)); do
		[ "${SENT[i]:-}" != "$PASS" ] || came $i "${arrived[$i]--}"
	done
}

# ---- the table -----------------------------------------------------------------------------------------------------------

# Whether the control shows what it must: each end that is expected without moat. More may hear of it, by errors and floods.
control_holds() # EXPECTED CAME
{
	local end
	for end in ${1//,/ }; do
		[[ $end = - || ,$2, == *,$end,* ]] || return 1
	done
}

# One row per attempt; fails if one came out otherwise than it must, or would not have come through without moat either.
# ATTACK_TABLE, if set, is a file that gets the rows of all stories.
attempts_judge()
{
	local i ok row wrong=0 format='%-10s %-8s %-62s %-6s %-4s %-18s %-18s %-18s %s\n'
	((TRIED > 0)) || fail "nothing was tried"
	# shellcheck disable=SC2059 # a format of ours
	printf "$format" class who attempt on IP "without moat" "must arrive" arrived ""
	for ((i = 1; i <= TRIED; i++)); do
		ok=ok
		control_holds "${TRIED_WITHOUT[i]}" "${CAME_WITHOUT[i]--}" || ok="WRONG: without moat it must be ${TRIED_WITHOUT[i]}"
		[ "${CAME_WITH[i]--}" = "${TRIED_WITH[i]}" ] || ok=WRONG
		[ "$ok" = ok ] || wrong=$((wrong + 1))
		# shellcheck disable=SC2059
		printf -v row "$format" "${TRIED_CLASS[i]}" "${TRIED_FROM[i]}" "${TRIED_WHAT[i]}" "$PRIMARY" "${TRIED_FAMILY[i]}" \
			"${CAME_WITHOUT[i]--}" "${TRIED_WITH[i]}" "${CAME_WITH[i]--}" "$ok"
		printf '%s' "$row"
		[ -z "${ATTACK_TABLE:-}" ] || printf '%s' "$row" >>"$ATTACK_TABLE"
	done
	step "$TRIED attempts, $wrong wrong"
	((wrong == 0)) || fail "$wrong of $TRIED attempts came out wrong"
}

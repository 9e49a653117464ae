#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job, step by step, on real input: `make demo`.
#
# A node, its pods and the hosts around it are network namespaces inside a user namespace of the demo's own, with a fresh
# /run: no root is needed, and nothing of this machine's firewall or interfaces is touched. The pods are connected by the real
# CNI plugins bridge (or ptp) and host-local, then moat, through a conflist, as a container runtime does it.
#
#     office            branch            backup          hosts on the wire
#     172.17.0.2        172.17.1.2        10.0.0.2
#       |                 |                 |
#     wire0             wire1             wire2           the node: this script's own namespace, where moat's table lives
#     cni0, a plain bridge 10.1.0.1, fd00:1::1
#       | veth…     | veth…      | veth…     | veth…      | veth…
#      db        frontend      batch      worker      stranger       10.1.0.0/24, fd00:1::/64
#
# Every flow is tried with real packets at every stage, and what is seen is compared with what the policies say. Exit status: 0 if
# each expectation was met.
# Environment: PRIMARY, bridge (the default) or ptp; NO_COLOR, for no colours on a terminal; BUILD and CNI_PLUGINS as in
# netns-tests/lib.sh.

PATH=$PATH:/usr/sbin:/sbin # a user's own often lacks nft's place
DEMO=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${MOAT_STORY:-}" ] && ! unshare -Urnm --map-root-user true; then
	echo "demo: user namespaces are needed (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces), or root" >&2
	exit 1
fi
export PRIMARY=${PRIMARY:-bridge}
# The tools of the namespace stories: from here on this runs in namespaces of its own.
# shellcheck source=SCRIPTDIR/../netns-tests/lib.sh
. "$DEMO/../netns-tests/lib.sh"

STARTED=$SECONDS
# shellcheck disable=SC2034 # read by conflist_write
NETWORK=demo
CLIENTS=(frontend batch worker stranger)
PODS=(db "${CLIENTS[@]}")
WAIT=1000 # ms without an answer that count as denied: long enough for a second SYN
expectations=0
failures=0

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' cyan=$'\e[36m' plain=$'\e[0m'
else
	bold="" dim="" red="" green="" cyan="" plain=""
fi

# ---- what the reader sees ---------------------------------------------------------------------------------------------

number=0
title() { printf '\n%s%d. %s%s\n' "$bold" $((number += 1)) "$*" "$plain"; }
say() { local line; for line; do printf '%s\n' "${line:+   $line}"; done; }
command_line() { printf '   %s$ %s%s\n' "$cyan" "$*" "$plain"; }
show() { sed 's/^/     /'; }

verdict()
{
	local took=$((SECONDS - STARTED))
	if ((failures == 0)); then
		printf '\n%s%sPASSED%s: all %d expectations met, in %d s\n' "$bold" "$green" "$plain" $expectations $took
	else
		printf '\n%s%sFAILED%s: %d of %d expectations not met\n' "$bold" "$red" "$plain" $failures $expectations
		exit 1
	fi
}

# What lib.sh's functions call when something is not as it must be for the demo to go on.
fail()
{
	trap - ERR
	printf '\n%s%sFAILED%s: %s\n' "$bold" "$red" "$plain" "$*"
	if [ -s "$DAEMON_LOG" ]; then
		printf 'The last lines of moat-policyd:\n'
		tail -n 5 "$DAEMON_LOG"
	fi
	exit 1
}

step() { :; }

# expect WHAT COMMAND…: one line for an expectation that is no flow.
expect()
{
	local what=$1 mark="${green}ok$plain"
	shift
	expectations=$((expectations + 1))
	if ! "$@"; then
		failures=$((failures + 1))
		mark="$bold${red}WRONG$plain"
	fi
	printf '   %-68s %s\n' "$what" "$mark"
}

# ---- flows ------------------------------------------------------------------------------------------------------------

# FROM TO PROTOCOL PORT | who may: stages in which it is open | why, for the reader.
# Stages: a no policy, b test-network-policy, c with the clients' egress, d test-network-policy deleted.
FLOWS=(
	"office   db       tcp 6379 | bc   | in 172.17.0.0/16"
	"branch   db       tcp 6379 |      | in the except, 172.17.1.0/24"
	"frontend db       tcp 6379 | c    | role=frontend"
	"worker   db       tcp 6379 | c    | namespace project=myproject"
	"batch    db       tcp 6379 |      | role=batch: not selected"
	"stranger db       tcp 6379 |      | role=frontend, but of another namespace"
	"frontend db       tcp 5978 |      | not that port"
	"frontend db       udp 6379 |      | not that protocol"
	"frontend db       icmp -   |      | nor ping"
	"db       backup   tcp 5978 | bc   | egress to 10.0.0.0/24"
	"db       backup   tcp 6379 |      | not that port"
	"db       office   tcp 5978 |      | not that block: only replies go there"
	"db       frontend tcp 6379 |      | a policy opens one way"
	"frontend backup   tcp 5978 |      | not the client's policy"
	"office   frontend tcp 6379 |      | selected for egress only"
	"frontend node     tcp 6379 |      | the pod's own node"
	"node     db       tcp 6379 | abcd | probes of the kubelet"
	"node     frontend tcp 6379 | abcd | probes of the kubelet"
)

# The addresses of TO that FROM is asked to reach: both families between pods and node, IPv4 where a host is on the wire.
targets()
{
	case "$1 $2" in
	*office* | *branch* | *backup*) echo "${ADDR4[$2]}" ;;
	*) printf '%s\n' "${ADDR4[$2]}" "${ADDR6[$2]}" ;;
	esac
}

# flow_try FROM TO PROTOCOL PORT: prints open, denied, or what else came, for all addresses together.
flow_try()
{
	local from=$1 to=$2 protocol=$3 port=$4 address code pid
	local -a pids=()
	local -A seen=()
	for address in $(targets "$from" "$to"); do
		if [ "$protocol" = icmp ]; then
			probe_in "$from" ping "$address" --timeout $WAIT >/dev/null &
		else
			probe_in "$from" "$protocol" "$address" "$port" --timeout $WAIT >/dev/null &
		fi
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		code=0
		wait "$pid" || code=$?
		case $code in
		0) seen[open]=1 ;;
		1) seen[denied]=1 ;;
		*) seen[${OUTCOMES[code]:-broken}]=1 ;;
		esac
	done
	echo "${!seen[@]}"
}

# flows STAGE [brief]: tries all at once and prints the table, + before what is open since the last one. brief: only what is
# open or wrong, and the totals.
BEFORE=()
flows()
{
	local stage=$1 brief=${2:-} i key stages why from to protocol port expected seen colour mark news opened=0 denied=0
	local -a pids=()
	for i in "${!FLOWS[@]}"; do
		IFS='|' read -r key stages why <<<"${FLOWS[i]}"
		# shellcheck disable=SC2086 # four words
		flow_try $key >"$T/flow.$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	printf '\n   %s%-9s %-9s %-9s %-9s%-9s%-7s%s%s\n' "$bold" from to port expected seen "" because "$plain"
	for i in "${!FLOWS[@]}"; do
		IFS='|' read -r key stages why <<<"${FLOWS[i]}"
		read -r from to protocol port <<<"$key"
		expected=denied
		[[ $stages != *$stage* ]] || expected=open
		seen=$(<"$T/flow.$i")
		expectations=$((expectations + 1))
		mark=ok colour=$dim news=" "
		[ "$seen" != open ] || { opened=$((opened + 1)) colour=$green; }
		[ "$seen" != denied ] || denied=$((denied + 1))
		[ "$seen" != open ] || [ "${BEFORE[i]:-open}" = open ] || news=+
		BEFORE[i]=$seen
		if [ "$seen" != $expected ]; then
			failures=$((failures + 1))
			mark=WRONG colour=$bold$red
		fi
		[ -z "$brief" ] || [ $mark = WRONG ] || [ $expected = open ] || continue
		[ "$port" = - ] || protocol+=/$port
		[ "$stage ${stages// /}" != "b c" ] || why+="; but its own egress is closed"
		printf ' %s %-9s %-9s %-9s %s%-9s%-9s%-7s%s%s\n' "$news" "$from" "$to" "$protocol" "$colour" $expected "$seen" $mark "$plain" "${why# }"
	done
	printf '   %d flows tried: %d open, %d denied\n' ${#FLOWS[@]} $opened $denied
}

# ---- policies -----------------------------------------------------------------------------------------------------------

status_number() { "$BUILD/moatctl" status --json | grep -oE "\"$1\": *[0-9]+" | grep -oE '[0-9]+'; } # KEY
# The daemon answers nobody between reading a file and having it in the kernel: the number of objects says that both are done.
objects_differ() { (($(status_number objects) != $1)); }
revocation_done() { "$BUILD/moatctl" status --json | grep -qE '"revoking": *false'; }
took() { awk "BEGIN { printf \"%.1f ms\", $(status_number lastMicroseconds) / 1000 }"; }

# policy_apply NAME: the file of the demo, renamed into the directory that the daemon follows.
policy_apply()
{
	local before
	before=$(status_number objects)
	command_line "cp demo/$1.yaml $MANIFESTS/"
	manifest "$1" <"$DEMO/$1.yaml"
	wait_until 5 objects_differ "$before" || fail "moat-policyd takes no notice of $1.yaml"
	say "in the kernel $(took) after it was read"
}

policy_delete() # NAME
{
	local before
	before=$(status_number objects)
	command_line "rm $MANIFESTS/$1.yaml"
	manifest_remove "$1"
	wait_until 5 objects_differ "$before" || fail "moat-policyd takes no notice that $1.yaml is gone"
	wait_until 5 revocation_done || fail "moat-policyd still looks for connections to cut"
	say "in the kernel $(took) after that; tracked connections cut: $(status_number connectionsRevoked)"
}

# ---- connections that stay open -----------------------------------------------------------------------------------------

HELD=() # names
hold() # FROM TO PORT
{
	local name="$1 -> $2 tcp/$3"
	hold_start "$name" "$1" tcp "${ADDR4[$2]}" "$3"
	HELD+=("$name")
}

answered_since() { (($(hold_count "$1") > $2)); } # NAME COUNT
all_answer() # COUNT…, in the order of HELD
{
	local name
	for name in "${HELD[@]}"; do
		answered_since "$name" "$1" || return 1
		shift
	done
}

counts() { local name; for name in "${HELD[@]}"; do hold_count "$name"; done; }
silent() { [ "$1" = "$2" ]; }

# ---- the demo -----------------------------------------------------------------------------------------------------------

declare -A LABELS=([db]=role=db [frontend]=role=frontend [batch]=role=batch [worker]=role=worker [stranger]=role=frontend)
declare -A SPACE=([db]=default [frontend]=default [batch]=default [worker]=myproject [stranger]=elsewhere)

node_make()
{
	ip link set lo up
	sysctls_dad
	sysctls ipv4/ip_forward=1 ipv6/conf/all/forwarding=1
	host_add office wire0 172.17.0. fd00:a0::
	host_add branch wire1 172.17.1. fd00:a1::
	host_add backup wire2 10.0.0. fd00:b0::
	# shellcheck disable=SC2154 # a key, not a variable
	ADDR4[node]=10.0.0.1
	ADDR6[node]=fd00:b0::1
	local host
	for host in office branch backup node; do listen $host 6379 5978; done
	conflist_write '{ "type": "moat", "mode": "strict" }'
}

pods_make()
{
	local pod
	for pod in "${PODS[@]}"; do
		pod_make "$pod" --ns "${SPACE[$pod]}"
		listen "$pod" 6379 5978 # before there is a network: what answers later was there from the first instant
		pod_connect "$pod" || fail "CNI ADD of $pod"
		# shellcheck disable=SC2153 # of lib/pods.sh
		printf '   ADD %-19s %-14s %-10s %-11s on %s\n' "${SPACE[$pod]}/$pod" "${LABELS[$pod]}" "${ADDR4[$pod]}" "${ADDR6[$pod]}" "${PORT[$pod]}"
	done
}

objects_write()
{
	local pod
	manifest namespaces <"$DEMO/namespaces.yaml"
	for pod in "${PODS[@]}"; do manifest_pod "$pod" "${LABELS[$pod]}"; done
}

printf '%smoat: every pod is closed until a NetworkPolicy opens it%s\n' "$bold" "$plain"
# shellcheck disable=SC2153 # of lib/primary.sh
case $PRIMARY in
bridge) links="ports of the bridge cni0, made by the CNI plugin bridge" ;;
ptp) links="links made by the CNI plugin ptp" ;;
esac
cat <<END

    office        branch        backup       hosts on the wire
    172.17.0.2    172.17.1.2    10.0.0.2
       |             |             |
    +--+-------------+-------------+---+
    |              node                |     moat's nftables table stands here
    +--+-------+-------+-------+-----+-+
       |       |       |       |     |       $links
       db   frontend  batch  worker stranger
       \`---- default ----'      |     \`----- namespace elsewhere
                                \`----------- namespace myproject, project=myproject
END

title "A pod is closed before its first instruction runs"
node_make
say "The conflist chains moat to $PRIMARY and host-local; moat-policyd does not run yet, and need not:"
command_line "cat $CONFLIST"
show <"$CONFLIST"
pods_make
flows a brief

title "Somebody knows the policies: moat-policyd. There are none, so nothing changes"
objects_write
command_line "moat-policyd run --manifests $MANIFESTS &"
daemon_start
command_line "moatctl status"
"$BUILD/moatctl" status >$T/status
grep -E '^[a-z]' $T/status | show
grep -A 1 'default/db' $T/status | show
say "  ..."
expect "db is known, and still closed both ways" \
	grep -qE 'mode strict, confirmed; ingress: closed; egress: closed' <(grep -A 1 'default/db' $T/status)

title "The test-network-policy of the Kubernetes documentation"
sed -n '/^spec:/,$p' "$DEMO/test-network-policy.yaml" | show
policy_apply test-network-policy
flows b

title "Both ends must allow. Why can role=frontend not reach db yet?"
command_line "moatctl explain default/frontend default/db tcp/6379"
code=0
"$BUILD/moatctl" explain default/frontend default/db tcp/6379 >$T/explain || code=$?
show <$T/explain
expect "explain says: denied, by the egress of frontend alone" \
	test "$code $(grep -cE 'egress +of default/frontend .*: denied' $T/explain) $(grep -cE 'ingress +of default/db .*: allowed' $T/explain)" = "1 1 1"

title "An egress policy for the clients: exactly the intended flows open"
say "demo/clients-egress.yaml: in each of the three namespaces, the clients may reach pods role=db of default"
policy_apply clients-egress
flows c
say "" "Four connections stay open from now on:"
hold office db 6379
hold frontend db 6379
hold worker db 6379
hold db backup 5978
wait_until 5 all_answer 4 4 4 4 || true
for name in "${HELD[@]}"; do
	expect "$name: answers, and goes on answering" answered_since "$name" 4
done

title "The policy is deleted: its flows are dead again, open connections included"
policy_delete test-network-policy
sleep 0.2 # what was on its way
mapfile -t before < <(counts)
flows d brief
mapfile -t after < <(counts)
say ""
for i in "${!HELD[@]}"; do
	expect "${HELD[i]}: ${before[i]} answers, then silence" silent "${before[i]}" "${after[i]}"
done

title "The pods go, and nothing of them stays"
finish # DEL of each, then asserts
expect "no chain, no element, no state file, no link is left" is_clean
verdict

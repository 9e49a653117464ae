#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is stopped while it holds the lock, and fifty pods start meanwhile, under the leak counter: each is closed when its ADD returns,
# none waits for ever, nobody else notices. When it wakes, it opens nothing that policy does not.
#
#   client, db, other, ext, node as on top of lib/leak.sh
#   many: fifty interfaces, 10.1.0.151 … 200, of fifty containers; client and ext flood them all
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

PODS=50
LEAK_RATE=10

churn() # NUMBER
{
	policy churn default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: nobody-$1 } } } ], ports: [ { port: $((6000 + $1 % 1000)), endPort: $((7000 + $1 % 1000)) } ] } ]"
}

# The daemon has the lock for a part of each change only: it is stopped at random moments until it has it.
stop_inside_the_lock()
{
	local i
	for ((i = 1; i <= 2000; i++)); do
		churn $i
		leak_sleep "0.00$((RANDOM % 10))"
		daemon_pause
		! flock -n /run/moat/lock true || { daemon_resume; continue; }
		step "stopped inside the lock at attempt $i"
		return
	done
	fail "the daemon was never met inside the lock"
}

link_many() # NUMBER: like link_make, in one namespace for all
{
	local port=port-m$1 node
	node="link add $port type veth peer name eth$1 netns many"$'\n'
	if [ "$PRIMARY" = bridge ]; then
		node+="link set $port master $BRIDGE"$'\n'"link set $port up"
	else
		node+="addr add 10.1.0.1/32 dev $port"$'\n'"link set $port up"$'\n'
		node+="route add 10.1.0.$((150 + $1)) dev $port"$'\n'"route add fd00:1::$((150 + $1)) dev $port"
	fi
	ip -batch - <<<"$node"
	ip -n many -batch - <<-END
	link set eth$1 up
	addr add 10.1.0.$((150 + $1))/32 dev eth$1
	addr add fd00:1::$((150 + $1))/128 dev eth$1
	END
}

many_plugin() # VERB NUMBER
{
	local verb=$1 number=$2 result
	CONTAINER[many]=many-$number
	result=$(prev_result many "10.1.0.$((150 + number))/32" "fd00:1::$((150 + number))/128")
	result=${result//port-many/port-m$number}
	plugin_works "$verb" many "$(config prevResult "${result//eth0/eth$number}")" "CNI_IFNAME=eth$number" >"$T/many.$number" 2>&1
}

add_many() # NUMBER
{
	many_plugin ADD "$1" || return
	leak_set deny "*>many/*:$((5000 + $1))"
}

leak_field
netns_add many
[ "$PRIMARY" != bridge ] || bridge_make
for ((i = 1; i <= PODS; i++)); do
	link_many $i
	ADDR4[many]=10.1.0.$((150 + i))
	ADDR6[many]=fd00:1::$((150 + i))
	leak_path ext many either "syn udp" $((5000 + i))
	leak_path client many either udp $((5000 + i))
done
leak_start
stop_inside_the_lock

step "$PODS ADDs at once"
start=${EPOCHREALTIME/./}
adders=()
for ((i = 1; i <= PODS; i++)); do
	add_many $i &
	adders+=($!)
done
for i in "${!adders[@]}"; do
	wait "${adders[i]}" || fail "ADD $((i + 1)): $(cat "$T/many.$((i + 1))")"
done
step "all have returned after $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
! flock -n /run/moat/lock true || fail "the lock was not held meanwhile"
leak_sleep 0.3
daemon_resume
settled 20
leak_sleep 0.3

step "and go"
for ((i = 1; i <= PODS; i++)); do
	many_plugin DEL $i || fail "DEL $i: $(cat "$T/many.$i")"
done
unset 'CONTAINER[many]' 'ADDR4[many]' 'ADDR6[many]'
leak_stop
ip netns del many
finish

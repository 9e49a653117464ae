#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two plugins and the daemon write at once, and a stranger commits more than a hundred transactions a second to a table of its own, under
# the leak counter: whoever comes between whom, nothing leaks and nothing that is allowed is lost.
#
#   client, db, other, ext, node as on top of lib/leak.sh; w1 and w2 come and go at the same time, closed
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

LEAK_SECONDS=${LEAK_SECONDS:-4}
LEAK_RATE=15 # each makes an entry of connection tracking, through which every ADD and DEL walks

# writer NAME NUMBER: its pod comes and goes until the file `done` is there; counts into a file.
writer()
{
	local name=$1 life=0 result
	result=$(prev_result "$name" "10.1.0.$2/32" "fd00:1::$2/128")
	link_make "$name" "10.1.0.$2/32" "fd00:1::$2/128"
	until [ -e $T/done ]; do
		life=$((life + 1))
		CONTAINER[$name]=$name-$life
		plugin_works ADD "$name" "$(config prevResult "$result")"
		((life > 1)) || leak_set deny "*>$name/*" "$name>*" # from its first ADD on until its link is gone
		plugin_works CHECK "$name" "$(config prevResult "$result")"
		plugin_works DEL "$name" "$(config)"
	done
	echo $life >"$T/$name.lives"
}

# One process, one line per transaction: nft -i commits each.
stranger()
{
	echo 'add table inet stranger'
	echo 'add set inet stranger s { type ipv4_addr; }'
	echo 'add chain inet stranger c { type filter hook forward priority 5; }'
	until [ -e $T/done ]; do
		for verb in add delete; do
			echo "$verb element inet stranger s { 198.18.0.1 }"
			leak_sleep 0.004
		done
		echo commits >>$T/commits
	done
	echo 'delete table inet stranger'
	echo quit
}

churn() # NUMBER: chains of db and of its groups, none of them anybody's
{
	policy churn default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: nobody-$1 } } }, { ipBlock: { cidr: 10.$(($1 % 200)).0.0/16 } } ], ports: [ { port: $((6000 + $1)), endPort: $((6100 + $1)) } ] } ]"
}

leak_field
for pod in "w1 61" "w2 62"; do
	read -r name number <<<"$pod"
	netns_add "$name"
	ADDR4[$name]=10.1.0.$number
	ADDR6[$name]=fd00:1::$number
	leak_path ext "$name" either "$KINDS" 5000
	leak_path client "$name" either "syn udp" 5000
	leak_path "$name" db either "$KINDS" 5000
	leak_path "$name" node either "syn udp echo" 5000
done
leak_start

step "$LEAK_SECONDS seconds"
writer w1 61 &
first=$!
writer w2 62 &
second=$!
(stranger | nft -i >$T/stranger.out 2>&1) &
third=$!
PIDS+=("$first" "$second" "$third")
commits() { wc -l <$T/commits; } # each is two
start=${EPOCHREALTIME/./}
busy_until() { ((${EPOCHREALTIME/./} - start > $1 * 1000000)); } # SECONDS
: >$T/commits
i=0
until busy_until $LEAK_SECONDS && (($(commits) > 50 * LEAK_SECONDS)) || busy_until $((5 * LEAK_SECONDS)); do
	i=$((i + 1))
	churn $((i % 3000))
	leak_sleep 0.02
done
seconds=$(((${EPOCHREALTIME/./} - start) / 1000000))
touch $T/done
wait $first || fail "the first writer failed"
wait $second || fail "the second writer failed"
wait $third || fail "the stranger failed: $(tail -n 3 $T/stranger.out)"
settled 20
lives=$(($(cat $T/w1.lives) + $(cat $T/w2.lives)))
step "$lives pods came and went, $i changes of policy, $(($(commits) * 2 / seconds)) transactions a second of the stranger's"
((lives > 4 && $(commits) > 50 * LEAK_SECONDS)) || fail "that was too little"
allow client db 80
deny other db 80
leak_stop
for name in w1 w2; do
	run ip link del "port-$name"
	unset "ADDR4[$name]" "ADDR6[$name]"
done
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Revocation under a flood: both ends of every connection send all the time, while policies take the connection away and give
# it back, again and again. What a change does not concern loses nothing. What it does concern is silent BOUND seconds after the
# daemon has told of the change, in both directions, has no entry any more, and over TCP stays dead when the policy comes back.
# The packets are counted (lib/leak.sh); those of TCP are mid-stream, so that nothing but the rules stops them.
#
#	5000  client ==> db                       5300  db ==> client
#	5100  client ==> 10.96.0.10, fd00:96::10, a Service of db
#	5200  ext ==> db                          5900  client ==> db, allowed all the time
#	5400  client ==> ext, masqueraded         tcp 81 likewise, with real data
#
# Each is a port (and each round one more): tcp, udp and echo requests there in both families, and answers to 20000 more.
# REVOKE_ROUNDS of all changes.
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

REVOKE_ROUNDS=${REVOKE_ROUNDS:-1}
LEAK_RATE=${REVOKE_RATE:-100}
BOUND=0.1 # the second look, and what was under way
DIRECT=5000 SERVICE=5100 FROM_EXT=5200 BACK=5300 MASQUERADED=5400 KEPT=5900
ANSWERS=20000
ENDPOINT_PORT=5800

ANYTHING='[ {} ]'
KEPT_ONLY='[ { ports: [ { port: 5900 }, { port: 5900, protocol: UDP }, { port: 81 } ] } ]'
KEPT_FROM="{ from: [ { podSelector: { matchLabels: { pod: client } } } ], ports: [ { port: 5900 }, { port: 5900, protocol: UDP }, { port: 81 } ] }"
BY_ROLE="{ from: [ { podSelector: { matchLabels: { role: client } } } ] }, { from: [ { ipBlock: { cidr: 192.168.50.0/24 } }, { ipBlock: { cidr: 'fd00:50::/64' } } ] }"
client_may() { policy client default "podSelector: { matchLabels: { pod: client } }, policyTypes: [ Ingress, Egress ], ingress: $1, egress: $2"; }
db_may() { policy db default "podSelector: { matchLabels: { pod: db } }, policyTypes: [ Ingress, Egress ], ingress: $1, egress: $2"; }
all_open()
{
	client_may "$ANYTHING" "$ANYTHING"
	db_may "[ $KEPT_FROM, $BY_ROLE ]" "$ANYTHING"
	manifest_pod client role=client
}

service() # FAMILY CLUSTER_IP ENDPOINT CLIENT EXT
{
	nft -f - <<-END
	table $1 kube_proxy {
		chain prerouting {
			type nat hook prerouting priority dstnat
			$1 daddr $2 meta l4proto { tcp, udp } dnat to $3:$ENDPOINT_PORT
		}
		chain postrouting {
			type nat hook postrouting priority srcnat
			$1 saddr $4 $1 daddr $5 masquerade
		}
	}
	END
}

# The raw packets belong to no socket: their kernels shall not say so.
keep_quiet() # NAME…
{
	local name
	for name; do
		in_netns "$name" nft -f - <<-END
		table inet quiet {
			chain out { type filter hook output priority 0; tcp flags rst tcp sport >= 5000 drop; icmp type destination-unreachable drop; icmpv6 type destination-unreachable drop; }
		}
		END
	done
}

# What `forward` and `answers` make paths of: kind, source, target, port, source's port, where it really arrives.
line() { echo "$1 $2 $3 $4 $5 $6 $LEAK_RATE allow sport=$7 real=$8"; } # FROM TO KIND SOURCE TARGET PORT SPORT REAL
LINES=""
flow() # PART FROM TO PORT TARGET4 TARGET6 ANSWER_PORT ANSWERED4 ANSWERED6
{
	local part=$1 from=$2 to=$3 port=$4 family kind
	local -a target=("$5" "$6") answered=("$8" "$9")
	for family in 4 6; do
		declare -n address=ADDR$family
		local i=$((family / 2 - 2))
		((i == 0)) || i=1
		for kind in ack udp; do
			if [ "$part" = forward ]; then
				line "$from" "$to" $kind "${address[$from]}" "${target[i]}" "$port" $((ANSWERS + port)) "${address[$to]}"
			else
				line "$to" "$from" $kind "${address[$to]}" "${answered[i]}" $((ANSWERS + port)) "$7" "${address[$from]}"
			fi
		done
		[ "$part" = answers ] || ((port / 100 == SERVICE / 100)) ||
			echo "$from $to echo ${address[$from]} ${target[i]} $port $LEAK_RATE allow steady"
	done
}

flows() # PART ROUND
{
	local r=$2
	local -a client=("${ADDR4[client]}" "${ADDR6[client]}") db=("${ADDR4[db]}" "${ADDR6[db]}") ext=("${ADDR4[ext]}" "${ADDR6[ext]}")
	{
		flow "$1" client db $((DIRECT + r)) "${db[@]}" $((DIRECT + r)) "${client[@]}"
		flow "$1" client db $((SERVICE + r)) 10.96.0.10 fd00:96::10 $ENDPOINT_PORT "${client[@]}"
		flow "$1" ext db $((FROM_EXT + r)) "${db[@]}" $((FROM_EXT + r)) "${ext[@]}"
		flow "$1" db client $((BACK + r)) "${client[@]}" $((BACK + r)) "${db[@]}"
		flow "$1" client ext $((MASQUERADED + r)) "${ext[@]}" $((MASQUERADED + r)) "${ADDR4[node]}" "${ADDR6[node]}"
	} | "$PROBE" leak-paths "$LEDGER"
}

patterns() # KIND PORT…: of both directions, in PATTERNS
{
	local kind=$1 port
	PATTERNS=()
	shift
	for port; do
		PATTERNS+=("*/$kind:$port" "*/$kind:$((ANSWERS + port))")
	done
}

# Those of who is masqueraded have the node for who asked: what answers once its entry is gone speaks to the node itself.
entries() # PORT…: tracked connections of these flows, in $T/entries
{
	local port words=""
	for port; do
		words+="${words:+|}sport=$((ANSWERS + port)) "
	done
	local peers="${ADDR4[ext]}|${ADDR6[ext]}" nodes="${ADDR4[node]}|${ADDR6[node]}"
	{ conntrack -L -f ipv4 && conntrack -L -f ipv6; } 2>/dev/null | grep -E "$words" |
		grep -vE "^[^=]+src=($peers) dst=($nodes) " >$T/entries || true
}

# round "WHAT" "CHANGE" FLOW…: opens all flows, makes the change, which takes away these, and gives everything back.
ROUND=0
round()
{
	local what=$1 change=$2 base r
	local -a dead=() all=()
	shift 2
	ROUND=$((ROUND + 1))
	r=$ROUND
	for base; do
		dead+=($((base + r)))
	done
	for base in $DIRECT $SERVICE $FROM_EXT $BACK $MASQUERADED; do
		all+=($((base + r)))
	done
	# whoever opens comes first: what answers may open connections itself
	flows forward $r
	leak_sleep 0.1
	flows answers $r
	leak_sleep 0.2
	entries "${dead[@]}"
	(($(wc -l <$T/entries) >= 4 * ${#dead[@]})) || fail "$what: the flows are not tracked: $(cat $T/entries)"

	patterns '*' "${dead[@]}"
	leak_set closing "${PATTERNS[@]}"
	$change
	settled
	leak_sleep $BOUND
	leak_set deny "${PATTERNS[@]}"
	leak_sleep 0.3
	entries "${dead[@]}"
	[ ! -s $T/entries ] || fail "$what: denied, and tracked again: $(cat $T/entries)"

	# masqueraded answers come to the node itself meanwhile, and are a connection there
	patterns '*' $((MASQUERADED + r))
	leak_set off "${PATTERNS[@]}"
	patterns '[ue]*' "${dead[@]}"
	[[ " ${dead[*]} " != *" $((MASQUERADED + r)) "* ]] || patterns '[ue]*' "${dead[@]:1}"
	leak_set either "${PATTERNS[@]}"
	all_open
	settled
	leak_sleep 0.1
	leak_set allow "${PATTERNS[@]}"
	leak_sleep 0.2
	patterns '*' "${all[@]}"
	leak_set off "${PATTERNS[@]}"
	all_alive real{4,6}
}

need_conntrack
topology
manifest_namespace default
for pod in client db; do
	pod_add $pod
	manifest_pod $pod role=$pod
done
keep_quiet client db ext
service ip 10.96.0.10 "${ADDR4[db]}" "${ADDR4[client]}" "${ADDR4[ext]}"
service ip6 fd00:96::10 "[${ADDR6[db]}]" "${ADDR6[client]}" "${ADDR6[ext]}"
all_open
daemon_start
settled
allow client db 80
allow client ext 80
for family in 4 6; do
	declare -n address=ADDR$family
	hold_start real$family client tcp "${address[db]}" 81
done
LEAK_FROM=([client]="" [db]="" [ext]="")
LEAK_TO=([client]="" [db]="" [ext]="")
flow forward client db $KEPT "${ADDR4[db]}" "${ADDR6[db]}" $KEPT "${ADDR4[client]}" "${ADDR6[client]}" | grep -v echo | "$PROBE" leak-paths "$LEDGER"
leak_start
leak_sleep 0.1
flow answers client db $KEPT "${ADDR4[db]}" "${ADDR6[db]}" $KEPT "${ADDR4[client]}" "${ADDR6[client]}" | "$PROBE" leak-paths "$LEDGER"

db_ingress() { db_may "[ $KEPT_FROM ]" "$ANYTHING"; }
client_egress() { client_may "$ANYTHING" "$KEPT_ONLY"; }
db_egress() { db_may "[ $KEPT_FROM, $BY_ROLE ]" "[]"; }
client_ingress() { client_may "[]" "$ANYTHING"; }
client_label() { manifest_pod client role=former; }
for ((i = 0; i < REVOKE_ROUNDS; i++)); do
	round "ingress of the server is narrowed" db_ingress $DIRECT $SERVICE $FROM_EXT
	round "egress of the client is narrowed" client_egress $MASQUERADED $DIRECT $SERVICE
	round "egress of who opened is closed" db_egress $BACK
	round "ingress of who answered is closed" client_ingress $BACK
	round "the client's label is another" client_label $DIRECT $SERVICE
done
leak_stop
took() { grep -oE 'after [0-9]+ us at the most' "$T/leak.report" | grep -oE '[0-9]+' | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[NR], NR }'; }
read -r median longest number < <(took)
step "$ROUND changes, $number flows: the last packet passed $((median / 1000)) ms (median; longest $((longest / 1000))) after the change began to be written"
((number >= 8 * ROUND)) || fail "the change was hardly under way when packets flowed: $(cat "$T/leak.report")"
nft delete table ip kube_proxy
nft delete table ip6 kube_proxy
finish

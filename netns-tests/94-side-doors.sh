#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ways round the rules that need the help of something else: an FTP helper that a stranger put on the node, both ends that open a
# connection at once, the bandwidth plugin, which leads packets through another interface.
#
#	mallory  egress to anything, ingress from asks on tcp/5999       victim  nothing allowed
#	asks     egress to mallory on tcp/5999                           open    ingress and egress with anything
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/attacks.sh
. "$HERE/lib/attacks.sh"
need_conntrack

PODS=(mallory asks open victim)

policies()
{
	policy mallory default 'podSelector: { matchLabels: { pod: mallory } }, policyTypes: [ Ingress, Egress ], egress: [ {} ],
		ingress: [ { from: [ { podSelector: { matchLabels: { pod: asks } } } ], ports: [ { protocol: TCP, port: 5999 } ] } ]'
	policy asks default 'podSelector: { matchLabels: { pod: asks } }, policyTypes: [ Egress ],
		egress: [ { to: [ { podSelector: { matchLabels: { pod: mallory } } } ], ports: [ { protocol: TCP, port: 5999 } ] } ]'
	policy open default 'podSelector: { matchLabels: { pod: open } }, policyTypes: [ Ingress, Egress ], ingress: [ {} ], egress: [ {} ]'
	manifest_namespace default
}

# Somebody else's rules give every FTP connection the kernel's helper, which reads what is said in it.
helper_start()
{
	nft -f - <<-END
		table inet stranger {
			ct helper ftp { type "ftp" protocol tcp; }
			chain before { type filter hook prerouting priority 0; tcp dport 21 ct helper set "ftp"; }
			chain seen { type filter hook forward priority 0; ct state related tcp sport 20 counter; }
		}
	END
}

# say ADDRESS LINE…: mallory's side of an FTP connection to ADDRESS, which stays open
say()
{
	local address=$1
	shift
	background nsenter --net=/run/netns/mallory bash -c 'exec 3<>"/dev/tcp/$0/21" || exit 1
		for line; do printf "%s\r\n" "$line" >&3; read -r _ <&3; done; sleep 60' "$address" "$@"
	wait_until 5 expects "$address" || fail "the helper does not expect anything: $(conntrack -L expect 2>&1)"
}

expects() { [[ $(conntrack -L expect -f "$([[ $1 == *:* ]] && echo ipv6 || echo ipv4)" 2>/dev/null) == *"$1"* ]]; }

with_helper()
{
	local m=${ADDR4[mallory]//./,} v=${ADDR4[victim]//./,}
	helper_start
	say "${ADDR4[open]}" "PORT $v,19,137" "PORT $m,19,137"
	say "${ADDR6[open]}" "EPRT |2|${ADDR6[victim]}|5001|" "EPRT |2|${ADDR6[mallory]}|5001|"
	attacks_read expected
	attacks_send
	# moat sees them before it drops them: so they were what the helper expected
	observe expected open "of these, connection tracking calls related" both 2 2 "$(related)"
	nft delete table inet stranger
}

related() { nft list chain inet stranger seen | grep -oE 'packets [0-9]+' | grep -oE '[0-9]+'; }

through_ifb()
{
	if [[ $(tc filter show dev "${PORT[mallory]}" ingress) == *"mirred (Egress Redirect to device"* ]]; then echo yes; else echo no; fi
}

survey() # without|with
{
	local name
	pass_start "$1"
	for name in "${PODS[@]}"; do
		pod_add "$name"
		[ "$PASS" = without ] || manifest_pod "$name"
	done
	[ "$PASS" = without ] || daemon_start
	listen open 21
	quiet "${PODS[@]}" ext
	stage_words "${PODS[@]}" ext
	words_sort
	capture_start 1 "${PODS[@]}" ext
	attacks_read simultaneous
	attacks_send
	with_helper
	observe bandwidth mallory "what it sends is led through an ifb" both yes yes "$(through_ifb)"
	attacks_read interface bandwidth
	attacks_send
	capture_stop
	for name in "${PODS[@]}"; do
		pod_del "$name"
	done
	unquiet ext
}

bandwidth='{ "type": "bandwidth", "ingressRate": 100000000, "ingressBurst": 100000000, "egressRate": 100000000, "egressBurst": 100000000 }'
topology
policies
conflist_write "$bandwidth"
survey without
conflist_write '{"type": "moat"}' "$bandwidth"
survey with
attempts_judge
finish

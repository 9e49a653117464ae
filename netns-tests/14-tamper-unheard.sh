#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever is done to the table while the daemon is deaf (its socket has left the group of notifications) it finds by counting
# generations, and puts right: rules, pods' chains and elements, the program's, and what was added.
#
#   ext --- node --- a, b            as on top of lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

as_policy_says() { eventually allow a b 80 && eventually deny a b 81 && eventually deny b a 80 && eventually deny ext b 80; }
chain_of() { nft list chains inet | grep -oE "$1-${PORT[$2]}-[0-9a-f]+" | head -n 1; } # i|e POD
name_of() { nft list table inet moat | grep -oE "\b$1-[0-9a-f]+-[0-9a-f]{8}" | head -n 1; } # KIND
checks() { grep -c 'found-by=check' "$DAEMON_LOG" || true; }
table() # without what differs from one building to the next
{
	nft list table inet moat | sed -E 's/counter packets [0-9]+ bytes [0-9]+/counter/; s/-[0-9a-f]+-[0-9a-f]{8}([^0-9a-f]|$)/-NUMBER-EPOCH\1/g'
}

topology
manifest_namespace default
policy a-to-b default 'podSelector: {}, policyTypes: [ Ingress, Egress ],
	ingress: [ { from: [ { podSelector: { matchLabels: { pod: a } } }, { ipBlock: { cidr: 10.9.0.0/16 } } ], ports: [ { port: 80 } ] } ],
	egress: [ { to: [ { podSelector: { matchLabels: { pod: b } } } ], ports: [ { port: 80 } ] } ]'
manifest node <<END
apiVersion: v1
kind: Node
metadata: { name: other }
spec: { podCIDRs: [ 10.2.0.0/24 ] }
status: { addresses: [ { type: InternalIP, address: 192.168.50.9 } ] }
END
daemon_start
pod_add a
pod_add b
manifest_pod a
manifest_pod b
as_policy_says
wait_until 5 eval '[ "$(table)" = "$(table)" ]'

step "deaf"
"$PROBE" ear "$DAEMON" nftables deaf >/dev/null
table >$T/before

# unheard WHAT NFT: what is done is found by the next look, and the table is what it was.
unheard()
{
	local before
	before=$(checks)
	note "$1"
	nft "$2"
	wait_until 10 eval '(($(checks) > '"$before"'))' || fail "$1: not noticed"
	wait_until 5 is_as_before || fail "$1: not put right: $(diff $T/before <(table))"
}
is_as_before() { table >$T/now; diff -q <(sort $T/before) <(sort $T/now) >/dev/null; } # a dump's order is that of hashes, and of making

unheard "a port" "delete element inet moat ports { ${PORT[b]} }"
unheard "an address" "delete element inet moat pods { ${ADDR4[b]} }"
unheard "a pod's way in" "delete element inet moat to_pod { ${ADDR4[b]} }"
unheard "a pod's way out" "delete element inet moat from_pod { $(node_link a) . ${ADDR4[a]} }"
unheard "another verdict" "delete element inet moat to_pod { ${ADDR4[b]} }; add element inet moat to_pod { ${ADDR4[b]} : goto open }"
unheard "what a pod says in its own name" "flush set inet moat own6"
unheard "a pod's way to itself" "flush set inet moat self"
unheard "a hole between two pods" "add element inet moat self { ${ADDR4[b]} . ${ADDR4[a]} }"
unheard "the nodes" "flush set inet moat nodes"
unheard "tunnels" "delete element inet moat tunnel_ports { 4789 }"
unheard "protocols" "flush set inet moat tunnel_protocols"
unheard "a profile's map" "flush map inet moat $(name_of m)"
unheard "a group's members" "flush set inet moat $(name_of a4)"
unheard "a group's blocks" "flush set inet moat $(name_of b4)"
unheard "a group's chain" "flush chain inet moat $(name_of gid)"
unheard "a profile's chain" "flush chain inet moat $(name_of p)"
unheard "a pod's chain" "flush chain inet moat $(chain_of i b)"
unheard "a pod's rule for another" "flush chain inet moat $(chain_of i b); add rule inet moat $(chain_of i b) counter accept"
unheard "a static chain" "flush chain inet moat to"
unheard "a rule before all others" "insert rule inet moat forward accept"
unheard "the table" "delete table inet moat"

step "closed meanwhile is what was closed"
as_policy_says
"$BUILD/moatctl" status >$T/status || fail "status: $(cat $T/status)"
grep -q 'tampering  found [0-9]* times by a check only' $T/status || fail "status: $(cat $T/status)"

step "without changes nothing is looked at, whoever else commits"
count=$(grep -c 'notifications-lost' "$DAEMON_LOG")
daemon_stop
daemon_start
for i in {1..20}; do nft "add table inet other$i"; done
sleep 2.5 # two looks: nothing tells that nothing happens
(($(grep -c 'notifications-lost' "$DAEMON_LOG") == count)) || fail "a daemon that hears does not know it"
for i in {1..20}; do nft "delete table inet other$i"; done
finish

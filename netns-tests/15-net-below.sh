#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod that was started without moat has an address in the node's pod ranges: in mode strict nothing passes from it or to it but
# what its own node sends, elsewhere it is counted; whether the ranges are the Node's or an option's. The node's own addresses
# in the ranges, and all that is outside, are none of its business.
#
#   ext --- node --- guarded          by the primary and moat
#               \--- unchained        by the primary alone
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

open_all() # guarded may do everything: what is lost is the net's
{
	policy open default 'podSelector: {}, policyTypes: [ Ingress, Egress ], ingress: [ {} ], egress: [ {} ]'
}

node_with() # RANGE…
{
	local range ranges=""
	for range; do ranges+="${ranges:+, }\"$range\""; done
	manifest node <<-END
	apiVersion: v1
	kind: Node
	metadata: { name: $NODE_NAME }
	spec: { podCIDRs: [ $ranges ] }
	END
}

nothing_passes()
{
	deny unchained ext 80
	deny ext unchained 80
	deny unchained guarded 80
	deny guarded unchained 80
	deny unchained node 80
	deny ext unchained 80 udp
	deny ext unchained icmp
}

everything_passes()
{
	allow unchained ext 80
	allow ext unchained 80
	allow unchained guarded 80
	allow guarded unchained 80
	allow unchained node 80
}

# What the net must leave alone, whatever it does.
others_do_not_notice()
{
	allow node unchained 80 # probes
	allow guarded ext 80
	allow ext guarded 80
	allow node guarded 80
	allow guarded node 80
	allow node "$GATEWAY4" 80 # an address of the node in the ranges, by itself
	allow node "$GATEWAY6" 80
	allow guarded "$GATEWAY4" 80
}

counted() { packets "$1" '^[[:space:]]*counter'; } # CHAIN

topology
manifest_namespace default
open_all
conflist_write
pod_add unchained
conflist_write '{"type": "moat"}'
pod_add guarded
manifest_pod guarded
listen node
GATEWAY4=10.1.0.1 GATEWAY6=fd00:1::1

step "nobody knows the ranges: nothing is lost, nothing is counted"
daemon_start
settled
eventually allow ext guarded 80
everything_passes
others_do_not_notice
(($(counted unguarded) + $(counted unguarded_observed) == 0)) || fail "something was counted"

step "the Node's ranges, mode strict: lost"
node_with 10.1.0.0/24 fd00:1::/64
settled
nothing_passes
others_do_not_notice
(($(counted unguarded) > 0)) || fail "what was lost was not counted"
status_says "pod ranges 10.1.0.0/24 fd00:1::/64 (the Node's podCIDRs): addresses that are not guarded: [1-9][0-9]* packets lost" ||
	fail "status: $(cat "$T/status.text")"

step "ranges come and go beside it, swapped under a flood"
watched_start swap ext unchained "${ADDR4[unchained]}" 82 2000
for i in {1..20}; do
	node_with 10.1.0.0/24 "10.$((i + 1)).0.0/24" fd00:1::/64
	settled
done
watched_stop swap leaked
witness_end

step "a stranger at the net: put right"
nft flush chain inet moat range_to
nft flush chain inet moat range_from
node_with 10.1.0.0/24 fd00:1::/64
eventually deny ext unchained 80
nothing_passes

step "a restarted daemon keeps it, and one that is told other ranges has those"
daemon_stop
nothing_passes
daemon_start --pod-ranges 10.77.0.0/16
settled
everything_passes
daemon_stop
daemon_start --pod-ranges 10.1.0.0/16 --pod-ranges fd00:1::/48
settled
nothing_passes
others_do_not_notice

step "in another mode it is counted"
daemon_stop
conflist_write '{"type": "moat", "mode": "standard"}'
daemon_start --conflist $CONFLIST
settled
before=$(counted unguarded_observed)
everything_passes
others_do_not_notice
(($(counted unguarded_observed) > before)) || fail "what passed was not counted"
status_says 'only counted, since no network is in mode strict' || fail "status: $(cat "$T/status.text")"

step "a Node whose pods are elsewhere is not believed"
conflist_write '{"type": "moat"}'
pod_add elsewhere 10.1.0.200 fd00:1::200
node_with 10.1.0.0/25 fd00:1::/64
settled
wait_until 5 status_says "not believed" || fail "status: $(cat "$T/status.text")"
everything_passes

pod_forget unchained
rm -f /run/ipam/*/10.1.0.* /run/ipam/*/fd00:1::* # what no DEL gave back
finish

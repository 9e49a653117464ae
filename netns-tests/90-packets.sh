#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every packet of attacks/*.tsv, sent twice: on a node without moat, which shows that it would arrive, and with moat. The node's
# settings are the worst that an administrator could choose: source routes, redirects, router advertisements, multicast routing.
#
#	mallory  egress to anything       locked  nothing allowed          other    192.168.60.2, fd00:60::2, another node
#	few      egress to ext, the node  victim  nothing allowed          foreign  10.9.0.2, fd00:9::2, not guarded
#	open     ingress from anything                                     overlay  10.2.0.1, fd00:2::1, VXLAN 8472 over the wire
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/attacks.sh
. "$HERE/lib/attacks.sh"

PODS=(mallory few open victim locked)
HOSTS=(ext other foreign)

more_topology()
{
	host_add other wire1 192.168.60. fd00:60::
	host_add foreign foreign0 10.9.0. fd00:9::
	ip link add overlay type vxlan id 1 dstport 8472 local 192.168.50.1 dev wire0
	ip addr add 10.2.0.1/16 dev overlay
	ip addr add fd00:2::1/64 dev overlay nodad
	ip link set overlay up
	ip addr add 10.99.0.1/32 dev lo
	ip addr add fd00:99::1/128 dev lo
}

policies()
{
	policy mallory default 'podSelector: { matchLabels: { pod: mallory } }, policyTypes: [ Egress ], egress: [ {} ]'
	policy few default 'podSelector: { matchLabels: { pod: few } }, policyTypes: [ Egress ], egress: [ { to: [
		{ ipBlock: { cidr: 192.168.50.1/32 } }, { ipBlock: { cidr: 192.168.50.2/32 } }, { ipBlock: { cidr: 10.1.0.1/32 } },
		{ ipBlock: { cidr: "fd00:50::1/128" } }, { ipBlock: { cidr: "fd00:50::2/128" } }, { ipBlock: { cidr: "fd00:1::1/128" } } ] } ]'
	policy open default 'podSelector: { matchLabels: { pod: open } }, policyTypes: [ Ingress ], ingress: [ {} ]'
	manifest_namespace default
}

pods_add()
{
	local name
	for name in "${PODS[@]}"; do
		pod_add "$name"
		[ "$PASS" = without ] || manifest_pod "$name"
	done
}

worst_settings()
{
	local link
	sysctls ipv4/icmp_ratelimit=0 ipv6/icmp/ratelimit=0 ipv4/icmp_echo_ignore_broadcasts=0
	for link in all default wire0 wire1 foreign0 overlay "${LINKS[@]}"; do
		sysctls ipv4/conf/"$link"/{accept_source_route,accept_redirects,bc_forwarding,arp_accept,route_localnet}=1 \
			ipv4/conf/"$link"/{rp_filter,secure_redirects}=0 ipv6/conf/"$link"/accept_ra=2 \
			ipv6/conf/"$link"/{seg6_enabled,rpl_seg_enabled,accept_redirects,accept_source_route}=1
	done
}

node_links()
{
	local name
	LINKS=()
	for name in "${PODS[@]}"; do
		[[ " ${LINKS[*]} " == *" $(node_link "$name") "* ]] || LINKS+=("$(node_link "$name")")
	done
}

words()
{
	stage_words "${PODS[@]}" "${HOSTS[@]}"
	word_pair wire1 192.168.60.1 fd00:60::1
	word_pair onlo 10.99.0.1 fd00:99::1
	word_pair onoverlay 10.2.0.1 fd00:2::1
	word overlay.mac "$(mac_of node overlay)"
	words_sort
}

# Routes of a multicast daemon: from each of these to every link.
ROUTERS=()
multicast_routes() # GROUP SOURCE LINK [SOURCE LINK]…
{
	background "$PROBE" mroute "${LINKS[@]}" wire0 wire1 -- "$@"
	wait_until 5 grep -q ready "$BACKGROUND_OUT" || fail "mroute: $(cat "$BACKGROUND_OUT")"
	ROUTERS+=("$BACKGROUND")
}

# Everything that is tried, and who it reaches; then the pods go.
survey() # without|with
{
	local name
	pass_start "$1"
	pods_add
	[ "$PASS" = without ] || daemon_start
	quiet "${PODS[@]}" "${HOSTS[@]}"
	node_links
	worst_settings
	words
	for name in sources headers tunnels groups node link discovery; do
		attacks_read $name
	done
	multicast_routes 239.1.1.1 "${ADDR4[mallory]}" "$(node_link mallory)" "${ADDR4[locked]}" "$(node_link locked)" "${ADDR4[ext]}" wire0
	multicast_routes ff05::101:101 "${ADDR6[mallory]}" "$(node_link mallory)" "${ADDR6[locked]}" "$(node_link locked)" "${ADDR6[ext]}" wire0
	capture_start 1 "${PODS[@]}" "${HOSTS[@]}"
	attacks_send
	capture_stop
	for name in "${ROUTERS[@]}"; do
		kill -TERM "$name"
		wait "$name" || true
	done
	ROUTERS=()
	for name in "${PODS[@]}"; do
		pod_del "$name"
	done
	unquiet "${HOSTS[@]}"
}

topology
more_topology
policies
conflist_write
survey without
conflist_write '{"type": "moat"}'
survey with
ip link del overlay
[ -z "${UPDATE:-}" ] || for ((i = 1; i <= TRIED; i++)); do
	printf 'UPDATE\t%s\t%s\t%s\t%s\t%s\t%s\n' "${TRIED_CLASS[i]}" "${TRIED_WHAT[i]}" "${TRIED_FROM[i]}" "${TRIED_FAMILY[i]}" "${CAME_WITHOUT[i]--}" "${CAME_WITH[i]--}"
done
attempts_judge
finish

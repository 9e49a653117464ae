#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a pod tells others about neighbours, routers and ways, and who believes it: the tables of the node, of the pods and of a
# host, without moat and with it. All lies name the MAC 02:ba:d0:00:00:01 or the prefix 2001:db8:bad::/64.
#
#	mallory  egress to anything       victim  nothing allowed       open  ingress from anything
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/attacks.sh
. "$HERE/lib/attacks.sh"

PODS=(mallory open victim)
LIE=02:ba:d0:00:00:01

policies()
{
	policy mallory default 'podSelector: { matchLabels: { pod: mallory } }, policyTypes: [ Egress ], egress: [ {} ]'
	policy open default 'podSelector: { matchLabels: { pod: open } }, policyTypes: [ Ingress ], ingress: [ {} ]'
	manifest_namespace default
}

# Who believes that an address of others is at that MAC, or takes the node's way elsewhere. What the node has on a link of mallory's
# own leads nowhere else.
believers()
{
	local name table
	for name in open victim ext; do
		[[ $(in_netns "$name" sh -c "ip neigh show; ip -6 addr show") != *@("$LIE"|2001:db8:bad:)* ]] || echo "$name"
	done
	if [ "$PRIMARY" = ptp ]; then
		table=$(ip neigh show | sed "/ dev ${PORT[mallory]} /d")
	else
		table=$(ip neigh show | sed -E "/^(${ADDR4[mallory]}|${ADDR6[mallory]}|fe80:[^ ]*) /d")
	fi
	[[ $table$(ip -6 route show)$(ip route show cache) != *@("$LIE"|"proto ra"|2001:db8:bad:|redirected)* ]] || echo node
}

# lie WHAT FAMILY WITHOUT WITH PACKET…: mallory says it three times, or until somebody believes it. Then everybody forgets.
lie()
{
	local packet lines="" try believed=-
	for packet in "${@:5}"; do
		words_fill "$2" "$packet"
		lines+="0 $FILLED"$'\n'
	done
	for try in 1 2 3; do
		printf '%s' "$lines" >"$T/attacks.mallory"
		attacks_send
		[ -n "$(believers)" ] || continue
		note "believed at try $try by $(believers | tr '\n' ' ')"
		believed=believed
		break
	done
	observe neighbours mallory "$1" "$2" "$3" "$4" $believed
	[ $believed = - ] || resolve
}

# Neighbours as they are: the node and each pod, each pod and the gateway; without moat the pods each other.
resolve()
{
	local name other
	for name in node "${PODS[@]}"; do
		in_netns "$name" sh -c "ip neigh flush all; ip -6 addr flush to 2001:db8:bad::/64
			ip -6 route flush root 2001:db8:bad::/64; ip -6 route flush default proto ra"
	done
	for name in "${PODS[@]}"; do
		allow node "$name" icmp
	done
	[ "$PASS $PRIMARY" = "without bridge" ] || return 0
	for name in "${PODS[@]}"; do
		for other in "${PODS[@]}"; do
			[ "$name" = "$other" ] || allow "$name" "$other" icmp
		done
	done
}

tries()
{
	local all="dst=ff:ff:ff:ff:ff:ff" group="dst=33:33:00:00:00:01" advert="nd type=136"
	local ra="nd type=134 flags=0x40000708 slla=$LIE prefix=2001:db8:bad::"
	lie "ARP request with a pod's address" 4 "- / believed" - "eth $all / arp sha=$LIE spa=@open tpa=@gateway"
	lie "gratuitous ARP with a pod's address" 4 "- / believed" - "eth $all / arp op=2 sha=$LIE spa=@victim tha=$LIE tpa=@victim"
	lie "ARP reply to the node: a pod is here" 4 "- / believed" - "eth / arp op=2 sha=$LIE spa=@victim tha=@node.mac tpa=@gateway"
	lie "ARP reply to pods: the gateway is here" 4 "- / believed" - \
		"eth dst=@open.mac / arp op=2 sha=$LIE spa=@gateway tha=@open.mac tpa=@open" \
		"eth dst=@victim.mac / arp op=2 sha=$LIE spa=@gateway tha=@victim.mac tpa=@victim"
	lie "ARP from the own MAC about the gateway" 4 "- / believed" - "eth $all / arp op=2 sha=$LIE spa=@gateway tha=$LIE tpa=@gateway"
	lie "advertisement: a pod is here" 6 "- / believed" - \
		"eth src=$LIE $group / ip src=@open dst=ff02::1 hops=255 / $advert flags=0x20000000 target=@open tlla=$LIE" \
		"eth / ip src=@mallory dst=@gateway hops=255 / $advert flags=0x60000000 target=@victim tlla=$LIE"
	lie "advertisement to pods: the gateway is here" 6 "- / believed" - \
		"eth $group / ip src=@gateway dst=ff02::1 hops=255 / $advert flags=0xa0000000 target=@gateway tlla=$LIE" \
		"eth dst=@open.mac / ip src=@mallory dst=@open hops=255 / $advert flags=0xe0000000 target=@gateway tlla=$LIE" \
		"eth dst=@victim.mac / ip src=fe80::7 dst=@victim hops=255 / $advert flags=0xe0000000 target=@gateway tlla=$LIE"
	lie "solicitation with a pod's address" 6 "- / believed" - "eth / ip src=@open dst=@gateway hops=255 / nd target=@gateway slla=$LIE"
	lie "solicitation with the gateway's address, to pods" 6 "- / believed" - \
		"eth dst=@open.mac / ip src=@gateway dst=@open hops=255 / nd target=@open slla=$LIE"
	lie "advertisement through the node, about a host" 6 - - \
		"eth / ip src=@mallory dst=@ext hops=255 / $advert flags=0x60000000 target=@node tlla=$LIE"
	lie "router advertisement" 6 believed - "eth $group / ip src=fe80::7 dst=ff02::1 hops=255 / $ra" \
		"eth / ip src=fe80::7 dst=@mallory.gateway.ll hops=255 / $ra"
	lie "router advertisement, hidden behind options" 6 believed - \
		"eth $group / ip src=fe80::7 dst=ff02::1 hops=255 / dest / $ra" "eth $group / ip src=fe80::7 dst=ff02::1 hops=255 / hop / $ra"
	lie "redirect of the node's way to a host" 4 - - \
		"eth / ip src=@mallory dst=@node / icmp4 type=5 code=1 gateway=@mallory / ip src=@node dst=@ext / udp"
}

# What is believed has consequences: who answers for a pod that mallory says to be.
consequences()
{
	local f
	words_fill 4 "eth dst=ff:ff:ff:ff:ff:ff / arp op=2 sha=$LIE spa=@open tha=$LIE tpa=@open"
	echo "0 $FILLED" >>"$T/attacks.mallory"
	words_fill 6 "eth / ip src=@mallory dst=@gateway hops=255 / nd type=136 flags=0x60000000 target=@open tlla=$LIE"
	echo "0 $FILLED" >>"$T/attacks.mallory"
	attacks_send
	for f in 4 6; do
		observe neighbours mallory "a host asks a pod that is said to be elsewhere" $f "open / nobody" open "$(answers ext open $f)"
	done
	resolve
}

answers() # FROM NAME FAMILY: the name, if what FROM asks at its address is answered
{
	declare -n addr=ADDR$3
	if outcome_is answered 1000 "$1" "${addr[$2]}" 80; then echo "$2"; else echo nobody; fi
}

# Many senders that are not there: what the bridge learns, and whether others still get through. (Few enough for the table of
# neighbours, which the kernel has once for all namespaces of a machine.)
flood()
{
	local i f
	for ((i = 10; i < 99; i++)); do
		echo "0 eth src=02:ba:d0:00:04:$i / arp sha=02:ba:d0:00:04:$i spa=10.1.0.1$i tpa=10.1.0.1"
		echo "0 eth src=02:ba:d0:00:06:$i / ip src=fe80::$i dst=fd00:1::1 hops=255 / nd target=fd00:1::1 slla=02:ba:d0:00:06:$i"
	done >"$T/attacks.mallory"
	attacks_send
	[ "$PRIMARY" = ptp ] ||
		observe neighbours mallory "178 MACs: what the bridge learns of them" both "- / 178" 0 "$(bridge fdb show | awk '/^02:ba:d0:00:0[46]/ { n++ } END { print n + 0 }')"
	for f in 4 6; do
		observe neighbours mallory "178 neighbours that are not there: a host asks a pod" $f open open "$(answers ext open $f)"
	done
	resolve
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
	for name in node "${PODS[@]}"; do # a table believes at once
		in_netns "$name" bash -c "$(declare -f sysctls); cd /proc/sys/net/ipv4/neigh; for link in *; do sysctls ipv4/neigh/\$link/locktime=0; done"
	done
	sysctls ipv4/conf/{all,"$(node_link mallory)"}/{arp_accept,accept_redirects}=1 ipv4/conf/{all,"$(node_link mallory)"}/secure_redirects=0 \
		ipv6/conf/{all,"$(node_link mallory)"}/accept_ra=2
	resolve
	stage_words "${PODS[@]}" ext
	words_sort
	capture_start 1
	tries
	consequences
	flood
	capture_stop
	for name in "${PODS[@]}"; do
		pod_del "$name"
	done
}

topology
policies
conflist_write
survey without
conflist_write '{"type": "moat"}'
survey with
attempts_judge
finish

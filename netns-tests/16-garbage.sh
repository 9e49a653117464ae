#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a node collects: a container without DEL, an interface renamed, an address reused while the old attachment stands, state files
# that are truncated, of an older and of a newer version, a reboot. Nothing is open, nothing sticks, and status has a sentence for each.
#
#   ext --- node --- pods            as on top of lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

told() { wait_until 5 status_says "$1" || fail "status does not say '$1': $(cat "$T/status.text")"; }
state_file() { echo "/run/moat/pods/$NETWORK/${CONTAINER[$1]}:eth0"; }
untraced() { [[ $(nft list ruleset) != *"$1"* ]]; } # PORT

topology
manifest_namespace default
policy open default 'podSelector: {}, policyTypes: [ Ingress, Egress ], ingress: [ { ports: [ { port: 80 } ] } ], egress: [ { ports: [ { port: 80 } ] } ]'
daemon_start
for pod in kept gone cut old new renamed; do
	pod_add $pod
	manifest_pod $pod
done
eventually allow ext new 80
eventually allow ext renamed 80

step "a container that went without DEL"
gone4=${ADDR4[gone]} gone6=${ADDR6[gone]} gone_port=${PORT[gone]} gone_id=${CONTAINER[gone]}
pod_forget gone
told "its interface $gone_port is gone"

step "its address, reused while the old attachment stands"
rm -f /run/ipam/$NETWORK/"$gone4" /run/ipam/$NETWORK/"$gone6"
pod_add heir "$gone4/24" "$gone6/64"
deny ext heir 80 # what the old one was allowed is not the new one's
manifest_remove pod-gone
manifest_pod heir
eventually allow ext heir 80

step "its DEL at last takes nothing of the new owner's"
CONTAINER[late]=$gone_id
netns_add late
plugin_works DEL late "$(config)"
ip netns del late
unset "CONTAINER[late]"
allow ext heir 80
wait_until 5 untraced "$gone_port" || fail "something of $gone_port is left"

step "an interface that was renamed: closed and told"
ip link set "${PORT[renamed]}" down
ip link set "${PORT[renamed]}" name strange0
ip link set strange0 up
told "its interface ${PORT[renamed]} is called strange0 now"
deny renamed ext 80
pod_del renamed
manifest_remove pod-renamed

step "state files: truncated, of an older version, of a newer one"
daemon_stop
truncate -s 40 "$(state_file cut)"
sed -i 's/"version":[0-9]*/"version":0/' "$(state_file old)"
sed -i 's/"version":[0-9]*/"version":99/' "$(state_file new)"
daemon_start
eventually allow ext kept 80
for pod in cut old new; do
	eventually deny ext $pod 80
	deny $pod ext 80
done
told 'not a JSON object (truncated?)'
told 'version 0, this moat reads'
told 'version 99, this moat reads'
for pod in cut old new; do
	port=${PORT[$pod]}
	pod_del $pod
	manifest_remove pod-$pod
	wait_until 5 untraced "$port" || fail "something of $pod is left"
done

step "a reboot: interfaces and table are gone, the pod store is not"
daemon_stop
nft flush ruleset
for pod in kept heir; do ip link del "${PORT[$pod]}"; done
daemon_start
told "its interface ${PORT[kept]} is gone"
pod_del kept
pod_del heir
! status_says 'is gone' || fail "status: $(cat "$T/status.text")"

step "the pod store has lost an attachment, and there is no daemon: GC closes what it had, and takes it away when the link is gone"
daemon_stop
pod_add lonely
pod_add beside
lonely_port=${PORT[lonely]}
nft "flush chain inet moat $(nft list chains inet | grep -o "i-$lonely_port-[0-9a-f]*"); add rule inet moat $(nft list chains inet | grep -o "i-$lonely_port-[0-9a-f]*") return"
rm "$(state_file lonely)"
find /run/moat/ports /run/moat/addrs -lname "*${CONTAINER[lonely]}*" -delete
allow ext lonely 80 # somebody opened it
sweep
grep -q "closed, and kept" $T/err || fail "GC has not told of what it keeps: $(cat $T/err)"
deny ext lonely 80
ip link del "$lonely_port"
sweep
grep -q "taken away" $T/err || fail "GC has not told of what it took away: $(cat $T/err)"
untraced "$lonely_port" || fail "GC has left something of $lonely_port"
! set_has pods "${ADDR4[lonely]}" || fail "GC has left the address"
plugin_works CHECK beside "$(config prevResult "$(cat $RESULTS/beside)")"
pod_del beside
pod_del lonely

step "a reboot with an empty /run"
nft flush ruleset
rm -rf /run/moat /run/ipam
daemon_start
pod_add first
manifest_pod first
eventually allow ext first 80
finish

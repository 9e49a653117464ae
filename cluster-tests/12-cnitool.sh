#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every verb of CNI 1.1.0 through libcni itself: its cnitool makes the calls, keeps the results, and collects the garbage. The primary
# is scripted, since Debian's plugins stop at 1.0.0.
#
#   ext --- node --- a, b              routed links
#
# Needs: cnitool
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/../netns-tests/lib/policies.sh
. "$HERE/lib/policies.sh"

mount -t tmpfs tmpfs /var/lib # libcni keeps results in /var/lib/cni
mkdir $T/plugins $T/net.d
cp "$MOAT" $T/plugins/moat
cp "$CLUSTER/lib/scripted" $T/plugins/scripted
echo '{ "cniVersion": "1.1.0", "name": "tool", "plugins": [ { "type": "scripted" }, { "type": "moat" } ] }' >$T/net.d/10-tool.conflist

# tool VERB POD; what it says is in $T/tool.
tool()
{
	CODE=0
	run env CNI_PATH=$T/plugins NETCONFPATH=$T/net.d \
		CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$2;K8S_POD_UID=uid-$2;ADDRESSES=${ADDRESSES[$2]:-}" \
		cnitool "$1" tool "/run/netns/$2" >$T/tool 2>&1 || CODE=$?
}

tool_works() { tool "$@" && ((CODE == 0)) || fail "cnitool $*: code $CODE: $(cat $T/tool)"; }

declare -A ADDRESSES=([a]="10.1.0.11/32,fd00:1::11/128" [b]="10.1.0.12/32,fd00:1::12/128")

pod() # NAME
{
	netns_add "$1"
	listen "$1"
	NAMESPACE[$1]=default
	IFS=, read -r four six <<<"${ADDRESSES[$1]}"
	ADDR4[$1]=${four%/*} ADDR6[$1]=${six%/*}
	CONTAINER[$1]=cnitool-$(printf %s "/run/netns/$1" | sha512sum | cut -c1-20) # as cnitool names it
}

pod_object() # NAME: as an API server has it
{
	manifest "pod-$1" <<-END
	{ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "$1", "namespace": "default", "uid": "uid-$1", "labels": { "role": "$1" } },
	  "spec": { "nodeName": "$NODE_NAME" }, "status": { "phase": "Running", "podIPs": [ { "ip": "${ADDR4[$1]}" }, { "ip": "${ADDR6[$1]}" } ] } }
	END
}

topology
pod a
pod b

step "STATUS asks both plugins, before anything stands"
tool_works status a
[ "$(cat /run/scripted.verbs)" = STATUS ] || fail "the primary was asked $(cat /run/scripted.verbs)"

step "ADD: closed at once; the primary's result is what the runtime gets"
tool_works add a
grep -q '"address": "10.1.0.11/32"' $T/tool || fail "ADD says $(cat $T/tool)"
grep -q '"cniVersion": "1.1.0"' $T/tool || fail "ADD says $(cat $T/tool)"
tool_works add b
deny_all a b
deny_all ext a
deny_all b ext
allow_all node a

step "CHECK: as it stands, and after a stranger took a map's element away"
tool_works check a
element=$(nft get element inet moat to_pod "{ ${ADDR4[a]} }" | grep -oE "${ADDR4[a]} : goto [^ ,}]*")
nft delete element inet moat to_pod "{ ${ADDR4[a]} }"
tool check a
((CODE != 0)) || fail "CHECK finds nothing wrong"
grep -q "${ADDR4[a]}" $T/tool || fail "CHECK says $(cat $T/tool)"
nft add element inet moat to_pod "{ $element }"
tool_works check a

step "opened by the daemon"
manifest_namespace default
pod_object a
pod_object b
policy a default 'podSelector: { matchLabels: { role: a } }, policyTypes: [ Egress ], egress: [ {} ]'
policy b default 'podSelector: { matchLabels: { role: b } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: a } } } ], ports: [ { port: 80 } ] } ]'
daemon_start
eventually allow a b 80
deny a b 81
deny b a 80
deny ext b 80

step "DEL, twice; GC collects what a runtime has forgotten"
tool_works del a
tool_works del a
! set_has to_pod "${ADDR4[a]}" || fail "moat still has the address of a"
pod_forget a
listen_stop b
run ip netns del b # without DEL: libcni has it in its cache still
tool gc b
# libcni deletes what is stale in its cache; cnitool then sends no list, and moat deletes nothing without one.
grep -q "failed to GC plugin moat: cni.dev/valid-attachments is missing" $T/tool || fail "gc says $(cat $T/tool)"
! grep -q "stale" $T/tool || fail "gc says $(cat $T/tool)"
[ ! -e "/run/scripted/${CONTAINER[b]}:eth0" ] || fail "the primary still has b"
unset 'CONTAINER[b]'
[ -z "$(find /run/moat -name '*cnitool*')" ] || fail "moat still has a state file"
! set_has to_pod "${ADDR4[b]}" || fail "moat still has b's address"
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad input and a bad node: the specification's error codes, a message that names the thing, and nothing half-made.
#
#   a (10.1.0.11, fd00:1::11) on a link made by hand; broken variations of its ADD
. "$(dirname "$0")/lib.sh"

ADDRESSES="10.1.0.11/32 fd00:1::11/128"

untouched()
{
	! nft list table inet moat >/dev/null 2>&1 || fail "$1: there is a table"
	[ -z "$(find /run/moat -type f ! -name lock ! -path "/run/moat/${KEPT:-}/*" 2>/dev/null)" ] || fail "$1: there is state: $(find /run/moat -type f)"
}

refused() # CODE WORD CONFIG [ENV…]: by ADD, and it has left nothing
{
	local code=$1 word=$2 config=$3
	shift 3
	plugin_fails "$code" "$word" ADD a "$config" "$@"
	untouched "$word"
}

with_prev() { config prevResult "$1"; }
repeat() { printf "%*s" "$2" "" | tr ' ' "$1"; } # CHARACTER TIMES

topology
pod_make a
# shellcheck disable=SC2086 # two words
link_make a $ADDRESSES
# shellcheck disable=SC2086
good=$(prev_result a $ADDRESSES)

step "configurations"
refused 6 "" ""
refused 6 "" "{"
refused 6 "" "[]"
refused 6 "" '{ "cniVersion": "1.1.0" } trailing'
refused 6 NUL '{ "cniVersion": "1.1.0", "name": "stories\u0000" }'
refused 6 "" "$(repeat '[' 100000)"
refused 7 large "$(config x "\"$(repeat x 2000000)\"")"
refused 7 name '{ "cniVersion": "1.1.0", "type": "moat" }'
refused 7 name '{ "cniVersion": "1.1.0", "type": "moat", "name": "../../etc" }'
refused 7 cniVersion '{ "cniVersion": 1, "type": "moat", "name": "stories" }'
refused 1 0.1.0 '{ "type": "moat", "name": "stories" }'
refused 2 isolation "$(config prevResult "$good" isolation '"off"')"
refused 7 mode "$(config prevResult "$good" mode '"lax"')"
refused 7 mode "$(config prevResult "$good" mode 'true')"
refused 7 deny "$(config prevResult "$good" deny '"never"')"
refused 7 waitForPolicy "$(config prevResult "$good" waitForPolicy '"1 hour"')"
refused 7 twice "$(config prevResult "$good" mode '"strict"' mode '"audit"')"

step "results of the primary"
refused 7 prevResult "$(config)"
refused 7 prevResult "$(with_prev '"none"')"
refused 102 address "$(with_prev '{ "cniVersion": "1.1.0" }')"
refused 102 address "$(with_prev '{ "cniVersion": "1.1.0", "ips": [] }')"
refused 102 address "$(with_prev '{ "cniVersion": "1.1.0", "ips": [ { "address": "fe80::1/64" } ] }')"
for address in 10.1.0.11 10.1.0.300/24 ::ffff:10.1.0.11/128 127.0.0.1/8 224.0.0.1/4 0.0.0.0/0 'x\u001b[31m/24' 10.1.0.11/33; do
	refused 7 "" "$(with_prev "{ \"cniVersion\": \"1.1.0\", \"ips\": [ { \"address\": \"$address\" } ] }")"
done
refused 7 interface "$(with_prev '{ "cniVersion": "1.1.0", "ips": [ { "interface": 7, "address": "10.1.0.11/32" } ] }')"

step "environments"
refused 4 CNI_NETNS "$(with_prev "$good")" CNI_NETNS=
refused 4 CNI_IFNAME "$(with_prev "$good")" CNI_IFNAME=
refused 4 CNI_CONTAINERID "$(with_prev "$good")" CNI_CONTAINERID=
refused 4 CNI_CONTAINERID "$(with_prev "$good")" CNI_CONTAINERID=../../etc/passwd
refused 4 CNI_CONTAINERID "$(with_prev "$good")" CNI_CONTAINERID="$(repeat c 300)"
refused 4 CNI_CONTAINERID "$(with_prev "$good")" CNI_CONTAINERID=$'red\e[31m\nline'
refused 4 CNI_IFNAME "$(with_prev "$good")" CNI_IFNAME=a/b
refused 4 CNI_IFNAME "$(with_prev "$good")" CNI_IFNAME=sixteen-letters-
refused 4 CNI_ARGS "$(with_prev "$good")" CNI_ARGS=nonsense
refused 4 K8S_POD_NAME "$(with_prev "$good")" "CNI_ARGS=K8S_POD_NAMESPACE=default;K8S_POD_NAME=UPPER/slash"
refused 4 CNI_COMMAND "$(with_prev "$good")" CNI_COMMAND=
refused 4 CNI_COMMAND "$(with_prev "$good")" CNI_COMMAND=REMOVE

step "namespaces and interfaces"
refused 100 /run/netns/gone "$(with_prev "${good/netns\/a/netns/gone}")" CNI_NETNS=/run/netns/gone
refused 100 /etc/passwd "$(with_prev "${good/\/run\/netns\/a//etc/passwd}")" CNI_NETNS=/etc/passwd
refused 102 /run/netns/ext "$(with_prev "$good")" CNI_NETNS=/run/netns/ext # a result that is about another namespace
refused 101 eth7 "$(with_prev "${good//eth0/eth7}")" CNI_IFNAME=eth7
# The interface whose address it is has no peer on this node, or one that belongs to a bridge.
in_netns a ip link add eth1 type bridge
refused 102 veth "$(with_prev "${good//eth0/eth1}")" CNI_IFNAME=eth1
ip link add br0 type bridge
ip link set port-a master br0
refused 102 bridge "$(with_prev "$good")"
ip link del br0
[ "$PRIMARY" != bridge ] || ip link set port-a master $BRIDGE

step "a run directory that cannot be used"
touch $T/file
refused 5 "" "$(with_prev "$good")" MOAT_RUN_DIR=$T/file
refused 5 "" "$(with_prev "$good")" MOAT_RUN_DIR=/proc/nowhere
mkdir -m 0777 $T/world
refused 5 0700 "$(with_prev "$good")" MOAT_RUN_DIR=$T/world
mkdir $T/full
mount -t tmpfs -o size=8k,mode=0700 tmpfs $T/full
dd if=/dev/zero of=$T/full/filler bs=4k 2>/dev/null || true
refused 5 "" "$(with_prev "$good")" MOAT_RUN_DIR=$T/full
plugin_fails 50 "" STATUS "" "$(config)" MOAT_RUN_DIR=$T/full
mount -o remount,bind,ro $T/full
refused 5 "" "$(with_prev "$good")" MOAT_RUN_DIR=$T/full
umount $T/full

step "no permission for nftables"
bare=$MOAT
MOAT=$T/without-capabilities
cat >$MOAT <<END
#!/bin/sh
exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$bare"
END
chmod +x $MOAT
KEPT=bridges # who may not change a bridge may not give it back either: the record of how it was stays
refused 106 permitted "$(with_prev "$good")"
plugin_fails 50 "" STATUS "" "$(config)"
KEPT=
MOAT=$bare

step "after all that, a good ADD"
plugin_works ADD a "$(with_prev "$good")"
deny_all ext a
allow node a 80

step "bad DELs lose nothing and stick at nothing"
plugin_fails 6 name DEL a "{"
plugin_fails 4 CNI_CONTAINERID DEL a "$(config)" CNI_CONTAINERID=
plugin_works CHECK a "$(with_prev "$good")"
head -c 10 /run/moat/pods/$NETWORK/"${CONTAINER[a]}:eth0" >$T/cut
cp $T/cut "/run/moat/pods/$NETWORK/${CONTAINER[a]}:eth0"
plugin_fails 107 "" CHECK a "$(with_prev "$good")"
deny_all ext a
plugin_works DEL a "$(config)"
deny_all ext a
pod_forget a
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every verb, called directly with a scripted primary of CNI 1.1.0, and once through the real list of 1.0.0.
#
#   a (10.1.0.11, fd00:1::11), b (10.1.0.12) on links made by hand; real (ptp)
. "$(dirname "$0")/lib.sh"

says() { grep -q -- "$1" $T/out || fail "no $1 in: $(cat $T/out)"; }

topology
pod_make a
pod_make b
link_make a 10.1.0.11/32 fd00:1::11/128
link_make b 10.1.0.12/32
result_a=$(prev_result a 10.1.0.11/32 fd00:1::11/128)
result_b=$(prev_result b 10.1.0.12/32)

step VERSION
plugin_works VERSION "" '{ "cniVersion": "1.1.0" }'
for version in 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; do
	says "\"$version\""
done

if ! grep -qs static-pie "$BUILD/static/flags"; then
	note "moat is linked to shared libraries here"
else
	step "the plugin needs nothing of the host's files"
	mkdir $T/bare
	cp "$MOAT" $T/bare/moat
	CNI_COMMAND=VERSION chroot $T/bare /moat <<<'{ "cniVersion": "1.1.0" }' >$T/out
	says '"1.1.0"'
fi

step "STATUS before anything stands leaves nothing behind"
plugin_works STATUS "" "$(config)"
[ ! -s $T/out ] || fail "STATUS talks: $(cat $T/out)"
! nft list table inet moat >/dev/null 2>&1 || fail "STATUS has made a table"

step "ADD hands prevResult on, twice"
odd='{ "cniVersion": "1.1.0", "ips": [ { "address": "10.1.0.11/32" }, { "address": "fd00:1::11/128" } ], "dns": {},
	"x-number": 12345678901234567890, "x-float": 1e400, "x-text": "\u00e9\/" }'
for _ in 1 2; do
	plugin_works ADD a "$(config prevResult "$odd")"
	says 12345678901234567890
	says 1e400
	says '\\u00e9\\/'
	deny_all ext a
	allow node a 80
done
plugin_works ADD a "$(config prevResult "$result_a")"
[ "$(tr -d '[:space:]' <$T/out)" = "$(tr -d '[:space:]' <<<"$result_a")" ] || fail "prevResult changed: $(cat $T/out)"
# Another cniVersion in prevResult becomes the configuration's.
plugin_works ADD b "$(config prevResult "${result_b/1.1.0/0.4.0}")"
says '"cniVersion": *"1.1.0"'
deny a 10.1.0.12 80
deny b 10.1.0.11 80

step CHECK
plugin_works CHECK a "$(config prevResult "$result_a")"
plugin_fails 107 10.1.0.99 CHECK a "$(config prevResult "$(prev_result a 10.1.0.11/32 fd00:1::11/128 10.1.0.99/32)")"
plugin_fails 7 prevResult CHECK a "$(config)"
nft delete element inet moat to_pod '{ 10.1.0.12 }'
plugin_fails 107 "" CHECK b "$(config prevResult "$result_b")"
deny a 10.1.0.12 80 # a miss fails closed
plugin_works ADD b "$(config prevResult "$result_b")"
plugin_works CHECK b "$(config prevResult "$result_b")"

step "versions that do not know a verb"
plugin_fails 1 0.4.0 CHECK a '{ "cniVersion": "0.3.1", "name": "stories", "type": "moat", "prevResult": {} }'
plugin_fails 1 1.1.0 STATUS "" '{ "cniVersion": "1.0.0", "name": "stories", "type": "moat" }'
plugin_fails 1 1.1.0 GC "" '{ "cniVersion": "1.0.0", "name": "stories", "type": "moat" }'
plugin_fails 1 9.9.9 ADD a '{ "cniVersion": "9.9.9", "name": "stories", "type": "moat" }'

step "GC keeps what is valid, what still has a link, and other networks; the rest goes"
plugin_fails 7 valid-attachments GC "" "$(config)"
plugin_works GC "" "$(config cni.dev/valid-attachments "[ { \"containerID\": \"${CONTAINER[a]}\", \"ifname\": \"eth0\" } ]")"
grep -q "${CONTAINER[b]}" $T/err || fail "GC does not tell of b, whose link still exists: $(cat $T/err)"
plugin_works CHECK a "$(config prevResult "$result_a")"
plugin_works CHECK b "$(config prevResult "$result_b")"
ip link del port-b
plugin_works GC "" '{ "cniVersion": "1.1.0", "name": "other", "type": "moat", "cni.dev/valid-attachments": [] }'
set_has pods 10.1.0.12 || fail "GC of another network removed b"
plugin_works GC "" "$(config cni.dev/valid-attachments "[ { \"containerID\": \"${CONTAINER[a]}\", \"ifname\": \"eth0\" } ]")"
! set_has pods 10.1.0.12 || fail "GC has kept b"
! set_has ports port-b || fail "GC has kept b's port"
plugin_works CHECK a "$(config prevResult "$result_a")"

step "DEL: twice, of nobody, with the least and with rubbish"
plugin_works DEL a "$(config)"
plugin_works DEL a "$(config)"
[ ! -s $T/out ] || fail "DEL talks: $(cat $T/out)"
plugin_works DEL b '{ "name": "stories", "unknown": [ 1, 2 ], "mode": 7, "prevResult": "none" }' CNI_NETNS=/nowhere
plugin_works DEL "" '{ "name": "stories", "cniVersion": "7.0.0" }' CNI_CONTAINERID=never CNI_IFNAME=eth0
deny_all ext a
pod_forget a
pod_forget b

step "through a real list"
pod_add real
cni check real
nft flush set inet moat pods
! cni check real >/dev/null || fail "CHECK sees no missing element"
cni del real
cni del real
pod_forget real
finish

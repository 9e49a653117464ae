#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The installer puts plugin and conflist on a node, follows the primary's file and the settings, and pods of what it wrote are
# closed. What cannot work changes nothing, and says why. It has no capability.
#
#   conf.d/10-primary.conflist (the primary's, only read), conf.d/00-moat.conflist (the installer's);   ext --- node --- a, b
. "$(dirname "$0")/lib.sh"

INSTALL=$BUILD/moat-install
CONF=$T/conf.d BIN=$T/bin SETTINGS=$T/settings/moat.json
PRIMARYS=$CONF/10-primary.conflist OURS=$CONF/00-moat.conflist
mkdir -p $CONF $BIN $T/settings

install() { "$INSTALL" "$1" --conf-dir $CONF --bin-dir $BIN --settings $SETTINGS "${@:2}" 2>$T/install.err; } # VERB [OPTION…]
in_place() { install check; }
put() { cat >"$1.tmp" && mv "$1.tmp" "$1"; } # FILE <<END
json() { python3 -c 'import json, sys; print(eval("d" + sys.argv[2], {"d": json.load(open(sys.argv[1]))}))' "$1" "$2"; } # FILE EXPRESSION
mode_is() { [ "$(json $OURS '["plugins"][-1]["mode"]')" = "$1" ]; }
state() { (cd $T && find conf.d bin -type f -exec sha256sum {} + | sort); }
says() { grep -q -- "$1" $T/install.err || fail "it does not say '$1': $(cat $T/install.err)"; }
# refused WORD [FILE]: with what stands there now
refused()
{
	local before
	before=$(state)
	! install check "${@:2}" || fail "check finds nothing wrong ($1)"
	says "$1"
	code=0
	timeout 0.15 "$INSTALL" run --conf-dir $CONF --bin-dir $BIN --settings $SETTINGS "${@:2}" 2>$T/install.err || code=$?
	says "$1"
	[ "$(state)" = "$before" ] || fail "the node was changed ($1)"
}
# The list of a primary: its plugin, and more
primary_list() # PLUGIN…
{
	local IFS=,
	printf '{\n  "cniVersion": "1.0.0", "name": "%s", "x": 12345678901234567890,\n  "plugins": [ %s ]\n}\n' $NETWORK "$*"
}

topology
echo '{ "mode": "strict", "waitForPolicy": "0s" }' | put $SETTINGS

step "preflight, and what cannot work"
install preflight || fail "preflight: $(cat $T/install.err)"
refused 'no network configuration yet'
for type in macvlan ipvlan host-device cilium-cni; do
	primary_list "{ \"type\": \"$type\" }" | put $PRIMARYS
	refused "plugin $type"
	! install preflight || fail "preflight accepts $type"
done
primary_list '{ "type": "who-knows" }' | put $PRIMARYS
refused '--accept-primary who-knows'
primary_list '{ "type": "bridge", "bridge": "br9" }' | put $PRIMARYS
refused isGateway
primary_list '{ "type": "bridge", "bridge": "br9", "isGateway": true, "vlan": 7 }' | put $PRIMARYS
refused VLAN
primary_list '{ "type": "flannel", "delegate": { "type": "ipvlan" } }' | put $PRIMARYS
refused 'plugin ipvlan'
ip link add br9 type bridge
primary_list '{ "type": "bridge", "bridge": "br9", "isGateway": true }' | put $PRIMARYS
if ip link set br9 type bridge vlan_filtering 1 2>/dev/null; then # a kernel may have been built without
	refused 'br9 filters VLANs'
	ip link set br9 type bridge vlan_filtering 0
fi
ip link add tun9 type vxlan id 9 dstport 4789 dev wire0
ip link set tun9 master br9
refused 'br9 has the port tun9'
ip link del tun9
ip link del br9
primary_list "$(primary_config)" '{ "type": "moat" }' | put $PRIMARYS
refused 'remove it there'
primary_list "$(primary_config)" >$T/whole
head -c 200 $T/whole | put $PRIMARYS
refused 'not whole yet'
printf '{ "name": "x", "name": "y", "cniVersion": "1.0.0", "plugins": [ { "type": "ptp" } ] }' | put $PRIMARYS
refused twice
primary_list "$(primary_config)" | sed 's/1\.0\.0/0.2.0/' | put $PRIMARYS
refused 0.2.0
head -c 2000000 /dev/zero | tr '\0' ' ' | put $PRIMARYS
refused larger
primary_list "$(primary_config)" | put $PRIMARYS
echo '{ "mod": "audit" }' | put $SETTINGS
refused 'unknown key'
echo '[]' | put $SETTINGS
refused 'not a JSON object'
echo '{ "mode": "strict", "waitForPolicy": "0s" }' | put $SETTINGS
mv $PRIMARYS $CONF/0-primary.conflist
refused 'sorts before'
rm $CONF/0-primary.conflist
printf 'half' >$CONF/.moat-install-00000000 # of one that was killed

step "the primary comes: plugin and conflist are there, and the primary's file as it was"
background "$INSTALL" run --conf-dir $CONF --bin-dir $BIN --settings $SETTINGS
installer=$BACKGROUND log=$BACKGROUND_OUT
wait_until 5 grep -q 'no network configuration yet' "$log" || fail "$(cat "$log")"
grep -qE '^CapPrm:\s0{16}$' "/proc/$installer/status" && grep -qE '^CapBnd:\s0{16}$' "/proc/$installer/status" || fail "it has capabilities"
primary_list "$(primary_config)" '{ "type": "portmap", "capabilities": { "portMappings": true } }' | put $PRIMARYS
echo '{ "name": "later", "cniVersion": "1.0.0", "type": "loopback" }' | put $CONF/99-later.conf
before=$(sha256sum $PRIMARYS)
wait_until 5 in_place || fail "not installed: $(cat $T/install.err "$log")"
[ "$(sha256sum $PRIMARYS)" = "$before" ] || fail "the primary's file was edited"
cmp -s "$BUILD/moat" $BIN/moat && [ "$(stat -c %a $BIN/moat)" = 755 ] || fail "the plugin is not the one of the build"
[ "$(json $OURS '["name"]')" = $NETWORK ] && [ "$(json $OURS '["plugins"][-1]["type"]')" = moat ] && mode_is strict || fail "$(cat $OURS)"
grep -q '"x": 12345678901234567890,' $OURS || fail "a number was lost: $(cat $OURS)"
[ -z "$(find $CONF $BIN -name '.moat-install-*')" ] || fail "temporaries are left"

step "a pod of that conflist is closed"
CONFLIST=$OURS
pod_add a
deny ext a 80
deny a ext 80
allow node a 80

step "what is changed or removed is put back, and the primary's and the settings' changes are taken over"
before=$(sha256sum $OURS $BIN/moat)
rm $OURS
: >$BIN/moat
back() { [ "$(sha256sum $OURS $BIN/moat 2>/dev/null)" = "$before" ]; }
wait_until 5 back || fail "not put back: $(cat "$log")"
echo '{ "mode": "preview" }' | put $SETTINGS
wait_until 5 mode_is preview || fail "the settings were not taken: $(cat $OURS "$log")"
primary_list "$(primary_config)" | sed 's/12345678901234567890/7/' | put $PRIMARYS
renewed() { grep -q '"x": 7,' $OURS; }
wait_until 5 renewed || fail "the primary's change was not taken: $(cat $OURS)"
mode_is preview || fail "the settings are lost"

step "a primary that moat cannot guard, a broken one, none: what stands stands, and pods go on being made"
ours() { state | grep -E 'conf.d/00-moat|bin/moat'; }
before=$(ours)
stands() { [ "$(ours)" = "$before" ] || fail "changed: $(cat $OURS)"; }
primary_list '{ "type": "macvlan" }' | put $PRIMARYS
wait_until 5 grep -q 'not-installed error="10-primary.conflist: packets of pods that plugin macvlan' "$log" || fail "$(cat "$log")"
! in_place || fail "check finds nothing wrong"
stands
echo '{' | put $PRIMARYS
wait_until 5 grep -q 'not whole yet' "$log" || fail "$(cat "$log")"
stands
rm $CONF/99-later.conf
rm $PRIMARYS
wait_until 5 in_place || fail "without primary: $(cat $T/install.err)"
stands
pod_add b
kill -TERM "$installer"
wait "$installer" || fail "it ended with $?: $(cat "$log")"
stands

step "a single plugin's .conf becomes a list"
primary_config | sed "0,/{/s//{ \"name\": \"$NETWORK\", \"cniVersion\": \"0.4.0\",/" | put $CONF/20-single.conf
code=0
timeout 0.5 "$INSTALL" run --conf-dir $CONF --bin-dir $BIN --settings $SETTINGS 2>$T/install.err || code=$?
in_place || fail "$(cat $T/install.err)"
[ "$(json $OURS '["cniVersion"]') $(json $OURS '["plugins"][0]["type"]') $(json $OURS '["plugins"][1]["type"]')" = "0.4.0 $PRIMARY moat" ] ||
	fail "$(cat $OURS)"

step "killed while it writes, it leaves a whole file or none"
for ((i = 0; i < 20; i++)); do
	rm -f $OURS $BIN/moat
	timeout -s KILL "0.00$((1 + i % 9))" "$INSTALL" run --conf-dir $CONF --bin-dir $BIN --settings $SETTINGS 2>/dev/null || true
	[ ! -e $BIN/moat ] || cmp -s "$BUILD/moat" $BIN/moat || fail "half a plugin"
	[ ! -e $OURS ] || [ "$(json $OURS '["plugins"][1]["type"]')" = moat ] || fail "half a conflist"
	[ ! -e $OURS ] || [ -e $BIN/moat ] || fail "a conflist without plugin"
done

install uninstall || fail "$(cat $T/install.err)"
conflist_write '{"type": "moat"}'
CONFLIST=$T/moat.conflist
finish

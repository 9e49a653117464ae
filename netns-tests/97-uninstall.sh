#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Uninstalling. The files go, and pods that run stay as they were; only `release` opens them, and leaves the node as it was found:
# tables, settings of bridges, the pod store.
#
#   ext --- node --- a (closed), b (made without moat, after it is uninstalled)
. "$(dirname "$0")/lib.sh"

INSTALL=$BUILD/moat-install
CONF=$T/conf.d BIN=$T/bin
mkdir -p $CONF $BIN
install() { "$INSTALL" "$1" --conf-dir $CONF --bin-dir $BIN "${@:2}" 2>$T/install.err; } # VERB [OPTION…]
says() { grep -q -- "$1" $T/install.err || fail "it does not say '$1': $(cat $T/install.err)"; }
# Everything of the node that moat ever sets, and its files.
node_state()
{
	nft list ruleset
	(cd $T && find conf.d bin -type f -exec sha256sum {} + | sort)
	find /run/moat -mindepth 1 2>/dev/null || true
	cat /proc/sys/net/ipv4/conf/all/send_redirects
	if [ "$PRIMARY" = bridge ]; then
		ip -d -o link show $BRIDGE | grep -oE 'no_linklocal_learn [01]|proxy_arp_pvlan (on|off)' | sort
		cat /proc/sys/net/ipv4/conf/$BRIDGE/{proxy_arp_pvlan,send_redirects} /proc/sys/net/ipv6/conf/$BRIDGE/proxy_ndp
		ip -6 neigh show proxy dev $BRIDGE
		ip ntable show dev $BRIDGE | grep -o 'proxy_delay [0-9]*'
	fi
}

topology
[ "$PRIMARY" != bridge ] || bridge_make
conflist_write
cp $CONFLIST $CONF/10-primary.conflist
cp /bin/true $BIN/other
node_state >$T/found
code=0
timeout 0.5 "$INSTALL" run --conf-dir $CONF --bin-dir $BIN 2>$T/install.err || code=$?
install check || fail "$(cat $T/install.err)"
CONFLIST=$CONF/00-moat.conflist
manifest_namespace default
pod_add a
daemon_start
deny ext a 80

step "release does nothing while conflist or daemon are there"
! install release || fail "it released"
says 'uninstall first'
cp $CONFLIST $T/kept.conflist
CONFLIST=$T/kept.conflist
install uninstall || fail "$(cat $T/install.err)"
! install release || fail "it released"
says 'moat-policyd runs'
deny ext a 80

step "uninstalled: the files are as they were found, and pods that run stay closed, with the daemon and without"
[ "$(cd $T && find conf.d bin -type f -exec sha256sum {} + | sort)" = "$(grep -E '^[0-9a-f]{64} ' $T/found)" ] || fail "$(find $CONF $BIN)"
install uninstall || fail "not idempotent: $(cat $T/install.err)"
daemon_stop TERM
deny ext a 80
deny a ext 80

step "a plugin that somebody else's conflist chains stays"
cp $T/kept.conflist $CONF/50-by-hand.conflist
cp "$BUILD/moat" $BIN/moat
install uninstall || fail "$(cat $T/install.err)"
says 'another network configuration chains moat'
[ -x $BIN/moat ] || fail "it is gone"
rm $CONF/50-by-hand.conflist $BIN/moat

step "released, as in a container, whose /proc/sys cannot be written: the node is as it was found, and the pod is open"
mkdir $T/net
mount --bind /proc/sys/net $T/net
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
! { echo 1 >/proc/sys/net/ipv4/conf/all/send_redirects; } 2>/dev/null || fail "/proc/sys can be written"
export MOAT_SYSCTL_NET=$T/net
install release || fail "$(cat $T/install.err)"
says 'released attachments=1'
node_state >$T/left
diff $T/found $T/left >$T/difference || fail "not as found: $(cat $T/difference)"
allow ext a 80
allow a ext 80
install release || fail "not idempotent: $(cat $T/install.err)"

unset MOAT_SYSCTL_NET
umount /proc/sys
step "a damaged pod store does not keep it from ending"
pod_add c
echo nonsense >"$(find /run/moat/pods -type f | head -n 1)"
install release || fail "$(cat $T/install.err)"
node_state >$T/left
diff <(grep -v 'neigh' $T/found) $T/left >$T/difference || fail "not as found: $(cat $T/difference)"
allow ext c 80

step "without CAP_NET_ADMIN it says what is missing"
! setpriv --bounding-set -net_admin --inh-caps -net_admin "$INSTALL" release --conf-dir $CONF 2>$T/install.err || fail "it released"
says 'CAP_NET_ADMIN is missing'
! setpriv --bounding-set -net_admin --inh-caps -net_admin "$INSTALL" preflight --conf-dir $CONF 2>$T/install.err || fail "preflight found nothing"
says 'CAP_NET_ADMIN is missing'

CONFLIST=$CONF/10-primary.conflist
pod_del a
pod_del c
conflist_write '{"type": "moat"}'
finish

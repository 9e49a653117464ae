#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# DEL of moat comes first, then the primary's, which hangs, or fails, while the pod still runs: from moat's DEL on the pod is closed both
# ways until its link is gone, whatever happens meanwhile; others notice nothing. Under the leak counter.
#
#   client, db, other, ext, node as on top of lib/leak.sh; client is the pod whose DEL sticks
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

# A primary in front of the real one: its DEL does what the file says.
mkdir $T/plugins
cat >$T/plugins/stuck <<END
#!/bin/bash
if [[ \$CNI_COMMAND = DEL && \$CNI_CONTAINERID = client-* ]]; then
	case \$(cat $T/del) in
	hang) echo \$\$ >$T/hanging; exec sleep 1000 ;;
	fail) echo '{ "cniVersion": "1.0.0", "code": 11, "msg": "try again later" }'; exit 1 ;;
	esac
fi
exec $CNI_PLUGINS/$PRIMARY
END
chmod +x $T/plugins/stuck
CNI_PLUGINS=$T/plugins:$CNI_PLUGINS
echo works >$T/del

# What a node does while a pod sticks.
meanwhile()
{
	pod_add passing
	sweep
	pod_del passing
	daemon_stop KILL
	daemon_start
	leak_policies
	settled
	leak_sleep 0.2
	set_has ports "$PORT_OF_CLIENT" || fail "the port of client is open"
}

leak_field
# The field's pods are the real primary's; client gets this one.
sed -i "s/\"type\": \"$PRIMARY\"/\"type\": \"stuck\"/" $CONFLIST
PORT_OF_CLIENT=${PORT[client]}
leak_start
leak_sleep 0.3

step "the primary's DEL hangs"
echo hang >$T/del
leak_set either 'client>*' '*>client/*'
background cni del client
hanging=$BACKGROUND
wait_until 5 test -s $T/hanging || fail "the primary was not called: $(cat "$BACKGROUND_OUT")"
PIDS+=("$(cat $T/hanging)")
leak_set deny 'client>*' '*>client/*'
echo works >$T/del
meanwhile

step "its runtime gives up and tries again: the primary's DEL fails"
kill -KILL "$hanging" "$(cat $T/hanging)"
{ wait "$hanging" || true; } 2>/dev/null
echo fail >$T/del
! cni del client >$T/out 2>&1 || fail "a failing primary's DEL succeeds"
grep -q 'try again later' $T/out || fail "$(cat $T/out)"
meanwhile

step "at last it works"
echo works >$T/del
leak_unsend client
pod_del client
leak_sleep 0.1
meanwhile_gone() { ! set_has ports "$PORT_OF_CLIENT"; }
sweep
wait_until 5 meanwhile_gone || fail "the port of client is kept"
leak_stop
finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod that runs on this node, was never attached and cannot be adopted is told, and nobody else is: the node's own pods, those that
# wait for their network, have finished or were just deleted.
#
#   ext --- node --- guarded          by ptp and moat
#               \--- escapee          by ptp alone: started before moat was, and the API names an address that it has not
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

# odd_pod NAME SPEC STATUS: of this node, without a network
odd_pod()
{
	manifest "pod-$1" <<-END
	apiVersion: v1
	kind: Pod
	metadata: { name: $1, namespace: default, uid: uid-$1 }
	spec: { nodeName: $NODE_NAME, containers: [ { name: main, image: none } ]$2 }
	status: { $3 }
	END
}

status_code() { CODE=0; "$BUILD/moatctl" status >"$T/status.text" 2>&1 || CODE=$?; }
escapes() { grep -c 'escaped; it runs here' "$T/status.text" || true; }
none_escaped() { status_code; (($(escapes) == 0 && CODE == 0)); }
logged() { grep -c "event=escape pod=default/$1 " "$DAEMON_LOG" || true; }

topology
manifest_namespace default
conflist_write
pod_add escapee
conflist_write '{"type": "moat"}'
pod_add guarded
odd_pod escapee '' 'phase: Running, podIPs: [ { ip: 10.1.0.240 } ]'
manifest_pod guarded
odd_pod host ', hostNetwork: true' 'phase: Running, podIPs: [ { ip: 192.168.50.1 } ]'
odd_pod waiting '' 'phase: Pending'
odd_pod unknown '' ''
odd_pod 'done' '' 'phase: Succeeded, podIPs: [ { ip: 10.1.0.200 } ]'
odd_pod failed '' 'phase: Failed, podIPs: [ { ip: 10.1.0.201 } ]'

step "told in status and log: this one, and none but this one"
daemon_start
settled
allow ext escapee 80 # it is one
deny ext guarded 80
status_code
grep -qF "! default/escapee 10.1.0.240: escaped" "$T/status.text" || fail "status: $(cat "$T/status.text")"
(($(escapes) == 1)) || fail "status tells of $(escapes): $(cat "$T/status.text")"
((CODE == 1)) || fail "moatctl status ended with $CODE"
grep -qF "1 attached, 0 adopted on node $NODE_NAME" "$T/status.text" || fail "status: $(cat "$T/status.text")"
(($(logged escapee) == 1)) || fail "logged $(logged escapee) times"
(($(grep -c event=escape "$DAEMON_LOG") == 1)) || fail "log: $(grep event=escape "$DAEMON_LOG")"

step "of another node it would be none"
daemon_stop TERM
NODE_NAME=node2 daemon_start
settled
none_escaped || fail "status: $(cat "$T/status.text")"
daemon_stop TERM
daemon_start
settled

step "deleted and made again, chained: no escape, and closed"
pod_del escapee
manifest_remove pod-escapee
pod_add escapee
manifest_pod escapee
settled
none_escaped || fail "status: $(cat "$T/status.text")"
deny ext escapee 80

step "deleted: its object outlives it, and is no escape"
pod_del escapee
settled
none_escaped || fail "status: $(cat "$T/status.text")"
(($(logged escapee) == 2)) || fail "logged $(logged escapee) times, expected once by each daemon of $NODE_NAME"

step "lost by the pod store while its link stands: told"
state="/run/moat/pods/$NETWORK/${CONTAINER[guarded]}:eth0"
cp -p "$state" $T/state
rm "$state"
guarded_escaped() { status_code; (($(escapes) == 1)) && grep -q '! default/guarded .*escaped' "$T/status.text"; }
wait_until 5 guarded_escaped || fail "status: $(cat "$T/status.text")"
deny ext guarded 80 # what stands in the kernel stands
cp -p $T/state "$state"
wait_until 5 none_escaped || fail "status: $(cat "$T/status.text")"

step "a name that is none is refused"
for name in Node_1 ""; do
	code=0
	"$BUILD/moat-policyd" run --manifests $MANIFESTS --node "$name" 2>$T/err || code=$?
	((code == 1)) && grep -q 'not the name of a node' $T/err || fail "--node '$name' ended with $code: $(cat $T/err)"
done

finish

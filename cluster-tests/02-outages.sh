#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The API server is killed, cut off, and comes back with its history compacted (410 Gone); etcd is stopped. All under the leak counter:
# meanwhile nothing that is closed opens and nothing that is open closes; what was changed meanwhile holds once the daemon is back.
#
#   control, client, db, other, ext, node as on top of lib.sh and netns-tests/lib/leak.sh
#
# Needs: etcd kube-apiserver kubectl
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/api.sh
. "$CLUSTER/lib/api.sh"
# shellcheck source=SCRIPTDIR/../netns-tests/lib/leak.sh
. "$HERE/lib/leak.sh"

all=('other>db/*')
# changed allow|deny COMMAND…: a change that is about other ==> db alone.
changed()
{
	leak_set either "${all[@]}"
	"${@:2}"
	settled 60
	leak_set "$1" "${all[@]}"
	leak_sleep 0.2
}

open_other() { policy extra default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { namespaceSelector: { matchLabels: { team: tools } } } ] } ]'; }

logged() { (($(grep -c -- "$1" "$DAEMON_LOG") > $2)); } # WORD MORE_THAN
times() { grep -c -- "$1" "$DAEMON_LOG" || true; }

# What leaves the node for the API server is lost without a word, as on a broken wire; the control plane itself works on.
cut_off()
{
	in_netns "$CONTROL" nft -f - <<-END
	table inet cut {
		chain input { type filter hook input priority 0; }
	}
	add rule inet cut input tcp dport 6443 iifname eth0 drop
	END
}
heal() { in_netns "$CONTROL" nft delete table inet cut; }
inside() { in_netns "$CONTROL" kubectl "$@" >/dev/null; } # from the control plane's own host


leak_field
policy tools tools 'podSelector: {}, policyTypes: [ Egress ], egress: [ { to: [ { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: default } }, podSelector: { matchLabels: { role: db } } } ] } ]'
settled
leak_start

step "the API server is killed, and comes back"
apiserver_kill
leak_sleep 2
deny other db 80
allow client db 80
apiserver_start
changed allow open_other
changed deny policy_remove extra

step "etcd is stopped: the API server answers errors, and then goes on"
component_stop etcd
wait_until 30 eval '! kubectl get --raw /readyz >/dev/null 2>&1' || fail "the API server is well without etcd"
leak_sleep 2
deny other db 80
allow client db 80
etcd_start
ready kube-apiserver 60 kubectl get --raw /readyz
changed allow open_other
changed deny policy_remove extra

step "a daemon that starts while there is no API server: what is in force stays"
apiserver_kill
daemon_stop KILL
"$BUILD/moat-policyd" run "${POLICYD_SOURCE[@]}" --node "$NODE_NAME" >>"$DAEMON_LOG" 2>&1 &
DAEMON=$!
PIDS+=("$DAEMON")
leak_sleep 2
deny other db 80
allow client db 80
apiserver_start
wait_until 60 synced || fail "the daemon does not get synced"
changed allow open_other

step "cut off while the policy goes and history is compacted: 410 Gone"
expired=$(times kube-expired)
cut_off
leak_set either "${all[@]}"
inside -n default delete networkpolicy extra
rm "$MANIFESTS/policy-extra.yaml"
component_stop kube-apiserver KILL
etcd_compact
apiserver_start
heal
wait_until 90 logged kube-expired "$expired" || fail "no 410 was told"
settled 60
leak_set deny "${all[@]}"
leak_sleep 0.5
leak_stop
finish

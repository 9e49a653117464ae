#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon follows an API server, and whatever becomes of that, what is in force stays until complete new lists say otherwise: one
# that lies, that is killed, that a restarted daemon does not find, that comes back from an older backup.
#
#   ext --- node --- client, db, late              as on top of lib.sh; the API server is on the node
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/apiserver.sh
. "$HERE/lib/apiserver.sh"

in_force() # PORT: and nothing else
{
	allow client db "$1"
	deny client db $((161 - $1)) # 80 and 81
	deny ext db "$1"
}
told() { "$BUILD/moatctl" status | grep -q "$1"; }

topology
apiserver_start
pod_add client
pod_add db
api_pods client db

step "policies that were there and that come"
api_policy_clients
SOURCE=(--kubeconfig "$API/kubeconfig-name") # a name: resolved in a process of its own
daemon_start
deny client db 80
api_policy_db 80
eventually allow client db 80
in_force 80
hold_start flow client tcp "${ADDR4[db]}" 80

step "it forgets, and every list it gives breaks off: neither what is allowed changes nor what is denied"
api fault watch networkpolicies 100000 truncate
api fault list networkpolicies 100000 truncate
api compact
wait_until 10 told "ended before it was complete" || fail "broken lists are not told"
api delete networkpolicies default/db
in_force 80
hold_alive flow
pod_add late # in no policy's way: it gets nothing
deny client late 80
api clear
eventually deny client db 80
hold_dead flow
hold_stop flow

step "it is killed, and the daemon with it: what stands stays, and a new daemon without a server touches nothing"
api_policy_db 80
eventually allow client db 80
apiserver_kill
wait_until 10 told "onnect" || fail "that the server is gone is not told"
in_force 80
resolver=$(pgrep -P "$DAEMON" || true)
[ -n "$resolver" ] || fail "no process resolves the name"
grep -q 'CapEff:[[:space:]]*0*$' "/proc/$resolver/status" || fail "that process has capabilities"
daemon_stop KILL
wait_until 5 eval "[ ! -d /proc/$resolver ]" || fail "the resolving process outlives the daemon"
pod_identity # as a pod's: its token and CA are files, its server is in the environment
EXPECT_SYNCED='' daemon_start
in_force 80
pod_del late
pod_add late
deny_all client late

step "it comes back from a backup that knew another policy"
apiserver_start
api_pods client db late
api_policy_clients
api_policy_db 81
wait_synced
eventually allow client db 81
in_force 81

step "it goes back while it is watched: all kinds are taken as one change, once the last is there"
api fault watch namespaces 100000 status 503
api fault list namespaces 100000 status 503
api forget
api version 3
api_pods client db late
api_policy_clients
api_policy_db 80
api drop
wait_until 10 told "in force until a new list is complete" || fail "that lists are read anew is not told"
in_force 81
api clear
eventually allow client db 80
in_force 80

step "its token is rotated: it is read anew"
api token second
echo second >$POD_FILES/token
api drop
api_policy_db 81
eventually allow client db 81
in_force 81

finish

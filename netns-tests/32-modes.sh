#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Modes with the daemon: what each makes of selected and of unselected pods, namespace labels that tighten and do not loosen, and a
# conflist that changes under running pods.
#
#   ext --- node --- plain (no policy), chosen (ingress tcp/80 from ext, egress nowhere)
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

counted() { (($(packets "observe_$1") > $2)); } # DIRECTION MORE_THAN
mode() { conflist_write "{\"type\": \"moat\", \"mode\": \"$1\"}"; }

chosen_policy()
{
	policy chosen default 'podSelector: { matchLabels: { role: chosen } }, policyTypes: [ Ingress, Egress ], ingress: [ { ports: [ { port: 80 } ] } ]'
}

enforced()
{
	allow ext chosen 80
	deny ext chosen 81
	deny ext chosen 80 udp
	deny chosen ext 80
}

topology
listen node
manifest_namespace default
mode standard
pod_add plain
pod_add chosen
step "standard: closed until the daemon has computed it"
deny_all ext plain
deny plain node 80
printf 'kind: [ no end\n' >"$MANIFESTS/broken.yaml"
manifest_pod plain
manifest_pod chosen role=chosen
chosen_policy
daemon_start
step "standard: and while there is a manifest that was never good, and could be its policy"
settled
deny_all ext plain
deny plain ext 80
enforced
rm "$MANIFESTS/broken.yaml"
step "standard: open when all is known; a selected pod only as its policies say"
eventually allow ext plain 80
allow_all ext plain
allow_all plain ext
enforced
step "standard: a file that breaks later keeps its last good version, and closes nobody"
printf 'kind: [ no end\n' >>"$MANIFESTS/policy-chosen.yaml"
settled
status_says 'policy-chosen.yaml: in force is the last good version' || fail "status: $(cat "$T/status.text")"
allow ext plain 80
enforced
chosen_policy
step "standard: a pod reaches its own node whatever its policies say"
allow_all chosen node
allow_all plain node

step "a namespace label tightens standard to strict, and back"
hold_start tightened ext tcp "${ADDR4[plain]}" 80
manifest_namespace default moat.cni/mode=strict
eventually deny ext plain 80
deny_all ext plain
deny plain node 80
deny chosen node 80
hold_dead tightened
enforced
manifest_namespace default
eventually allow ext plain 80

step "the daemon follows the conflist: preview for all attachments within two seconds"
daemon_stop TERM
daemon_start --conflist $CONFLIST
settled
enforced
mode preview
EVENTUALLY=2 eventually deny chosen node 80
step "preview: unselected pass and are counted as what strict would deny, selected are enforced"
ingress=$(packets observe_ingress) egress=$(packets observe_egress)
allow_all ext plain
allow_all plain ext
enforced
counted ingress "$ingress" || fail "ingress of plain was not counted"
counted egress "$egress" || fail "egress of plain was not counted"
status_says 'observed: [1-9][0-9]* ingress, [1-9][0-9]* egress' || fail "status: $(cat "$T/status.text")"

step "audit: all pass, counted"
mode audit
EVENTUALLY=2 eventually allow ext chosen 81
ingress=$(packets observe_ingress) egress=$(packets observe_egress)
allow_all ext chosen
allow_all chosen ext
allow_all chosen node
counted ingress "$ingress" || fail "ingress of chosen was not counted"
counted egress "$egress" || fail "egress of chosen was not counted"
allow ext chosen 80
allow_all ext plain

step "audit: a policy that changes, and a daemon that starts, take no connection away"
hold_start watched ext tcp "${ADDR4[chosen]}" 81
policy other default 'podSelector: {}, policyTypes: [ Ingress ]'
settled
daemon_stop TERM
daemon_start --conflist $CONFLIST
settled
wait_until 10 hold_answered watched $(($(hold_count watched) + 40)) || fail "hold watched is dead" # past the last look
policy_remove other
settled

step "strict, at once, with what was open"
hold_start audited ext tcp "${ADDR4[chosen]}" 81
hold_start audited6 ext tcp "${ADDR6[plain]}" 80
hold_start allowed ext tcp "${ADDR6[chosen]}" 80
mode strict
EVENTUALLY=2 eventually deny ext plain 80
deny_all ext plain
deny_all plain ext
enforced
hold_dead audited
hold_dead audited6
hold_alive allowed

step "a label does not loosen, and status says so"
manifest_namespace default moat.cni/mode=audit
settled
deny ext plain 80
enforced
state_says plain 'label is ignored' || fail "status says: $(state_of plain)"
state_says plain 'mode strict' || fail "status says: $(state_of plain)"
manifest_namespace default moat.cni/mode=everything
settled
deny ext plain 80
state_says plain 'label is ignored' || fail "status says: $(state_of plain)"

step "unless the daemon's options allow it"
manifest_namespace default moat.cni/mode=audit
daemon_stop TERM
daemon_start --conflist $CONFLIST --labels-may-loosen-to audit
settled
allow ext plain 80
allow ext chosen 81
manifest_namespace default moat.cni/mode=preview
eventually deny ext plain 80
enforced
state_says plain 'label is ignored' || fail "status says: $(state_of plain)"
manifest_namespace default

step "a conflist that is broken, or gone, changes nothing"
printf '{ "name": "stories", "plugins": [ ' >$CONFLIST
wait_until 3 status_says 'not JSON' || fail "status: $(cat "$T/status.text")"
deny ext plain 80
enforced
rm $CONFLIST
settled
deny ext plain 80
mode standard
EVENTUALLY=2 eventually allow ext plain 80

finish

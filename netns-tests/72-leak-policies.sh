#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Policies are added, narrowed, widened, replaced, renamed and removed, labels of pods and of namespaces flipped, under the leak
# counter: what a change does not concern loses nothing and leaks nothing, and what it does concern is as the policy says from the
# moment that the daemon has told of it. LEAK_ROUNDS of all that.
#
#   client, db, other, ext, node as on top of lib/leak.sh; the changes are about other ==> db
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

LEAK_ROUNDS=${LEAK_ROUNDS:-3}

# changes_to deny|allow PATTERN… -- COMMAND…: between the two states nothing is expected of the paths.
changes_to()
{
	local wanted=$1
	local -a paths=()
	shift
	while [ "$1" != -- ]; do
		paths+=("$1")
		shift
	done
	shift
	[ ${#paths[@]} = 0 ] || leak_set either "${paths[@]}"
	"$@"
	settled
	[ ${#paths[@]} = 0 ] || leak_set "$wanted" "${paths[@]}"
	leak_sleep 0.1
}

# db_takes NAME PORTS: from namespaces of the team tools; PORTS the inside of a list, nothing is all of everything.
db_takes()
{
	policy "$1" default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { namespaceSelector: { matchLabels: { team: tools } } } ]${2:+, ports: [ $2 ]} } ]"
}

# The same in one file of two policies: what each gives alone is less.
replaced()
{
	manifest policy-extra <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: extra-part, namespace: default }
	spec: { podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { namespaceSelector: { matchLabels: { team: tools } } } ], ports: [ { port: 5000 }, { port: 5000, protocol: UDP } ] } ] }
	---
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: extra-whole, namespace: default }
	spec: { podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: {}, namespaceSelector: { matchExpressions: [ { key: team, operator: In, values: [ tools ] } ] } } ] } ] }
	END
}

renamed()
{
	sed 's/name: extra-/name: renamed-/' "$MANIFESTS/policy-extra.yaml" >$T/renamed
	manifest policy-renamed <$T/renamed
	manifest_remove policy-extra
}

leak_field
policy tools tools 'podSelector: {}, policyTypes: [ Egress ], egress: [ { to: [ { namespaceSelector: { matchLabels: { team: default } }, podSelector: { matchLabels: { role: db } } } ] } ]'
settled
leak_start
all=('other>db/*')
# fragments are of UDP port 5000
narrow=('other>db/syn*' 'other>db/ack*' 'other>db/echo*' 'other>db/udp*:80')
for ((round = 1; round <= LEAK_ROUNDS; round++)); do
	step "round $round"
	changes_to allow "${all[@]}" -- db_takes extra
	changes_to deny "${narrow[@]}" -- db_takes extra '{ port: 5000, protocol: UDP }'
	changes_to allow "${narrow[@]}" -- db_takes extra
	changes_to "" -- replaced
	changes_to "" -- renamed
	changes_to deny "${all[@]}" -- manifest_namespace tools team=none
	changes_to allow "${all[@]}" -- manifest_namespace tools team=tools
	changes_to deny "${all[@]}" -- manifest_remove policy-renamed
	policy partners default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { namespaceSelector: {}, podSelector: { matchLabels: { role: partner } } } ] } ]'
	changes_to allow "${all[@]}" -- manifest_pod other role=partner
	changes_to deny "${all[@]}" -- manifest_pod other role=other
	policy_remove partners
done
leak_stop
finish

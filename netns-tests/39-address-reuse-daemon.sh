#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod goes and another has its addresses at once, while the former's peers still send: neither its policy nor its place in other
# pods' groups nor its connections pass on. And moatctl explain says of every pair what packets say.
#
#   ext --- node --- client, db; former, then heir, then stranger: all at 10.1.0.99, fd00:1::99
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

SAME=(10.1.0.99/24 fd00:1::99/64)

# agree A B…: explain and packets about every pair of these, tcp/80, tcp/81, udp/80 and icmp; counts into PAIRS and OPEN
PAIRS=0 OPEN=0
agree()
{
	local from to
	for from; do
		for to; do
			[ "$from" != "$to" ] || continue
			agree_on "$from" "$to" tcp/80 80 tcp
			agree_on "$from" "$to" tcp/81 81 tcp
			agree_on "$from" "$to" udp/80 80 udp
			agree_on "$from" "$to" icmp icmp tcp
		done
	done
}

party() # NAME FAMILY: as explain takes it
{
	local -n address=ADDR$2
	if [ -n "${CONTAINER[$1]:-}" ]; then echo "${NAMESPACE[$1]}/$1"; else echo "${address[$1]}"; fi
}

agree_on() # FROM TO TRAFFIC PORT PROTOCOL
{
	local code=0 wanted=answered timeout=4000
	"$BUILD/moatctl" explain "$(party "$1" 4)" "$(party "$2" 4)" "$3" >"$T/explained" 2>&1 || code=$?
	case $code in
	0) OPEN=$((OPEN + 1)) ;;
	1) wanted=dropped timeout=250 ;;
	*) fail "explain $1 $2 $3: $(cat "$T/explained")" ;;
	esac
	PAIRS=$((PAIRS + 1))
	outcome_is $wanted $timeout "$1" "$2" "$4" "$5" || fail "$1 -> $2 $3: $GOT, but explain: $(cat "$T/explained")"
}

topology
manifest_namespace default
for pod in client db; do
	pod_add $pod
	manifest_pod $pod role=$pod
done
policy client default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
policy db default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress, Egress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: former } } } ] }, { from: [ { podSelector: { matchLabels: { role: heir } } } ], ports: [ { port: 81 } ] } ]'
policy former default 'podSelector: { matchLabels: { role: former } }, policyTypes: [ Ingress, Egress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ] }, { from: [ { ipBlock: { cidr: 192.168.50.0/24 } }, { ipBlock: { cidr: "fd00:50::/64" } } ], ports: [ { port: 80, protocol: UDP } ] } ], egress: [ {} ]'
# The heir may send everything, so that only db's ingress keeps it from what the former could.
policy heir default 'podSelector: { matchLabels: { role: heir } }, policyTypes: [ Ingress, Egress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ], ports: [ { port: 81 } ] } ], egress: [ {} ]'
pod_add former "${SAME[@]}"
manifest_pod former role=former
daemon_start
settled

step "explain and packets, with the former"
agree client db former ext
step "$PAIRS pairs, $OPEN open"
((OPEN > 10 && PAIRS - OPEN > 10)) || fail "a table of one colour proves nothing"

for round in 1 2; do
	step "round $round: the former goes, the heir has its addresses; who spoke with the former still sends"
	for family in 4 6; do
		declare -n at=ADDR$family
		hold_start "tcp$family" client tcp "${at[former]}" 80
		hold_start "udp$family" client udp "${at[former]}" 80
		hold_start "ext$family" ext udp "${at[former]}" 80
		hold_start "out$family" former udp "${at[db]}" 80
	done
	pod_del former
	[ $round = 1 ] || rm "$MANIFESTS/pod-former.yaml" # in round 1 it stays, and claims the addresses
	pod_make heir
	[ $round = 2 ] || manifest_pod heir role=heir
	first_start sent heir "${ADDR4[db]}" 80
	first_start sent6 heir "${ADDR6[db]}" 80
	pod_connect heir "${SAME[@]}" || fail "ADD of heir"
	first_added sent
	first_added sent6
	deny client heir 80
	deny ext heir 80 udp
	[ $round != 2 ] || deny client heir 81
	manifest_pod heir role=heir
	settled
	allow client heir 81
	allow heir db 81
	deny client heir 80
	deny heir db 80
	deny ext heir 80 udp
	all_dead {tcp,udp,ext,out}{4,6}
	for name in sent sent6; do
		first_stop $name
		((ATTEMPTS > 5)) || fail "$name: only $ATTEMPTS attempts"
		((ANSWERS == 0)) || fail "$name: $ANSWERS of $ATTEMPTS answered: the heir was taken for the former"
	done
	for name in {tcp,udp,ext,out}{4,6}; do
		hold_stop "$name"
	done
	((round == 2)) && break
	pod_del heir
	rm "$MANIFESTS/pod-heir.yaml"
	pod_add former "${SAME[@]}"
	manifest_pod former role=former
	settled
	allow client former 80
	allow former db 80
done
rm -f "$MANIFESTS/pod-former.yaml"
settled

step "explain and packets, with the heir"
PAIRS=0 OPEN=0
agree client db heir
step "$PAIRS pairs, $OPEN open"

step "the same name once more, with another UID, while the manifest is still the former's: closed"
pod_del heir
pod_add heir "${SAME[@]}"
settled
deny client heir 81
deny heir db 81
state_says heir 'not known: closed' || fail "status says: $(state_of heir)"
manifest_pod heir role=heir
eventually allow client heir 81

step "a stranger that no manifest knows, at these addresses: nothing"
pod_del heir
pod_add stranger "${SAME[@]}"
settled
deny_all client stranger
deny_all stranger db
deny_all ext stranger

finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Manifests as they really come: hundreds at once, in any order, written in pieces, renamed in, moved from file to file, and broken
# in every way. The result is what the last state says, and what is broken keeps its last good version.
#
#   ext --- node --- front, back, web
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

# object_policy NAME ROLE PORT: a policy of web from pods of that role
object_policy()
{
	printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: %s, namespace: default }\nspec:\n' "$1"
	printf '  podSelector: { matchLabels: { role: web } }\n  policyTypes: [ Ingress ]\n  ingress:\n'
	printf '  - { from: [ { podSelector: { matchLabels: { role: %s } } } ], ports: [ { port: %s } ] }\n' "$2" "$3"
}

object_pod() # NAME NAMESPACE ADDRESS4: of another node
{
	printf 'apiVersion: v1\nkind: Pod\nmetadata: { name: %s, namespace: %s, uid: u-%s, labels: { role: %s } }\n' "$1" "$2" "$1" "$1"
	printf 'spec: { nodeName: elsewhere, containers: [ { name: c, image: i } ] }\nstatus: { phase: Running, podIPs: [ { ip: %s } ] }\n' "$3"
}

# in_pieces FILE <<END: written in place, in pieces of 40 bytes, each of which a reader may see
in_pieces() { dd "of=$1" bs=40 status=none; }

# What all the rounds end in: front may 80, back 81, whatever came before.
as_at_the_end()
{
	allow front web 80
	allow back web 81
	deny front web 81
	deny back web 80
	deny ext web 80
}

bad() # FILE LINE_OR_WORD TEXT_ON_STDIN: the file breaks; status names it and where, and nothing changes
{
	cat >"$MANIFESTS/$1"
	settled
	status_says "$1: in force is the last good version" || fail "$1 is not told: $(cat "$T/status.text")"
	status_says "error: .*$2" || fail "$1: no word of $2: $(cat "$T/status.text")"
}

topology
for pod in front back web; do
	pod_add $pod
done
daemon_start

step "three hundred files in random order: pods before namespaces before policies, and the other way"
for round in 1 2; do
	{
		echo "object_pods"
		for i in {1..120}; do echo "pod $i"; done
		for i in {1..60}; do echo "policy $i"; done
		for i in {1..117}; do echo "namespace $i"; done
		printf '%s\n' front back web
	} | shuf >"$T/order"
	while read -r kind i; do
		case $kind in
		pod) object_pod "remote-$i" "ns-$i" "10.9.$round.$i" | manifest "remote-$i" ;;
		namespace) manifest_namespace "ns-$i" "round=$round" ;;
		policy)
			# Everyone may, on a wrong port, until the last word on it
			object_policy "p-$i" front $((1000 + i)) >"$MANIFESTS/p-$i.yaml"
			object_policy "p-$i" front $((i == 7 ? 80 : 1000 + i)) | in_pieces "$MANIFESTS/p-$i.yaml"
			;;
		front | back | web) manifest_pod "$kind" "role=$kind" ;;
		object_pods) manifest_namespace default ;;
		esac
	done <"$T/order"
	object_policy back back 81 | manifest back
	for pod in front back; do
		policy "egress-$pod" default "podSelector: { matchLabels: { role: $pod } }, policyTypes: [ Egress ], egress: [ {} ]"
	done
	settled
	as_at_the_end
	status_says "305 objects in 305 files" || fail "status: $(cat "$T/status.text")"
	if ((round == 1)); then
		rm "$MANIFESTS"/*.yaml
		settled
		deny front web 80
		deny back web 81
	fi
done
! status_says ' ! .*yaml: in force is \(the last\|what\)' || fail "status: $(cat "$T/status.text")"

hold_start steady front tcp "${ADDR4[web]}" 80
hold_start steady6 front tcp "${ADDR6[web]}" 80

step "objects move between files, alone and all at once: nothing closes, nothing stays behind"
for i in 1 2 3 4 5; do
	mv "$MANIFESTS/p-7.yaml" "$MANIFESTS/moved-$i.yaml"
	mv "$MANIFESTS/moved-$i.yaml" "$MANIFESTS/p-7.yaml"
done
{
	object_policy p-7 front 80
	echo ---
	object_policy back back 81
} | manifest both
rm "$MANIFESTS/p-7.yaml" "$MANIFESTS/back.yaml"
settled
as_at_the_end
! status_says 'is in .* too' || fail "status: $(cat "$T/status.text")"
object_policy back back 81 | manifest back # twice now: the first to name it holds it
settled
status_says 'back.yaml' || fail "the doubled object is not told: $(cat "$T/status.text")"
object_policy p-7 front 80 | manifest both # and lets it go
settled
as_at_the_end
! status_says 'is in .* too' || fail "status: $(cat "$T/status.text")"

step "cut to nothing and rewritten, a hundred times"
for i in {1..100}; do
	: >"$MANIFESTS/other-$((i % 7)).yaml"
	object_policy "other-$((i % 7))" nobody $((80 + i % 2)) | in_pieces "$MANIFESTS/other-$((i % 7)).yaml"
done
settled
as_at_the_end
rm "$MANIFESTS"/other-*.yaml

step "broken: the last good version holds, status names file and line"
bad both.yaml 'line 4' <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: p-7, namespace: default }
	spec: [ no end
END
as_at_the_end
bad both.yaml 'line 7.*70000' <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: p-7, namespace: default }
	spec:
	  podSelector: {}
	  ingress:
	  - { ports: [ { port: 70000 } ] }
END
as_at_the_end
bad both.yaml 'line 6' <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: p-7, namespace: default }
	spec:
	  podSelector: {}
	  ingress: [ { from: [ { ipBlock: { cidr: 10.0.0.0/64 } } ] } ]
END
bad both.yaml 'line 5.*Near' <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: p-7, namespace: default }
	spec:
	  podSelector: { matchExpressions: [ { key: role, operator: Near, values: [ web ] } ] }
	  ingress: [ {} ]
END
bad both.yaml 'line 6.*podSelector.*twice' <<-END
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: { name: p-7, namespace: default }
	spec:
	  podSelector: {}
	  podSelector: {}
END
bad both.yaml 'line 2.*anchor' <<-END
	bomb:
	- &a [ x, x, x, x, x, x, x, x, x ]
	- &b [ *a, *a, *a, *a, *a, *a, *a, *a ]
	- &c [ *b, *b, *b, *b, *b, *b, *b, *b ]
END
as_at_the_end
bad both.yaml 'line 1' < <(printf 'a: '; printf '[%.0s' {1..20000}; printf ']%.0s' {1..20000})
bad both.yaml 'split it' < <(object_policy p-7 nobody 80; head -c 10000000 /dev/zero | tr '\0' '#')
as_at_the_end
bad both.yaml '' < <(head -c 3000 /dev/urandom)
as_at_the_end
hold_alive steady
hold_alive steady6

step "broken from the start: isolates what it would have selected, and opens nothing"
object_policy new everyone 70000 | manifest new
printf 'kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: { name: odd, namespace: default }\nspec: { podSelector: {}, ingress: [ { from: [ { cloudSelector: {} } ] } ] }\n' | manifest odd
settled
as_at_the_end
deny back front 80
status_says 'new.yaml: in force is what is good' || fail "status: $(cat "$T/status.text")"

step "right again: in force at once"
object_policy p-7 front 81 | manifest both
rm "$MANIFESTS/new.yaml" "$MANIFESTS/odd.yaml"
settled
allow front web 81
deny front web 80
hold_dead steady
hold_dead steady6
object_policy p-7 front 80 | manifest both
settled
as_at_the_end

finish

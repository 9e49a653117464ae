#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Connection tracking is only a memory: when somebody empties it, allowed connections go on and revoked ones stay dead, from
# whichever side the next packet comes. UDP and ICMP flows end with what allowed them like TCP's.
#
#   ext --- node --- client --tcp 80, 81, udp 80, echo--> db        db may speak first
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"

# db_allows [RULE…]: what the client may; egress of both is open to all
db_allows() { policy db default "podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ], ports: [ $1 ] } ]"; }
flush() { run conntrack -F 2>/dev/null && run conntrack -f ipv6 -F 2>/dev/null; }
tracked() { conntrack -L -f "$1" 2>/dev/null >"$T/tracked" && grep -qE "$2" "$T/tracked"; } # ipv4|ipv6 PATTERN
echoes_beyond() { (($(wc -l <"$1") > $2)); } # FILE COUNT

# A server that speaks without being asked, ten times a second, to whoever connects.
speaker_start() # POD PORT
{
	in_netns "$1" python3 -c '
import socket, sys, threading, time
server = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
def speak(connection):
    try:
        while True:
            connection.send(b"x")
            time.sleep(0.1)
    except OSError:
        pass
while True:
    threading.Thread(target=speak, args=(server.accept()[0],), daemon=True).start()
' "$2" &
	PIDS+=("$!")
	wait_until 5 eval "in_netns $1 ss -ltn | grep -q ':$2 '"
}

need_conntrack
topology
manifest_namespace default
for pod in client db; do
	pod_add $pod
	manifest_pod $pod role=$pod
	policy egress-$pod default "podSelector: { matchLabels: { role: $pod } }, policyTypes: [ Egress ], egress: [ {} ]"
done
# What comes from db the client may have: only `revoked` keeps db's next packet from reviving what died.
policy client-in default 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Ingress ], ingress: [ {} ]'
db_allows '{ port: 80 }, { port: 81 }, { port: 82 }, { port: 80, protocol: UDP }, { port: 81, protocol: UDP }'
daemon_start
settled
speaking=
if command -v python3 >/dev/null && python3 -c 'import socket, threading' 2>/dev/null; then
	speaking=yes
	speaker_start db 82
else
	step "no python3: no server that speaks unasked; retransmissions of answers must do"
fi

kept=(kept{4,6} udp-kept{4,6} outside{4,6})
lost=(lost{4,6} udp-lost{4,6})
[ -z $speaking ] || lost+=(spoken{4,6})
for family in 4 6; do
	declare -n address=ADDR$family
	hold_start "kept$family" client tcp "${address[db]}" 81
	hold_start "udp-kept$family" client udp "${address[db]}" 81
	hold_start "outside$family" client tcp "${address[ext]}" 80
done

step "flushed three times: allowed connections go on"
for _ in 1 2 3; do
	flush
	all_alive "${kept[@]}"
done

# Opened after the flushes: a connection whose entry was lost, and whose next packet is db's, is tracked as db's own from then on, and
# that one policy allows here.
for family in 4 6; do
	declare -n address=ADDR$family
	hold_start "lost$family" client tcp "${address[db]}" 80
	hold_start "udp-lost$family" client udp "${address[db]}" 80
	[ -z $speaking ] || hold_start "spoken$family" client tcp "${address[db]}" 82
done
all_alive "${lost[@]}"

step "narrowed: what it denies dies, over UDP too, the rest lives"
db_allows '{ port: 81 }, { port: 81, protocol: UDP }'
settled
all_dead "${lost[@]}"
all_alive "${kept[@]}"
deny client db 80
deny client db 80 udp
! tracked ipv4 "tcp .*dst=${ADDR4[db]} .*dport=80 .*ASSURED" || fail "a denied connection is still tracked"

step "flushed: it stays dead, although both sides send and the server's egress is open"
for _ in 1 2; do
	flush
	all_dead "${lost[@]}"
	all_alive "${kept[@]}"
done

step "and a new connection of the server to the client is not what died"
allow db client 80
all_dead "${lost[@]}"

step "echo requests under way end with the rule that allowed them"
policy db default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ] } ]'
settled
for family in 4 6; do
	declare -n address=ADDR$family
	background nsenter --net=/run/netns/client ping "-$family" -i 0.05 -n "${address[db]}"
	pinger=$BACKGROUND out=$BACKGROUND_OUT
	wait_until 5 eval "grep -q 'seq=5 ' $out" || fail "no echo: $(cat "$out")"
	db_allows '{ port: 81 }, { port: 81, protocol: UDP }'
	settled
	! wait_until 1 echoes_beyond "$out" $(($(wc -l <"$out") + 1)) || fail "echo goes on: $(tail -n 1 "$out")"
	kill "$pinger"
	deny client db icmp
	policy db default 'podSelector: { matchLabels: { role: db } }, policyTypes: [ Ingress ], ingress: [ { from: [ { podSelector: { matchLabels: { role: client } } } ] } ]'
	settled
done
all_alive "${kept[@]}"

finish

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Modes of the conflist hold from ADD on and need no daemon: audit and preview let through and count; strict and standard are
# closed until the daemon says more.
#
#   looked (audit), shown (preview), waiting (standard), closed (strict) --- node --- ext
. "$(dirname "$0")/lib.sh"

counted() { (($(packets "observe_$1") > $2)); }

topology
listen node
for pair in "looked audit" "shown preview" "waiting standard" "closed strict"; do
	read -r pod mode <<<"$pair"
	conflist_write "{\"type\": \"moat\", \"mode\": \"$mode\"}"
	pod_add "$pod"
	allow_all node "$pod"
done

step "audit and preview let through, and count"
for pod in looked shown; do
	ingress=$(packets observe_ingress) egress=$(packets observe_egress)
	allow_all $pod ext
	allow_all ext $pod
	allow_all $pod node
	counted ingress "$ingress" || fail "ingress of $pod was not counted"
	counted egress "$egress" || fail "egress of $pod was not counted"
done
allow_all looked shown
allow_all shown looked

step "standard and strict do not, whoever asks"
for pod in waiting closed; do
	deny_all $pod ext
	deny_all ext $pod
	deny_all $pod looked
	deny_all looked $pod
done
deny_all closed node

step "spoofing is never let through"
count_start spoofed ext "${ADDR4[ext]}" 5001
probe_in looked craft ip src="${ADDR4[shown]}" dst="${ADDR4[ext]}" / udp dport=5001 / text is=forged
probe_in looked craft ip src="${ADDR4[looked]}" dst="${ADDR4[ext]}" / udp sport=40001 dport=5001 / text is=forged
count_stop spoofed
((OTHER == 1)) || fail "$OTHER packets arrived, expected the honest one"
finish

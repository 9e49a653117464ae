#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A stranger flushes a base chain, or deletes the whole table, while no daemon runs. STATUS and CHECK tell; the next ADD repairs,
# for the pods that were there too.
#
#   a --- node --- b      then c, d, …: the pods whose ADD repairs
. "$(dirname "$0")/lib.sh"

status_says() # CODE WORD: 0 succeeds
{
	if [ "$1" = 0 ]; then
		plugin_works STATUS "" "$(config)"
	else
		plugin_fails "$1" "$2" STATUS "" "$(config)"
	fi
}

topology
pod_add a
pod_add b
deny_all a b
status_says 0
cni check a

n=0
for damage in "flush chain inet moat forward" "flush chain inet moat guard" "flush chain inet moat from" "flush chain inet moat to" \
	"insert rule inet moat forward accept" "add rule inet moat deny_egress accept" "delete table inet moat" "flush ruleset"; do
	step "$damage"
	# shellcheck disable=SC2086 # words of nft
	run nft $damage
	case $damage in
	*forward*) allow a b 80 ;; # this test can fail
	esac
	! cni check a >/dev/null 2>&1 || fail "CHECK sees nothing"
	case $damage in
	"delete table"* | "flush ruleset") ;; # whether that is 51 or a fresh node, STATUS may say
	*) status_says 51 "" ;;
	esac
	n=$((n + 1))
	pod_add c$n
	status_says 0
	cni check a
	cni check c$n
	deny_all a b
	deny a c$n 80
	deny ext a 80
	allow node a 80
	pod_del c$n
done
finish

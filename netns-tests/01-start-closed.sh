#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod starts closed in strict mode, both families, without a daemon; its node reaches it from the first moment.
#
#        ext  192.168.50.2, fd00:50::2           probers run in a, b and ext from before ADD
#         |
#   node  wire0 192.168.50.1  fd00:50::1
#         |             |
#         a 10.1.0.50   b 10.1.0.60              gateway 10.1.0.1, fd00:1::1 on both ports, fe80::… on each
#           fd00:1::50    fd00:1::60
. "$(dirname "$0")/lib.sh"

topology
listen node
pod_add b 10.1.0.60/24 fd00:1::60/64

step "nothing answers from the first instant on"
pod_make a
first_start out a 192.168.50.2 80 fd00:50::2 80 192.168.50.1 80 fd00:50::1 80 10.1.0.1 80 10.1.0.60 80 fd00:1::60 80
first_start wire ext 10.1.0.50 80 fd00:1::50 80
first_start pod b 10.1.0.50 80 fd00:1::50 80
pod_connect a 10.1.0.50/24 fd00:1::50/64
for prober in out wire pod; do
	first_added $prober
done

step "the node reaches its pods"
allow_all node a
allow_all node b

step "nobody else does, and they reach nobody"
for pair in "a b" "b a" "ext a" "a ext" "a node"; do
	# shellcheck disable=SC2086 # two words
	deny_all $pair
done
for gateway in 10.1.0.1 fd00:1::1; do
	deny_all a $gateway
done

step "not even over link-local addresses"
of_node=$(link_local_of_node a)
deny_all a "$of_node%eth0"

step "no multicast either"
before=$(packets lost)
probe_in a craft ip src="${ADDR6[a]}" dst="ff02::1" / udp dport=5353 / text is=forged
probe_in a craft ip src=fe80::1234 dst="$of_node" / udp dport=80 / text is=forged
(($(packets lost) > before)) || fail "chain lost has not counted a source that is not the pod's"

for prober in out wire pod; do
	first_stop $prober
	((ATTEMPTS > 100)) || fail "prober $prober made only $ATTEMPTS attempts"
	((ANSWERS == 0)) || fail "prober $prober got $ANSWERS answers to $ATTEMPTS attempts"
done
finish

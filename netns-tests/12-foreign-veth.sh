#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The port of a container is the other end of its interface, not whatever has the number of it: a veth pair between two other
# namespaces, and one here with the very same two numbers.
#
#   pod  eth0 (index 77) ---- peer (index 88) third           node  decoy (index 88) ---- eth0 (index 77) elsewhere
. "$(dirname "$0")/lib.sh"

topology
netns_add pod
netns_add third
netns_add elsewhere
ip -n pod link add eth0 index 77 type veth peer name peer index 88 netns third
ip link add decoy index 88 type veth peer name eth0 index 77 netns elsewhere

step "ADD does not take the decoy for the pod's port"
CONTAINER[pod]=pod-1
plugin_fails 102 'no veth peer' ADD pod "$(config prevResult "$(prev_result pod 10.1.0.9/24)")"
unset 'CONTAINER[pod]'

step "and takes the real one when it is here"
pod_add real
deny ext real 80
pod_del real
ip link del decoy
finish

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Pods: network namespaces that real CNI plugins connect, through a real conflist.

CONFLIST=$T/moat.conflist
RESULTS=$T/results
NETWORK=stories
NODE_NAME=node1
mkdir -p $RESULTS

declare -A CONTAINER  # container id by pod name: another one for each life of the name
declare -A PORT       # its host-side interface
declare -A NAMESPACE  # Kubernetes' one
declare -A POD_UID    # what an API server gave it; else it is made of the container id
LIVES=0

# conflist_write PLUGIN…: the conflist with the primary and what follows it, each an object; none is the primary alone.
conflist_write()
{
	local plugin chained=""
	for plugin; do
		chained+=", $plugin"
	done
	printf '{ "cniVersion": "1.0.0", "name": "%s", "plugins": [ %s%s ] }\n' "$NETWORK" "$(primary_config)" "$chained" >$CONFLIST
}

# cni VERB POD [OPTION…]: what a runtime does; the plugin's error, if any, is on stdout.
cni()
{
	local verb=$1 name=$2 ns
	shift 2
	ns=${NAMESPACE[$name]:-default}
	run "$DRIVER" "$verb" --conflist $CONFLIST --path "$BUILD:$CNI_PLUGINS" --cache $T/cni \
		--netns "/run/netns/$name" --container "${CONTAINER[$name]}" --result "$RESULTS/$name" \
		--args "IgnoreUnknown=1;K8S_POD_NAMESPACE=$ns;K8S_POD_NAME=$name;K8S_POD_UID=${POD_UID[$name]:-uid-${CONTAINER[$name]}}" "$@"
}

# pod_make NAME [--ns NAMESPACE]: namespace and listeners, no network yet; what runs in it from now on sees the first instant.
pod_make()
{
	local name=$1
	NAMESPACE[$name]=default
	[ "${2:-}" != --ns ] || NAMESPACE[$name]=$3
	LIVES=$((LIVES + 1))
	CONTAINER[$name]=$name-$LIVES
	netns_add "$name"
	listen "$name"
}

# pod_connect NAME [ADDRESS…]: ADD; with these addresses if given, else host-local's next. Fails as ADD does.
pod_connect()
{
	local name=$1 ips="" address
	shift
	for address; do
		# shellcheck disable=SC2089 # the quotes are JSON's
		ips+="${ips:+, }\"$address\""
	done
	# shellcheck disable=SC2090
	cni add "$name" ${ips:+--capabilities "{\"ips\": [$ips]}"} || return
	pod_addresses "$name"
}

# Takes addresses and port from the result, as the runtime would.
pod_addresses()
{
	local name=$1 found index
	found=$(grep -oE '"address": *"[^"]+"' "$RESULTS/$name" | sed 's/.*"\([^"]*\)\/[0-9]*"/\1/')
	ADDR4[$name]=$(grep -v : <<<"$found")
	ADDR6[$name]=$(grep : <<<"$found")
	# By the peer's index, and over netlink: /sys shows the namespace it was mounted in. (The result names it too, but is
	# what is being tested.)
	index=$(in_netns "$name" ip -o link show eth0 | sed 's/.*@if\([0-9]*\):.*/\1/')
	PORT[$name]=$(ip -o link | awk -F'[: @]+' -v index_="$index" '$1 == index_ { print $2 }')
}

# pod_add NAME [--ns NAMESPACE] [ADDRESS…]
pod_add()
{
	local name=$1 ns=default
	shift
	if [ "${1:-}" = --ns ]; then
		ns=$2
		shift 2
	fi
	pod_make "$name" --ns "$ns"
	pod_connect "$name" "$@" || fail "ADD of $name"
	note "$name: ${ADDR4[$name]} ${ADDR6[$name]} at ${PORT[$name]}"
}

# pod_forget NAME: the sandbox ends, whether or not there was a DEL.
pod_forget()
{
	listen_stop "$1"
	run ip netns del "$1"
	unset "CONTAINER[$1]" "ADDR4[$1]" "ADDR6[$1]" "PORT[$1]" "NAMESPACE[$1]"
}

pod_del()
{
	cni del "$1" || fail "DEL of $1"
	pod_forget "$1"
}

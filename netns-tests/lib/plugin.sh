# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The plugin called directly, with a scripted prevResult: for what Debian's plugins (CNI 1.0.0) and polite runtimes never do.

# config [KEY VALUE]…: a configuration of type moat; VALUE is JSON.
config()
{
	local text="{ \"cniVersion\": \"1.1.0\", \"name\": \"$NETWORK\", \"type\": \"moat\""
	while (($# > 0)); do
		text+=", \"$1\": $2"
		shift 2
	done
	echo "$text }"
}

# prev_result NAME ADDRESS/BITS…: what a primary of CNI 1.1.0 would say of a pod whose link exists.
prev_result()
{
	local name=$1 ips="" address
	shift
	for address; do
		ips+="${ips:+, }{ \"interface\": 1, \"address\": \"$address\" }"
	done
	echo "{ \"cniVersion\": \"1.1.0\", \"ips\": [ $ips ], \"dns\": {}, \"interfaces\": [
		{ \"name\": \"port-$name\" }, { \"name\": \"eth0\", \"sandbox\": \"/run/netns/$name\" } ] }"
}

# plugin VERB POD CONFIG [ENV…]: output in $T/out and $T/err, exit code in CODE. POD may be "" for verbs without one.
plugin()
{
	local verb=$1 name=$2 config=$3
	shift 3
	local -a env=("CNI_COMMAND=$verb" "CNI_PATH=$BUILD:$CNI_PLUGINS")
	[ -z "$name" ] || env+=("CNI_CONTAINERID=${CONTAINER[$name]}" "CNI_NETNS=/run/netns/$name" "CNI_IFNAME=eth0")
	CODE=0
	run env "${env[@]}" "$@" "$MOAT" <<<"$config" >$T/out 2>$T/err || CODE=$?
	note "exit code $CODE: $(head -c 300 $T/out)"
}

plugin_works() # as plugin; fails the story if the plugin fails
{
	plugin "$@"
	((CODE == 0)) || fail "$1 of ${2:-nobody}: exit code $CODE: $(cat $T/out $T/err)"
}

# plugin_fails ERROR_CODE WORD VERB POD CONFIG [ENV…]: the specification's error, with a message that says WORD.
plugin_fails()
{
	local wanted=$1 word=$2 got
	shift 2
	plugin "$@"
	((CODE != 0)) || fail "$1 succeeded, expected error $wanted ($word)"
	got=$(error_code $T/out)
	[ "$got" = "$wanted" ] || fail "$1: error code ${got:-missing}, expected $wanted ($word): $(cat $T/out $T/err)"
	grep -qi -- "$word" $T/out || fail "$1: the message does not say '$word': $(cat $T/out)"
	! LC_ALL=C grep -qP '[^\x20-\x7e\n\t]' $T/out || fail "$1: control characters in the error"
}

error_code() { grep -oE '"code": *[0-9]+' "$1" | grep -oE '[0-9]+' || true; } # FILE

# link_make NAME ADDRESS/BITS…: what a routed primary leaves behind: a veth with the port on the node, addresses, routes.
link_make()
{
	local name=$1 address
	shift
	run ip link add "port-$name" type veth peer name eth0 netns "$name"
	run ip link set "port-$name" up
	in_netns "$name" ip link set eth0 up
	PORT[$name]=port-$name
	for address; do
		if [[ $address == *:* ]]; then ADDR6[$name]=${address%/*}; else ADDR4[$name]=${address%/*}; fi
		in_netns "$name" ip addr add "$address" dev eth0
		run ip route replace "${address%/*}" dev "port-$name" # a former owner's link may not be gone yet
	done
	# The gateways, as ptp numbers them: one address on every port.
	run ip addr add 10.1.0.1/32 dev "port-$name"
	run ip addr add fd00:1::1/128 dev "port-$name" nodad
	in_netns "$name" ip route add 10.1.0.1 dev eth0
	in_netns "$name" ip route add default via 10.1.0.1
	in_netns "$name" ip -6 route add fd00:1::1 dev eth0
	in_netns "$name" ip -6 route add default via fd00:1::1
}

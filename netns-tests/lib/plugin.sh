# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The plugin called directly, with the result of a scripted primary: for what Debian's plugins (CNI 1.0.0) and polite runtimes never do.

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

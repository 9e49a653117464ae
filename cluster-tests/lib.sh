# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every story with real components starts with. It is a story of netns-tests in all else: namespaces of its own, the same
# node, pods, probes and counters (netns-tests/lib.sh).
#
#      control 192.168.60.2                    etcd and kube-apiserver, on a link of their own
#       |
#      node                                    moat's table, pods, the wire to `ext`
#
# A story's head says what it needs: "# Needs: etcd kube-apiserver kubectl". cluster-tests/run builds that, or finds it where
# KUBEBUILDER_ASSETS says, and gives the directories in COMPONENTS.

# Runtimes leave children behind that outlive them: with a process namespace of its own all of a story ends with it.
export STORY_NAMESPACES=${STORY_NAMESPACES:--Urnmpf --map-root-user --kill-child --mount-proc}
CLUSTER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/../netns-tests/lib.sh
. "$CLUSTER/../netns-tests/lib.sh"
PATH=${COMPONENTS:-}:$PATH
LOGS=$T/logs
mkdir -p $LOGS

# need COMMAND…: what the head of the story says, or the story is skipped.
need()
{
	local missing=""
	for command; do
		command -v "$command" >/dev/null || missing+=" $command"
	done
	[ -z "$missing" ] || skip "not there:$missing (cluster-tests/run builds what is Go's, with Go 1.24 or newer; the rest is in Debian)"
}
# shellcheck disable=SC2046 # words
need $(sed -n 's/^# Needs: //p' "$0")

# component NAME WHERE COMMAND…: in the background, in the namespace of a host or on the node, with its log in $LOGS. By name, since
# some are stopped, killed and started again.
declare -A COMPONENT
component()
{
	local name=$1 where=$2
	shift 2
	note "$name on $where: $*"
	if [ "$where" = node ]; then
		"$@" >>"$LOGS/$name" 2>&1 &
	else
		nsenter "--net=/run/netns/$where" "$@" >>"$LOGS/$name" 2>&1 &
	fi
	COMPONENT[$name]=$!
	PIDS+=("$!")
}

component_alive() { kill -0 "${COMPONENT[$1]}" 2>/dev/null; }

component_stop() # NAME [SIGNAL]
{
	kill "-${2:-TERM}" "${COMPONENT[$1]}"
	wait "${COMPONENT[$1]}" 2>/dev/null || true
	unset "COMPONENT[$1]"
}

# ready NAME SECONDS COMMAND…: polls; a component that has ended meanwhile is told with the end of its log.
ready()
{
	local name=$1 seconds=$2
	shift 2
	wait_until "$seconds" ready_or_dead "$name" "$@" || fail "$name does not get ready: $(tail -n 20 "$LOGS/$name")"
	component_alive "$name" || fail "$name has ended: $(tail -n 20 "$LOGS/$name")"
}

ready_or_dead()
{
	local name=$1
	shift
	! component_alive "$name" || "$@" >/dev/null 2>&1
}

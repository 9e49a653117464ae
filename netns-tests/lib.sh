# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every story starts with: `. "$(dirname "$0")/lib.sh"`.
#
# A story is a script with its topology drawn on top. Sourcing this file moves it into namespaces of its own (user, network,
# mount, uts) with a fresh tmpfs on /run, so nothing it does can touch the host's firewall, interfaces or /run, and nobody
# needs root. Its own network namespace is the node:
#
#      ext     192.168.50.2, fd00:50::2        a host on the wire
#       |
#      wire0   192.168.50.1, fd00:50::1        the node: the story's own namespace, where moat's table lives
#       | veth…        | veth…                 made by the primary plugin: ptp, or bridge (then both are ports of cni0)
#      pod a          pod b                    10.1.0.0/24, fd00:1::/64 by host-local, gateway .1 and ::1
#
# Environment: PRIMARY is ptp (the default) or bridge; VERBOSE=1 echoes every command; BUILD is the build directory; CNI_PLUGINS
# the directory of the real plugins. A story ends with `finish`, which asserts that nothing was left behind; exit code 77 says skipped.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$(cd "$HERE/.." && realpath -m "${BUILD:-build}")
export BUILD

if [ -z "${MOAT_STORY:-}" ]; then
	# STORY_NAMESPACES: of the few that need root of the machine, for what a user namespace may not do
	# shellcheck disable=SC2086 # options
	exec unshare ${STORY_NAMESPACES:--Urnm --map-root-user} env MOAT_STORY=1 "BUILD=$BUILD" bash "$0" "$@"
fi
# Whoever runs the story has an /run, a /tmp and state directories: none of them is the story's.
mount -t tmpfs -o mode=0755 tmpfs /run || exit 1 # never on the host's
unset MOAT_RUN_DIR XDG_RUNTIME_DIR CNI_ARGS CNI_COMMAND CNI_CONTAINERID CNI_NETNS CNI_IFNAME CNI_PATH
umask 022
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps nft and ip, and does not show them to users

T=/run/story # all files of the story, gone with its mount namespace
mkdir -p $T
STORY=$(basename "$0" .sh)
CNI_PLUGINS=${CNI_PLUGINS:-/usr/lib/cni}
[ -x "$CNI_PLUGINS/host-local" ] || CNI_PLUGINS=/opt/cni/bin
PROBE=$BUILD/netns-tests/probe
DRIVER=$BUILD/netns-tests/cnidriver
MOAT=$BUILD/moat
PIDS=()     # background processes, killed at the end
DAEMON_LOG=$T/policyd.log

step() { printf '%s: %s\n' "$STORY" "$*"; }
note() { [ -z "${VERBOSE:-}" ] || printf '    %s\n' "$*"; }

# Runs and, when VERBOSE, echoes.
run()
{
	[ -z "${VERBOSE:-}" ] || printf '  + %s\n' "$*"
	"$@"
}

skip()
{
	trap - ERR
	printf 'skipped: %s\n' "$*"
	exit 77
}

# A failure shows what one would ask for first.
fail()
{
	trap - ERR
	{
		printf 'FAIL %s: %s\n' "$STORY" "$*"
		printf '  called from:'
		local i
		for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do
			printf ' %s:%s' "$(basename "${BASH_SOURCE[i]}")" "${BASH_LINENO[i - 1]}"
		done
		printf '\n---- nft list ruleset\n'
		nft list ruleset
		printf -- '---- %s\n' "${MOAT_RUN_DIR:-/run/moat}"
		find "${MOAT_RUN_DIR:-/run/moat}" -printf '%p %l\n'
		if [ -s "$DAEMON_LOG" ]; then
			printf -- '---- daemon log\n'
			tail -n 100 "$DAEMON_LOG"
		fi
	} 2>&1
	exit 1
}

# wait_until SECONDS COMMAND…: polls; never a bare sleep in a story.
wait_until()
{
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	note "until $*"
	until "$@"; do
		((${EPOCHREALTIME/./} < end)) || return 1
		sleep 0.02
	done
}

# elapsed_ms COMMAND…: runs it and leaves its time in ELAPSED and its exit code in CODE.
elapsed_ms()
{
	local start=${EPOCHREALTIME/./}
	CODE=0
	run "$@" || CODE=$?
	# shellcheck disable=SC2034 # read by stories
	ELAPSED=$(((${EPOCHREALTIME/./} - start) / 1000))
}

background() # COMMAND…: its process id in BACKGROUND, its output in the file BACKGROUND_OUT
{
	BACKGROUND_OUT=$(mktemp $T/out.XXXXXX)
	note "in the background: $*"
	"$@" >"$BACKGROUND_OUT" 2>&1 &
	BACKGROUND=$!
	PIDS+=("$BACKGROUND")
}

# A process in the background that a story stops; its last line of output in LAST. (Not on stdout: only the shell that
# started it can wait for it.)
stop_background() # PID OUT
{
	kill -TERM "$1" 2>/dev/null || true # it may have ended by itself
	wait "$1" || true
	LAST=$(tail -n 1 "$2")
}

cleanup()
{
	((${#PIDS[@]} == 0)) || kill -KILL "${PIDS[@]}" 2>/dev/null || true
}

set -eEuo pipefail
trap 'fail "exit code $? of: $BASH_COMMAND"' ERR
trap cleanup EXIT

# shellcheck source=SCRIPTDIR/lib/primary.sh
. "$HERE/lib/primary.sh"
# shellcheck source=SCRIPTDIR/lib/topology.sh
. "$HERE/lib/topology.sh"
# shellcheck source=SCRIPTDIR/lib/pods.sh
. "$HERE/lib/pods.sh"
# shellcheck source=SCRIPTDIR/lib/traffic.sh
. "$HERE/lib/traffic.sh"
# shellcheck source=SCRIPTDIR/lib/plugin.sh
. "$HERE/lib/plugin.sh"
# shellcheck source=SCRIPTDIR/lib/daemon.sh
. "$HERE/lib/daemon.sh"
# shellcheck source=SCRIPTDIR/lib/clean.sh
. "$HERE/lib/clean.sh"

for tool in "$PROBE" "$DRIVER" "$CNI_PLUGINS/$PRIMARY" "$CNI_PLUGINS/host-local"; do
	[ -x "$tool" ] || fail "$tool is missing: run make netns-tools; plugins are in package containernetworking-plugins"
done

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The daemon and its objects: Namespaces, Pods and NetworkPolicies as files.

MANIFESTS=$T/manifests
SOURCE=(--manifests "$MANIFESTS")
mkdir -p $MANIFESTS
DAEMON=

# shellcheck disable=SC2120 # options are optional
daemon_start() # [OPTION…]; EXPECT_SYNCED='' if it has no source that it could be in step with
{
	[ -x "$BUILD/moat-policyd" ] || skip "no moat-policyd in $BUILD"
	note "moat-policyd run ${SOURCE[*]} $*"
	"$BUILD/moat-policyd" run "${SOURCE[@]}" --node "$NODE_NAME" "$@" >>"$DAEMON_LOG" 2>&1 &
	DAEMON=$!
	PIDS+=("$DAEMON")
	if [ -n "${EXPECT_SYNCED-1}" ]; then
		wait_synced
	else
		wait_until 10 test -S /run/moat/policyd.sock || fail "the daemon does not start"
	fi
}

# A daemon that is asked to end does so with success, and leaves no children unwaited for while it runs.
daemon_stop() # [SIGNAL]
{
	local signal=${1:-TERM} code=0
	[ "$signal" != TERM ] || wait_until 2 childless || fail "children of the daemon are left: $(ps -o pid,stat,comm --ppid "$DAEMON")"
	kill "-$signal" "$DAEMON"
	wait "$DAEMON" 2>/dev/null || code=$?
	[ "$signal" != TERM ] || ((code == 0)) || fail "the daemon ended with exit code $code"
	DAEMON=
}

childless() { ! grep -qsE "^PPid:[[:space:]]*$DAEMON\$" /proc/[0-9]*/status; }

daemon_pause() { kill -STOP "$DAEMON"; }
daemon_resume() { kill -CONT "$DAEMON"; }

synced() { [[ $("$BUILD/moatctl" status --json 2>/dev/null) =~ \"synced\":\ *true ]]; }
wait_synced() { wait_until 10 synced || fail "the daemon does not get synced"; }

# manifest NAME <<END: written beside and renamed in, as careful writers do.
manifest()
{
	cat >"$T/$1.tmp"
	mv "$T/$1.tmp" "$MANIFESTS/$1.yaml"
}

manifest_remove() { rm "$MANIFESTS/$1.yaml"; }

labels_yaml() # INDENT KEY=VALUE…
{
	local indent=$1 label
	shift
	for label; do
		printf '%*s%s: "%s"\n' "$indent" "" "${label%%=*}" "${label#*=}"
	done
}

manifest_namespace() # NAME [KEY=VALUE…]
{
	local name=$1
	shift
	manifest "namespace-$name" <<-END
	apiVersion: v1
	kind: Namespace
	metadata:
	  name: $name
	  labels:
	    kubernetes.io/metadata.name: $name
	$(labels_yaml 4 "$@")
	END
}

# manifest_pod NAME [KEY=VALUE…]: of a pod that pod_make made; its addresses stand in it once it has any.
manifest_pod()
{
	local name=$1 address
	shift
	manifest "pod-$name" <<-END
	apiVersion: v1
	kind: Pod
	metadata:
	  name: $name
	  namespace: ${NAMESPACE[$name]}
	  uid: uid-${CONTAINER[$name]}
	  labels:
	    pod: $name
	$(labels_yaml 4 "$@")
	spec:
	  nodeName: $NODE_NAME
	  containers: [ { name: main, image: none } ]
	status:
	  phase: Running
	  podIPs:$(for address in ${ADDR4[$name]:-} ${ADDR6[$name]:-}; do printf '\n  - ip: "%s"' "$address"; done)
	END
}

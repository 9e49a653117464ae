#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Podman with its CNI backend (before version 5): a container on a chained network is closed while it is made, and opened by the
# daemon, which knows it as the Pod of its name.
#
#   ext --- node --- web, client          containers, connected by PRIMARY
#
# Needs: podman crun
. "$(dirname "$0")/lib.sh"
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /sys/fs/cgroup # containers without them
# shellcheck source=SCRIPTDIR/lib/containers.sh
. "$CLUSTER/lib/containers.sh"
# shellcheck source=SCRIPTDIR/../netns-tests/lib/policies.sh
. "$HERE/lib/policies.sh"
topology
mkdir -p $T/net.d $T/cni-bin
ln -s "$CNI_PLUGINS"/* "$MOAT" $T/cni-bin/
cp $CONFLIST $T/net.d/10-moat.conflist
cat >$T/containers.conf <<END
[containers]
default_ulimits = []
cgroups = "disabled"
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
crun = ["$T/crun"]
[network]
network_backend = "cni"
network_config_dir = "$T/net.d"
cni_plugin_dirs = ["$T/cni-bin"]
END
oci_runtime crun
export CONTAINERS_CONF=$T/containers.conf HOME=$T XDG_RUNTIME_DIR=/run/podman
mkdir -p /run/podman
pod() { podman --root $T/storage --runroot /run/podman/run --tmpdir /run/podman/tmp --storage-driver vfs "$@"; }

# container NAME COMMAND…; then probes may run in its namespace, by its name.
container()
{
	local name=$1 found
	pod run --detach --name "$name" --network $NETWORK --ulimit host --security-opt seccomp=unconfined --entrypoint '[]' \
		$PROBE_IMAGE "${@:2}" >"$T/podman" 2>&1 || fail "no container $name: $(cat "$T/podman")"
	found=$(pod inspect --format '{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}' "$name")
	# shellcheck disable=SC2034 # read by the library
	read -r pid ADDR4[$name] ADDR6[$name] <<<"$found"
	NAMESPACE[$name]=default
	ip netns attach "$name" "$pid"
}

container_remove() # NAME
{
	pod rm --force --time 0 "$1" >/dev/null || fail "$1 cannot be removed"
	ip netns del "$1"
}

container_object() # NAME; podman has no UIDs, and no namespaces: moat takes default
{
	manifest "pod-$1" <<-END
	{ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "$1", "namespace": "${NAMESPACE[$1]}", "labels": { "role": "$1" } },
	  "spec": { "nodeName": "$NODE_NAME" }, "status": { "phase": "Running", "podIPs": [ { "ip": "${ADDR4[$1]}" }, { "ip": "${ADDR6[$1]}" } ] } }
	END
}

probe_archive $T/probe.tar
pod load --quiet --input $T/probe.tar >/dev/null

step "closed from its first instruction on"
container early /probe first 192.168.50.2 80 fd00:50::2 80
deny_all early ext
deny_all ext early
pod stop --time 5 early >/dev/null 2>&1
read -r ATTEMPTS ANSWERS < <(pod logs early | sed -n 's/.*attempts \([0-9]*\) answers \([0-9]*\).*/\1 \2/p')
((ATTEMPTS > 0 && ANSWERS == 0)) || fail "$ATTEMPTS attempts, $ANSWERS answers: $(pod logs early)"
container_remove early

step "opened by the daemon"
daemon_start
for name in web client; do
	container $name /probe serve both :: 80 81
	manifest_namespace "${NAMESPACE[$name]}"
	container_object $name
done
policy client "${NAMESPACE[client]}" 'podSelector: { matchLabels: { role: client } }, policyTypes: [ Egress ], egress: [ {} ]'
policy web "${NAMESPACE[web]}" 'podSelector: { matchLabels: { role: web } }, policyTypes: [ Ingress ], ingress: [ { from: [ { namespaceSelector: {}, podSelector: { matchLabels: { role: client } } } ], ports: [ { port: 80 } ] } ]'
eventually allow client web 80
deny client web 81
deny web client 80
deny ext web 80

step "removed: nothing is left"
container_remove web
container_remove client
finish

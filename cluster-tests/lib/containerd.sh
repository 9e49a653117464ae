# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A container runtime of the story's own: all its directories are the story's.

# shellcheck source=SCRIPTDIR/containers.sh
. "$CLUSTER/lib/containers.sh"

CRI=/run/containerd/containerd.sock
CNI_CONFIGS=$T/net.d
CNI_BIN=$T/cni-bin

# The plugins of Debian, and moat beside them.
cni_install()
{
	mkdir -p $CNI_CONFIGS $CNI_BIN
	ln -sf "$CNI_PLUGINS"/* "$MOAT" $CNI_BIN/
}

containerd_start()
{
	mkdir -p /var/lib/containerd
	containerd_config $T/containerd.toml $CNI_CONFIGS $CNI_BIN
	component containerd node containerd --config $T/containerd.toml
	ready containerd 60 cri $CRI ready
	probe_archive $T/probe.tar
	pause_archive $T/pause.tar
	for archive in $T/probe.tar $T/pause.tar; do
		ctr -n k8s.io images import --snapshotter native $archive >$T/import 2>&1 || fail "no image: $(cat $T/import)"
	done
}

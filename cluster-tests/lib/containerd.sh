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

# Without cgroups and with native snapshots it runs in a user namespace; the score that the kernel's out-of-memory killer goes by
# may be raised there, but not lowered.
containerd_start()
{
	mkdir -p /var/lib/containerd
	cat >$T/containerd.toml <<-END
	version = 2
	root = "/var/lib/containerd"
	state = "/run/containerd"
	disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
	[plugins."io.containerd.internal.v1.opt"]
	path = "$T/opt"
	[plugins."io.containerd.grpc.v1.cri"]
	sandbox_image = "$PROBE_IMAGE"
	restrict_oom_score_adj = true
	disable_cgroup = true
	disable_apparmor = true
	[plugins."io.containerd.grpc.v1.cri".containerd]
	snapshotter = "native"
	[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
	runtime_type = "io.containerd.runc.v2"
	[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
	BinaryName = "$T/runc"
	[plugins."io.containerd.grpc.v1.cri".cni]
	bin_dir = "$CNI_BIN"
	conf_dir = "$CNI_CONFIGS"
	END
	oci_runtime runc
	component containerd node containerd --config $T/containerd.toml
	ready containerd 60 cri $CRI ready
	probe_archive $T/probe.tar
	ctr -n k8s.io images import --snapshotter native $T/probe.tar >$T/import 2>&1 || fail "no image: $(cat $T/import)"
}

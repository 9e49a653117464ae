# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Containers in a user namespace that has one user and one group, and images without a registry: archives of one layer, in the format that `docker save` writes and everybody loads.

# image_archive FILE NAME ENTRYPOINT SOURCE=DESTINATION…: ENTRYPOINT is the inside of a JSON list.
image_archive()
{
	local file=$1 name=$2 entrypoint=$3 tree pair layer config
	shift 3
	tree=$(mktemp -d $T/image.XXXXXX)
	mkdir "$tree/layer" "$tree/image"
	for pair; do
		install -D "${pair%%=*}" "$tree/layer/${pair#*=}"
	done
	tar -C "$tree/layer" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$tree/image/layer.tar" .
	layer=$(sha256sum <"$tree/image/layer.tar" | cut -c1-64)
	echo "{ \"architecture\": \"amd64\", \"os\": \"linux\", \"config\": { \"Entrypoint\": [ $entrypoint ], \"WorkingDir\": \"/\" },
		\"rootfs\": { \"type\": \"layers\", \"diff_ids\": [ \"sha256:$layer\" ] } }" >"$tree/image/config"
	config=$(sha256sum <"$tree/image/config" | cut -c1-64)
	mv "$tree/image/config" "$tree/image/$config.json"
	echo "[ { \"Config\": \"$config.json\", \"RepoTags\": [ \"$name\" ], \"Layers\": [ \"layer.tar\" ] } ]" >"$tree/image/manifest.json"
	tar -C "$tree/image" -cf "$file" .
	rm -rf "$tree"
}

# The image of all pods that stories make: the prober, which serves unless it is told what else to do; and that of their sandboxes,
# the same at a port that nobody asks for, since some share the node's network.
PROBE_IMAGE=moat.test/probe:1
PAUSE_IMAGE=moat.test/pause:1
probe_archive() # FILE
{
	image_archive "$1" $PROBE_IMAGE '"/probe", "serve", "both", "::", "80", "81"' "$BUILD/netns-tests/probe-static=probe"
}

pause_archive() # FILE
{
	image_archive "$1" $PAUSE_IMAGE '"/probe", "serve", "tcp", "::", "0"' "$BUILD/netns-tests/probe-static=probe"
}

# oci_runtime NAME: $T/NAME, which is that program for who has not the group of terminals.
oci_runtime()
{
	cat >"$T/$1" <<-END
	#!/bin/bash
	for ((i = 1; i < \$#; i++)); do
		[ "\${!i}" != --bundle ] || { i=\$((i + 1)); sed -i 's/,"gid=5"//' "\${!i}/config.json"; }
	done
	exec $1 "\$@"
	END
	chmod +x "$T/$1"
}

# containerd_config FILE CONFLISTS PLUGINS: without cgroups and with native snapshots it runs in a user namespace; the score that the
# kernel's out-of-memory killer goes by may be raised there, but not lowered.
containerd_config()
{
	oci_runtime runc
	cat >"$1" <<-END
	version = 2
	root = "/var/lib/containerd"
	state = "/run/containerd"
	disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
	[plugins."io.containerd.internal.v1.opt"]
	path = "$T/opt"
	[plugins."io.containerd.grpc.v1.cri"]
	sandbox_image = "$PAUSE_IMAGE"
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
	bin_dir = "$3"
	conf_dir = "$2"
	END
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# deploy/image.sh DIRECTORY NAME: an image of one layer with the files of DIRECTORY/root, as the OCI archive DIRECTORY/moat.tar, by buildah or
# podman. SOURCE_DATE_EPOCH is every time in it. The last line is its digest.
#
# The storage is one of its own below DIRECTORY, gone afterwards: nothing of the user's images is touched, and no daemon is asked.
set -euo pipefail

directory=${1:?usage: deploy/image.sh DIRECTORY NAME}
name=${2:?usage: deploy/image.sh DIRECTORY NAME}
: "${SOURCE_DATE_EPOCH:?not set}"

if command -v buildah >/dev/null; then
	builder=buildah
elif command -v podman >/dev/null; then
	builder=podman
else
	echo "make image: neither buildah nor podman is here (tools/deps.sh image installs buildah)" >&2
	exit 1
fi

storage=$(mktemp -d)
trap 'rm -rf "$storage"' EXIT
build() { "$builder" --root "$storage/root" --runroot "$storage/run" --storage-driver vfs "$@"; }

# Sorted, with times, owners and modes of ours: the layer is the same whoever makes it.
tar --create --file "$directory/layer.tar" --directory "$directory/root" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
	--numeric-owner --mode=0555 --format=ustar moat moat-install moat-policyd moatctl
cat >"$directory/Containerfile" <<-END
	FROM scratch
	ADD layer.tar /
	LABEL org.opencontainers.image.title="moat" org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-or-later" \\
	      org.opencontainers.image.description="Closes Kubernetes pods before their first instruction"
	ENTRYPOINT ["/moat-policyd"]
END
build build --quiet --isolation chroot --format oci --layers=false --timestamp "$SOURCE_DATE_EPOCH" --file "$directory/Containerfile" --tag "$name" \
	"$directory" >/dev/null
rm -f "$directory/moat.tar"
build push --quiet --digestfile "$directory/digest" "$name" "oci-archive:$directory/moat.tar:$name" >/dev/null
rm "$directory/layer.tar" "$directory/Containerfile"
printf '%s %s %s\n' "$directory/moat.tar" "$name" "$(cat "$directory/digest")"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages that building, testing and the demo need: tools/deps.sh [--check] [cluster] [image] [kernels]
# `image` adds what the image is made with (make image), `kernels` what booting other kernels needs (make check-kernels).
#
# Installs what is missing, as root or through sudo, and says which; where it cannot, prints the one command that does and
# fails. --check only looks. When everything is there it says nothing and costs one call of dpkg-query.
set -euo pipefail

packages=(
	gcc make pkg-config libc6-dev                # the build,
	libmnl-dev libnftnl-dev libcjson-dev         # what both programs link,
	dpkg-dev debian-archive-keyring              # archives for the static plugin (tools/static-libs),
	libuv1-dev libyaml-dev nettle-dev uthash-dev libseccomp-dev libcurl4-openssl-dev # and the daemon
	check openssl                                # unit tests
	nftables iproute2 util-linux mount procps iputils-ping conntrack strace python3 # namespace stories and the demo,
	containernetworking-plugins                  # with the real ptp and host-local
)

only_check=
for word; do
	case $word in
	--check) only_check=1 ;;
	image) packages+=(buildah libnghttp2-dev libssl-dev zlib1g-dev libcurl4-openssl-dev) ;;
	kernels) packages+=(qemu-system-x86 busybox-static kmod ipvsadm) ;;
	cluster) packages+=(containerd runc podman crun openssl curl) ;;
	*)
		echo "usage: tools/deps.sh [--check] [cluster] [image] [kernels]" >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "tools/deps.sh: not a Debian system; what is needed goes here by these names: ${packages[*]}" >&2
	exit 0
fi

# Packages that dpkg has never heard of are a complaint on stderr and a failure, and not in the answer.
installed=$(dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
	grep -qx "$package installed" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install=(apt-get install --yes --no-install-recommends "${missing[@]}")
by_hand="sudo sh -c 'apt-get update && ${install[*]}'"
if [ "$(id -u)" -eq 0 ]; then
	as_root=(env DEBIAN_FRONTEND=noninteractive)
	by_hand=${by_hand#sudo }
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
	as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
else
	as_root=()
fi

if [ -n "$only_check" ] || [ ${#as_root[@]} -eq 0 ]; then
	echo "missing packages: ${missing[*]}" >&2
	echo "this installs them: $by_hand" >&2
	exit 1
fi
echo "installing missing packages: ${missing[*]}"
if ! "${as_root[@]}" apt-get --quiet update || ! "${as_root[@]}" "${install[@]}"; then
	echo "they could not be installed; this is what was tried: $by_hand" >&2
	exit 1
fi

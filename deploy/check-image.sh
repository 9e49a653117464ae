#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# deploy/check-image.sh: is the image what it must be? Nothing but static programs in one layer, the same digest from another directory at another
# time, and its programs pass stories. Environment: BUILD, STORIES (default: policy, least privilege, installer, uninstall). The last line has
# the totals.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath -m "${BUILD:-build}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
check() # WHAT COMMAND…
{
	local what=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		passed=$((passed + 1))
		printf 'ok    %s\n' "$what"
	else
		failed=$((failed + 1))
		printf 'FAIL  %s\n' "$what"
		sed 's/^/      /' "$work/log"
	fi
}

unpack() # ARCHIVE DIRECTORY: its only layer
{
	mkdir -p "$2"/{oci,root}
	tar -xf "$1" -C "$2/oci"
	python3 - "$2/oci" >"$2/layer" <<-'END'
	import json, sys
	at = lambda digest: sys.argv[1] + "/blobs/" + digest.replace(":", "/")
	index = json.load(open(sys.argv[1] + "/index.json"))
	manifest = json.load(open(at(index["manifests"][0]["digest"])))
	assert len(index["manifests"]) == 1 and len(manifest["layers"]) == 1, "more than one image or layer"
	print(at(manifest["layers"][0]["digest"]))
	END
	tar -xf "$(cat "$2/layer")" -C "$2/root"
}

contents_are_static_programs()
{
	local program
	diff <(tar -tf "$(cat "$work/image/layer")") <(printf '%s\n' moat moat-install moat-policyd moatctl) || return
	for program in "$work"/image/root/*; do
		! readelf --program-headers --wide "$program" | grep INTERP || return
		! readelf --dynamic --wide "$program" | grep NEEDED || return
		! grep -aqF "$PWD" "$program" || { echo "$program has the path it was built in"; return 1; }
	done
}

same_from_elsewhere()
{
	mkdir "$work/elsewhere"
	git ls-files -z | xargs -0 cp --parents --target-directory "$work/elsewhere" 2>/dev/null || true
	mkdir -p "$work/elsewhere/build"
	cp -r "$build/static" "$work/elsewhere/build/"
	make -C "$work/elsewhere" --no-print-directory -j2 image SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" || return
	diff "$build/image/digest" "$work/elsewhere/build/image/digest"
}

# In the image and nothing else: no C library, no /etc, no /tmp.
runs_alone()
{
	unshare -Urnm --map-root-user chroot "$work/image/root" /moat-install --help || return
	[ "$(CNI_COMMAND=VERSION unshare -Urnm --map-root-user chroot "$work/image/root" /moat <<<'{"cniVersion":"1.0.0"}' | grep -c supportedVersions)" = 1 ]
}

passes_stories()
{
	mkdir "$work/build"
	ln -s "$work"/image/root/* "$build/netns-tests" "$work/build/"
	# shellcheck disable=SC2086 # numbers
	BUILD=$work/build PRIMARIES=ptp netns-tests/run ${STORIES:-20 67 96 97}
}

unpack "$build/image/moat.tar" "$work/image"
check "nothing but four static programs" contents_are_static_programs
check "the same digest from another directory" same_from_elsewhere
check "programs run in it alone" runs_alone
check "stories with its programs" passes_stories
printf '%d passed, %d failed, 0 skipped\n' $passed $failed
((failed == 0))

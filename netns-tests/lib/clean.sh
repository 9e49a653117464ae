# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The end of a story: nothing may be left of any pod.

# What DEL left for when the link is gone is swept by any later run of the plugin; GC is one.
sweep() { plugin_works GC "" "$(config cni.dev/valid-attachments '[]')"; }

# Names everything that is still there; empty output is clean.
leftovers()
{
	local dir=${MOAT_RUN_DIR:-/run/moat} keep
	keep=$(printf '%s|' "${TOPOLOGY_LINKS[@]}")
	ip -o link show type veth | awk -F'[: @]+' '{ print $2 }' | grep -vxE "${keep%|}" | sed 's/^/link /' || true
	if [ -d "$dir" ]; then
		find "$dir" \( -type f -o -type l \) ! -name lock ! -name proof -printf 'file %p\n'
	fi
	nft list tables | grep -vx 'table inet moat' || true
	if nft list table inet moat >$T/table 2>/dev/null; then
		# Empty sets have no line "elements"; tunnels, and what the daemon knows of others, are no pod of ours.
		awk '/^\t(set|map) / { name = $2 } /elements = / && name !~ /^(tunnel|extensions|revoked|known|nodes|unsettled|[abrt][46]-)/ { print "elements in " name }' $T/table
		grep -oE '^[[:space:]]chain [ei]-[^ ]*' $T/table | sed 's/^[[:space:]]*//' || true
	fi
}

# The kernel takes links away in its own time, and only then the plugin can forget their ports.
is_clean()
{
	[ ! -d /run/moat ] || sweep
	[ -z "$(leftovers)" ]
}

# finish: removes what the story still has, then asserts.
finish()
{
	local name
	for name in "${!CONTAINER[@]}"; do
		pod_del "$name"
	done
	[ -z "$DAEMON" ] || daemon_stop TERM
	[ -n "${VIOLATES:-}" ] || ! grep -s event=seccomp-violation "$DAEMON_LOG" || fail "the daemon made a system call that is not in its list"
	wait_until 5 is_clean || fail "left behind: $(leftovers | tr '\n' ';')"
	step ok
}

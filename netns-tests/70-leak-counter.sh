#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The leak counter on trial: it counts nothing where nothing happens, and each leak, each loss and each window that is made on purpose.
#
#   client, db, other, ext, node as on top of lib/leak.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=SCRIPTDIR/lib/policies.sh
. "$HERE/lib/policies.sh"
# shellcheck source=SCRIPTDIR/lib/leak.sh
. "$HERE/lib/leak.sh"

leak_field
step "nothing happens"
leak_start
leak_sleep 1
leak_stop

step "the guard of moat's table is opened for a moment: each denied kind is seen to leak"
leak_paths
leak_start
leak_sleep 0.3
daemon_pause
nft insert rule inet moat forward accept
nft insert rule inet moat output accept
nft insert rule inet moat input accept
leak_sleep 0.5
daemon_resume
leak_read
for kind in 'TCP SYN' 'TCP ACK' UDP 'ICMP echo' fragments; do
	for family in 4 6; do
		grep -E "^  $kind +IPv$family .*leaked [1-9]" "$T/leak.report" >/dev/null || fail "no leak of $kind over IPv$family: $(cat "$T/leak.report")"
	done
done
for pair in 'other>node' 'other>ext' 'client>other' 'ext>db'; do
	grep -q "^leaked: .*$pair" "$T/leak.report" || fail "no leak on $pair: $(cat "$T/leak.report")"
done
rm "$LEDGER" # the repair closes before it opens again: losses are no failure here

step "a stranger drops what is allowed for a moment: losses are seen, and how long they lasted"
LEAK_FROM=() LEAK_TO=()
leak_paths
leak_start
leak_sleep 0.3
nft 'add table inet stranger; add chain inet stranger stop { type filter hook forward priority 100; policy drop; }'
leak_sleep 0.5
nft delete table inet stranger
leak_sleep 0.3
leak_read
((LEAKED == 0)) || fail "$LEAKED leaked: $(cat "$T/leak.report")"
for path in 'client>db/syn4' 'client>db/ack6' 'client>db/fragments4' 'ext>db/udp6' 'db>ext/udp4'; do
	grep -q "^lost: .*$path" "$T/leak.report" || fail "no loss on $path: $(cat "$T/leak.report")"
done
((WINDOW > 300000 && WINDOW < 3000000)) || fail "the window was half a second, not $WINDOW µs"
rm "$LEDGER"
finish

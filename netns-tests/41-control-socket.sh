#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The control socket takes what anybody with access to it may send: nonsense, half lines, questions whose answers are not read.
#
#   node --- a            as on top of lib.sh
. "$(dirname "$0")/lib.sh"

SOCKET=/run/moat/policyd.sock
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$DAEMON/status"; } # KiB
descriptors() { find "/proc/$DAEMON/fd" -type l | wc -l; }
answers_soon() # the daemon has time for others
{
	elapsed_ms "$BUILD/moatctl" status --json >$T/status
	((ELAPSED < 2000)) || fail "$1: moatctl status took $ELAPSED ms"
	grep -qF '"synced"' $T/status || fail "$1: moatctl status says $(cat $T/status)"
}

[ -x /usr/bin/python3 ] || skip "python3 is missing: package python3"
topology
pod_add a
manifest_namespace default
daemon_start
before=$(resident)
open=$(descriptors)

step "keys that are paths, and requests that are none"
cat >$T/nonsense.py <<-END
	import json, os, random, socket
	random.seed(1)
	def send(data):
	    with socket.socket(socket.AF_UNIX) as s:
	        s.connect("$SOCKET")
	        s.settimeout(0.05)
	        try:
	            s.sendall(data)
	            s.recv(65536)
	        except OSError:
	            pass
	for op in "attach", "detach":
	    for key in "../../etc/passwd", "../../etc/x:eth0", "stories/../../x:eth0", "", "x" * 7000, "stories/a-1:eth0/..", "\0", "\x1b[31m/a:b":
	        send(json.dumps({"op": op, "key": key}).encode() + b"\n")
	for line in b"", b"[]", b"[" * 8000, b'{"op":1}', b'{"op":"explain","from":[],"to":{},"protocol":3}', b"\xff\x00":
	    send(line + b"\n")
	for i in range(300):
	    send(random.randbytes(random.randint(1, 20000)))
END
/usr/bin/python3 $T/nonsense.py
answers_soon "after nonsense"

step "questions without end from somebody who reads no answer"
cat >$T/deaf.py <<-END
	import socket, time
	s = socket.socket(socket.AF_UNIX)
	s.connect("$SOCKET")
	s.setblocking(False)
	while True:
	    try:
	        s.send(b'{"op":"status"}\n' * 200)
	    except BlockingIOError:
	        time.sleep(0.001)
END
background /usr/bin/python3 $T/deaf.py
deaf=$BACKGROUND
for _ in 1 2 3 4 5; do
	answers_soon "beside a deaf client"
done
grep -q __asan_init "$BUILD/moat-policyd" || (($(resident) < before + 4096)) || fail "a deaf client costs $(($(resident) - before)) KiB"
kill -KILL "$deaf"

step "more half lines than there is room for: the oldest make room"
cat >$T/halves.py <<-END
	import socket, time
	held = []
	for i in range(600):
	    s = socket.socket(socket.AF_UNIX)
	    s.connect("$SOCKET")
	    s.send(b'{"op":')
	    held.append(s)
	print("held", flush=True)
	time.sleep(600)
END
background /usr/bin/python3 $T/halves.py
halves=$BACKGROUND
wait_until 10 grep -q held "$BACKGROUND_OUT" || fail "connections are not taken: $(cat "$BACKGROUND_OUT")"
answers_soon "beside 600 half lines"
pod_add b
(($(descriptors) < open + 300)) || fail "$(descriptors) open files"
kill -KILL "$halves"
few() { (($(descriptors) <= open + 2)); }
wait_until 5 few || fail "$(descriptors) open files when all have gone, $open before"

step "moatctl tells what it cannot do, and ends by no signal"
told() # WHAT COMMAND…
{
	local code=0 what=$1
	shift
	"$@" 2>$T/told >/dev/null || code=$?
	((code == 2)) && grep -q "$what" $T/told || fail "exit code $code, $(cat $T/told)"
}
full() { "$@" >/dev/full; }
unread() { "$@" > >(exec true); }
unread_too() { for _ in {1..50}; do unread "$@" || return; done; } # until the reader is the faster one
told "the answer cannot be written: No space" full "$BUILD/moatctl" status --json
told "the answer cannot be written: Broken pipe" unread_too "$BUILD/moatctl" status --json
told "too long for a socket" env MOAT_RUN_DIR="/run/$(printf 'd%.0s' {1..150})" "$BUILD/moatctl" status

step "two daemons at once: one"
daemon_stop KILL
for i in 1 2 3 4; do
	"$BUILD/moat-policyd" run --manifests $MANIFESTS >$T/daemon-$i.log 2>&1 &
	PIDS+=("$!")
done
alive() { pgrep -c -P $$ -x moat-policyd; }
one_is_left() { (($(alive) == 1)) && synced; }
wait_until 10 one_is_left || fail "$(alive) daemons run"
(($(grep -lE 'another moat-policyd' $T/daemon-*.log | wc -l) == 3)) || fail "not told: $(cat $T/daemon-*.log)"

finish

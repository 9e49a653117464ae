#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An API server that can be told to misbehave: only what a real one cannot be made to do is tested with it.

    apiserver.py serve DIR [--address 127.0.0.1] [--name NAME]...   until its standard input ends; prints its port
    apiserver.py ctl DIR COMMAND...                                 one command, prints the answer

DIR gets ca.crt, client.crt, client.key, token, kubeconfig (with the token), kubeconfig-cert and the control socket. It holds
Namespaces, Nodes, Pods, NetworkPolicies and serves list (limit, continue, resourceVersion), watch (bookmarks, sendInitialEvents).

Commands:
    put JSON                      create or update an object (kind says which)
    delete RESOURCE [NS/]NAME
    version N                     the next resourceVersion is N (a lower one: as if restored from a backup)
    forget                        all objects
    compact                       watches from before now are answered 410, those that run get it as an event
    bookmark                      one to every watch, now
    streams on|off                whether sendInitialEvents is offered
    clear                         no faults any more
    token TEXT                    the only token that is accepted from now on ("": none is asked for)
    drop                          close every connection
    fault VERB RESOURCE COUNT WHAT...   COUNT times: status N [RETRY-AFTER] | truncate | wrongkind | giant | noname | noversion |
                                  hang | garbage | noitems | oldtoken (the next page has expired) | error N (an ERROR event) | empty (a watch that ends at once) | lower (an event of version 1)
    raw RESOURCE TEXT             a line into every watch as it is
    gzipped                       how many answers were compressed
    requests                      the requests until now, one a line, and forgets them
"""
import argparse, base64, gzip, http.server, json, os, socket, socketserver, ssl, subprocess, sys, threading, time, urllib.parse

RESOURCES = {
    "/api/v1/namespaces": ("namespaces", "Namespace", "v1"),
    "/api/v1/nodes": ("nodes", "Node", "v1"),
    "/api/v1/pods": ("pods", "Pod", "v1"),
    "/apis/networking.k8s.io/v1/networkpolicies": ("networkpolicies", "NetworkPolicy", "networking.k8s.io/v1"),
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": ("endpointslices", "EndpointSlice", "discovery.k8s.io/v1"),
}
KINDS = {kind: (resource, version) for resource, kind, version in RESOURCES.values()}
END = {"k8s.io/initial-events-end": "true"}


class Store:
    def __init__(self):
        self.lock = threading.Condition()
        self.version = 100
        self.compacted = 0
        self.objects = {resource: {} for resource, _, _ in RESOURCES.values()}
        self.log = []  # (version, resource, type, object)
        self.faults = {}
        self.requests = []
        self.token = ""
        self.raw = []  # (resource, text)
        self.bookmarks = 0
        self.gzipped = 0
        self.streams = True
        self.connections = set()

    def next_version(self):
        self.version += 1
        return str(self.version)

    def put(self, obj):
        resource, _ = KINDS[obj["kind"]]
        meta = obj.setdefault("metadata", {})
        if resource in ("pods", "networkpolicies", "endpointslices"):
            meta.setdefault("namespace", "default")
        key = "/".join(x for x in (meta.get("namespace"), meta["name"]) if x)
        old = self.objects[resource].get(key)
        meta["resourceVersion"] = self.next_version()
        meta.setdefault("uid", old["metadata"]["uid"] if old else f"uid-{resource}-{key}-{self.version}")
        self.objects[resource][key] = obj
        self.log.append((self.version, resource, "MODIFIED" if old else "ADDED", obj))

    def delete(self, resource, key):
        obj = dict(self.objects[resource].pop(key))
        obj["metadata"] = dict(obj["metadata"], resourceVersion=self.next_version())
        self.log.append((self.version, resource, "DELETED", obj))

    def fault(self, verb, resource):
        for key in ((verb, resource), (verb, "*")):
            queue = self.faults.get(key)
            if queue:
                queue[0][0] -= 1
                what = queue[0][1]
                if queue[0][0] <= 0:
                    queue.pop(0)
                return what
        return None

    def command(self, words, line):
        with self.lock:
            answer = self.locked_command(words, line)
            self.lock.notify_all()
        return answer

    def locked_command(self, words, line):
        op = words[0]
        if op == "put":
            self.put(json.loads(line.split(" ", 1)[1]))
        elif op == "delete":
            self.delete(words[1], words[2])
        elif op == "version":
            self.version = int(words[1]) - 1
            self.log = []
        elif op == "forget":
            for table in self.objects.values():
                table.clear()
            self.log = []
        elif op == "compact":
            self.next_version()
            self.compacted = self.version
            self.log = []
        elif op == "bookmark":
            self.bookmarks += 1
        elif op == "clear":
            self.faults.clear()
        elif op == "streams":
            self.streams = words[1] == "on"
        elif op == "token":
            self.token = words[1] if len(words) > 1 else ""
        elif op == "drop":
            for connection in list(self.connections):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        elif op == "fault":
            self.faults.setdefault((words[1], words[2]), []).append([int(words[3]), words[4:]])
        elif op == "raw":
            self.raw.append((words[1], line.split(" ", 2)[2]))
        elif op == "requests":
            answer, self.requests = "\n".join(self.requests), []
            return answer
        elif op == "gzipped":
            return str(self.gzipped)
        else:
            return "unknown command"
        return "ok"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.store.connections.add(self.connection)

    def finish(self):
        self.server.store.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *args):
        pass

    def send(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def status(self, code, message, reason="", headers=(), causes=None):
        details = {"causes": causes} if causes else {}
        self.send(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason,
                         "code": code, "details": details}, headers)

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_GET(self):
        try:
            self.answer()
        except (OSError, ssl.SSLError):
            self.close_connection = True

    def answer(self):
        store, url = self.server.store, urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        verb = "watch" if query.get("watch") else "list"
        if url.path == "/version":
            verb, resource, kind, version = "get", "version", "", ""
        elif url.path in RESOURCES:
            resource, kind, version = RESOURCES[url.path]
        else:
            return self.status(404, "not found")
        with store.lock:
            store.requests.append(f"{verb} {resource} {url.query}")
            fault = store.fault(verb, resource)
            token = store.token
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            return self.status(401, "Unauthorized", "Unauthorized")
        if fault and fault[0] == "status":
            headers = [("Retry-After", fault[2])] if len(fault) > 2 else []
            return self.status(int(fault[1]), f"{resource} is told to answer {fault[1]}", headers=headers)
        if fault and fault[0] == "hang":
            time.sleep(3600)
        if fault and fault[0] == "garbage":
            return self.send(200, b"<html>please log in</html>")
        if resource == "version":
            return self.send(200, {"major": "1", "minor": "34"})
        if verb == "watch":
            return self.watch(resource, kind, version, query, fault)
        return self.list(resource, kind, version, query, fault)

    def too_new(self):
        self.status(504, "Too large resource version", "Timeout",
                    causes=[{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}])

    def list(self, resource, kind, version, query, fault):
        store = self.server.store
        with store.lock:
            least = query.get("resourceVersion", "")
            if least.isdigit() and int(least) > store.version:
                return self.too_new()
            items, now = [store.objects[resource][k] for k in sorted(store.objects[resource])], str(store.version)
        start, token = 0, query.get("continue")
        if token:
            start, now = json.loads(base64.urlsafe_b64decode(token))
            if int(now) <= store.compacted:
                return self.status(410, "The provided continue parameter is too old", "Expired")
        meta, limit = {"resourceVersion": now}, int(query.get("limit", "0"))
        page = items[start:start + limit] if limit else items[start:]
        if limit and start + limit < len(items):
            meta["continue"] = base64.urlsafe_b64encode(json.dumps([start + limit, now]).encode()).decode()
        body = {"kind": kind + "List", "apiVersion": version, "metadata": meta, "items": page}
        what = fault[0] if fault else None
        if what == "wrongkind":
            body["kind"] = "ConfigMapList"
        elif what == "noitems":
            del body["items"]
        elif what == "noversion":
            meta.pop("resourceVersion")
        elif what == "noname":
            body["items"] = page + [{"metadata": {"resourceVersion": now}}]
        elif what == "oldtoken":
            meta["continue"] = base64.urlsafe_b64encode(json.dumps([limit, "0"]).encode()).decode()
        elif what == "giant":
            body["items"] = page + [{"metadata": {"name": "giant", "namespace": "default", "annotations": {"a": "x" * (17 << 20)}}}]
        data = json.dumps(body).encode()
        if what != "truncate" and len(data) > 1000 and "gzip" in self.headers.get("Accept-Encoding", ""):
            store.gzipped += 1
            return self.send(200, gzip.compress(data), [("Content-Encoding", "gzip")])
        if what != "truncate":
            return self.send(200, data)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data) * 2 // 3))
        self.end_headers()
        self.wfile.write(data[:len(data) * 2 // 3])

    def watch(self, resource, kind, version, query, fault):
        store = self.server.store
        initial = query.get("sendInitialEvents") == "true"
        least = query.get("resourceVersion", "")
        if initial and least.isdigit() and int(least) > store.version:
            return self.too_new()
        if initial and not store.streams:
            return self.status(422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled", "Invalid")
        since = query.get("resourceVersion", "")
        since = int(since) if since.isdigit() else 0
        if not initial and since < store.compacted:
            return self.status(410, f"too old resource version: {since} ({store.compacted})", "Expired")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        what = fault[0] if fault else None
        if what == "empty":
            return self.chunk_end()
        if what == "error":
            self.event("ERROR", {"kind": "Status", "apiVersion": "v1", "code": int(fault[1]), "message": "told to",
                                 "reason": "Expired" if fault[1] == "410" else ""})
            return self.chunk_end()
        if initial:
            with store.lock:
                items, since = list(store.objects[resource].values()), store.version
            for item in items:
                self.event("ADDED", dict(item, kind=kind, apiVersion=version))
            if what == "truncate":
                return self.chunk_end()
            if what == "noname":
                self.event("ADDED", {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": str(since)}})
            self.bookmark(kind, version, since, END)
        self.follow(resource, kind, version, since, what, time.monotonic() + float(query.get("timeoutSeconds", "300")))

    def follow(self, resource, kind, version, since, what, until):
        store = self.server.store
        compacted, raw, bookmarks = store.compacted, len(store.raw), store.bookmarks
        while time.monotonic() < until:
            with store.lock:
                store.lock.wait(0.5)
                events = [(v, t, o) for v, r, t, o in store.log if r == resource and v > since]
                texts = [text for r, text in store.raw[raw:] if r in (resource, "*")]
                raw = len(store.raw)
                gone = store.compacted != compacted
                told, now, bookmarks = bookmarks != store.bookmarks, store.version, store.bookmarks
            for v, t, o in events:
                since = v
                obj = dict(o, kind=kind, apiVersion=version)
                if what == "lower":
                    obj["metadata"] = dict(obj["metadata"], resourceVersion="1")
                self.event(t, obj)
            for text in texts:
                self.chunk(text.encode().decode("unicode_escape") + "\n")
            if told:
                since = max(since, now)
                self.bookmark(kind, version, now)
            if gone:
                self.event("ERROR", {"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "too old resource version"})
                break
        self.chunk_end()

    def event(self, kind, obj):
        self.chunk(json.dumps({"type": kind, "object": obj}) + "\n")

    def bookmark(self, kind, version, now, annotations=None):
        meta = {"resourceVersion": str(now)}
        if annotations:
            meta["annotations"] = annotations
        self.event("BOOKMARK", {"kind": kind, "apiVersion": version, "metadata": meta})

    def chunk_end(self):
        self.wfile.write(b"0\r\n\r\n")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *args):
        pass


def openssl(*words):
    subprocess.run(("openssl",) + words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificates(d, address, names):
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", f"{d}/ca.key", "-out", f"{d}/ca.crt", "-days", "30", "-subj", "/CN=test-ca")
    san = ",".join([f"IP:{address}"] + [f"DNS:{n}" for n in names])
    for name, subject, extension in (("server", "/CN=kube-apiserver", f"subjectAltName={san}"),
                                     ("client", "/O=moat/CN=moat-policyd", "extendedKeyUsage=clientAuth")):
        openssl("req", *key, "-keyout", f"{d}/{name}.key", "-out", f"{d}/{name}.csr", "-subj", subject)
        with open(f"{d}/{name}.ext", "w") as f:
            f.write(extension + "\n")
        openssl("x509", "-req", "-in", f"{d}/{name}.csr", "-CA", f"{d}/ca.crt", "-CAkey", f"{d}/ca.key", "-CAcreateserial",
                "-days", "30", "-extfile", f"{d}/{name}.ext", "-out", f"{d}/{name}.crt")


def write_kubeconfig(path, host, port, user, cluster=""):
    with open(path, "w") as f:
        f.write(f"""apiVersion: v1
kind: Config
current-context: test
contexts: [ {{ name: test, context: {{ cluster: test, user: test }} }} ]
clusters:
- name: test
  cluster: {{ server: "https://{host}:{port}", certificate-authority: ca.crt{cluster} }}
users:
- name: test
  user: {user}
""")


class Control(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode().rstrip("\n")
        words = line.split(" ")
        try:
            answer = self.server.store.command(words, line)
        except Exception as e:
            answer = f"failed: {e!r}"
        self.wfile.write(answer.encode() + b"\n")


class ControlServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 128
    daemon_threads = True


def serve(args):
    d = args.dir
    os.makedirs(d, exist_ok=True)
    if not os.path.exists(f"{d}/server.crt"):
        make_certificates(d, args.address, args.name)
    if not os.path.exists(f"{d}/token"):
        with open(f"{d}/token", "w") as f:
            f.write("first\n")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{d}/server.crt", f"{d}/server.key")
    tls.load_verify_locations(f"{d}/ca.crt")
    tls.verify_mode = ssl.CERT_OPTIONAL
    server = Server((args.address, args.port), Handler, bind_and_activate=False)
    server.address_family = socket.AF_INET6 if ":" in args.address else socket.AF_INET
    server.socket = socket.socket(server.address_family)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.server_bind()
    server.server_activate()
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.store = Store()
    port = server.server_address[1]
    host = f"[{args.address}]" if ":" in args.address else args.address
    write_kubeconfig(f"{d}/kubeconfig", host, port, "{ tokenFile: token }")
    write_kubeconfig(f"{d}/kubeconfig-cert", host, port, "{ client-certificate: client.crt, client-key: client.key }")
    if args.name:
        write_kubeconfig(f"{d}/kubeconfig-name", args.name[0], port, "{ tokenFile: token }")
        write_kubeconfig(f"{d}/kubeconfig-tls-name", host, port, "{ tokenFile: token }", f", tls-server-name: {args.name[0]}")
    if os.path.exists(f"{d}/ctl"):
        os.unlink(f"{d}/ctl")
    control = ControlServer(f"{d}/ctl", Control)
    control.store = server.store
    threading.Thread(target=control.serve_forever, daemon=True).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.write(1, f"{port}\n".encode())
    sys.stdin.read()


def ctl(args):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{args.dir}/ctl")
        s.sendall(" ".join(args.words).replace("\n", " ").encode() + b"\n")
        s.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    sys.stdout.write(answer)
    return answer.startswith(("failed", "unknown"))


def main():
    parser = argparse.ArgumentParser()
    sub = parser.add_subparsers(required=True)
    p = sub.add_parser("serve")
    p.add_argument("dir")
    p.add_argument("--address", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--name", action="append", default=[])
    p.set_defaults(fn=serve)
    p = sub.add_parser("ctl")
    p.add_argument("dir")
    p.add_argument("words", nargs=argparse.REMAINDER)
    p.set_defaults(fn=ctl)
    args = parser.parse_args()
    sys.exit(args.fn(args))


main()

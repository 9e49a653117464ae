# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An API server that can be told to misbehave (tests/apiserver), in the node's namespace, and its objects. Included by the stories that need it.

API=$T/api
API_PORT=6443

apiserver_start() # it begins empty
{
	command -v python3 >/dev/null && command -v openssl >/dev/null || skip "no python3 or openssl"
	ip link set lo up
	[ -p "$T/api-input" ] || mkfifo "$T/api-input"
	rm -f "$API/ctl" "$T/api.log"
	python3 "$HERE/../tests/apiserver/apiserver.py" serve "$API" --port $API_PORT --name localhost <>"$T/api-input" >"$T/api.log" 2>&1 &
	APISERVER=$!
	PIDS+=("$APISERVER")
	wait_until 10 test -s "$T/api.log" || fail "the API server does not start"
}

# The next daemon_start is as in a pod of that cluster.
POD_FILES=/run/secrets/kubernetes.io/serviceaccount
pod_identity()
{
	[ /var/run -ef /run ] || skip "/var/run is not /run, where a story may write"
	mkdir -p $POD_FILES
	cp "$API/ca.crt" "$API/token" $POD_FILES
	export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=$API_PORT
	SOURCE=()
}

apiserver_kill()
{
	kill -KILL "$APISERVER"
	wait "$APISERVER" 2>/dev/null || true
}

api() # COMMAND…: see there
{
	python3 "$HERE/../tests/apiserver/apiserver.py" ctl "$API" "$@" >"$T/api.answer" || fail "api $*: $(cat "$T/api.answer")"
}

api_namespace() { api put "{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"$1\"}}"; } # NAME

api_pod() # NAME ROLE, once it has its addresses or before
{
	local address ips=
	for address in ${ADDR4[$1]:-} ${ADDR6[$1]:-}; do ips+="${ips:+,}{\"ip\":\"$address\"}"; done
	api put "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"$1\",\"namespace\":\"${NAMESPACE[$1]}\",\"uid\":\"uid-${CONTAINER[$1]}\",\"labels\":{\"role\":\"$2\"}}, \
		\"spec\":{\"nodeName\":\"$NODE_NAME\"},\"status\":{\"phase\":\"Running\",\"podIPs\":[$ips]}}"
}

api_policy() # NAME SPEC
{
	api put "{\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"$1\",\"namespace\":\"default\"},\"spec\":$2}"
}

# db is reached by clients on that port.
api_policy_db() { api_policy db '{"podSelector":{"matchLabels":{"role":"db"}},"ingress":[{"from":[{"podSelector":{"matchLabels":{"role":"client"}}}],"ports":[{"port":'"$1"'}]}]}'; }
api_policy_clients() { api_policy clients '{"podSelector":{"matchLabels":{"role":"client"}},"policyTypes":["Egress"],"egress":[{}]}'; }

api_pods() # POD…: all that the policies above are for
{
	local pod
	api_namespace default
	for pod; do api_pod "$pod" "$pod"; done
}

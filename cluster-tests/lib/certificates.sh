# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# One authority and what it signs; kubeconfigs that name the files, so that these can be replaced under who reads them.

PKI=$T/pki
mkdir -p $PKI

authority() # NAME
{
	openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/$1.key"
	openssl req -x509 -new -key "$PKI/$1.key" -subj "/CN=$1" -days 30 -out "$PKI/$1.crt"
}

# certificate FILE AUTHORITY USER GROUP [SAN]: for clients, and with names for servers. Renamed in, as who rotates them does.
certificate()
{
	local file=$PKI/$1 authority=$PKI/$2 extensions="extendedKeyUsage=clientAuth,serverAuth"
	[ -z "${5:-}" ] || extensions+=$'\n'"subjectAltName=$5"
	openssl ecparam -name prime256v1 -genkey -noout -out "$file.key.new"
	openssl req -new -key "$file.key.new" -subj "/O=$4/CN=$3" |
		openssl x509 -req -CA "$authority.crt" -CAkey "$authority.key" -set_serial "0x$(openssl rand -hex 8)" -days 30 \
			-extfile <(echo "$extensions") -out "$file.crt.new" 2>/dev/null
	mv "$file.key.new" "$file.key"
	mv "$file.crt.new" "$file.crt"
}

# kubeconfig NAME SERVER CREDENTIAL…: $PKI/NAME.conf; CREDENTIAL is `certificate FILE` or `token FILE`.
kubeconfig()
{
	local user="client-certificate: $PKI/$4.crt, client-key: $PKI/$4.key"
	[ "$3" = certificate ] || user="tokenFile: $4"
	cat >"$PKI/$1.conf" <<-END
	apiVersion: v1
	kind: Config
	clusters: [ { name: cluster, cluster: { server: "$2", certificate-authority: $PKI/ca.crt } } ]
	users: [ { name: user, user: { $user } } ]
	contexts: [ { name: context, context: { cluster: cluster, user: user } } ]
	current-context: context
	END
}

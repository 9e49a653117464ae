/* SPDX-License-Identifier: Apache-2.0 */
/* The set of tunnel ports, brought to a list by what differs: emptied and filled, it would miss lookups meanwhile. */
#include <string.h>

#include <netinet/in.h>

#include "moat/dump.h"
#include "moat/ruleset.h"

struct difference {
	struct txn *t;
	const struct tunnel_ports *wanted;
	struct tunnel_ports missing;
};

static struct key key_of(uint16_t port)
{
	return key_with_port((struct key){.len = 0}, port);
}

static void on_standing(const void *key, size_t len, void *arg)
{
	struct difference *d = arg;
	uint16_t port;
	size_t kept = 0;

	if (len < sizeof(port))
		return;
	memcpy(&port, key, sizeof(port));
	port = ntohs(port);
	if (!tunnel_ports_have(d->wanted, port))
		txn_discard_element(d->t, &set_tunnel_ports, key_of(port), NULL);
	for (size_t i = 0; i < d->missing.n; i++)
		if (d->missing.port[i] != port)
			d->missing.port[kept++] = d->missing.port[i];
	d->missing.n = kept;
}

void ruleset_put_tunnel_ports(struct txn *t, struct nl *nl, const struct tunnel_ports *wanted, bool rewritten)
{
	struct difference d = {.t = t, .wanted = wanted, .missing = *wanted};

	/* What cannot be read stays: one port too many is closed. */
	dump_elements(nl, set_tunnel_ports.name, on_standing, &d);
	for (size_t i = 0; i < d.missing.n; i++)
		txn_add_element(t, &set_tunnel_ports, key_of(d.missing.port[i]), NULL);
	for (size_t i = 0; rewritten && i < tunnel_ports_default.n; i++)
		if (!tunnel_ports_have(wanted, tunnel_ports_default.port[i]))
			txn_discard_element(t, &set_tunnel_ports, key_of(tunnel_ports_default.port[i]), NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: named by their definition, shared by the pods that have the same. */
#include <netinet/in.h>
#include <string.h>

#include "policyd/model/definition.h"
#include "policyd/model/model.h"

static const char *const end_names[END_COUNT] = {"drop", "reject", "observe"};

const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		return "other";
	}
}

static void profile_define(const struct profile *p, struct definition *ret)
{
	definition_addf(ret, "%s\n", direction_name(p->direction));
	if (p->open) {
		definition_add(ret, "open\n");
		return;
	}
	definition_addf(ret, "%s\n", end_names[p->end]);
	if (p->portless)
		definition_addf(ret, "portless %s\n", p->portless->name);
	if (p->endpoints)
		definition_addf(ret, "endpoints %s\n", p->endpoints->name);
	for (size_t i = 0; i < p->entries.n; i++) {
		const struct profile_entry *e = &p->entries.v[i];

		definition_addf(ret, "%u %u %u %s\n", e->protocol, e->first, e->last, e->group ? e->group->name : "anyone");
	}
}

static void refer_to(struct cluster *c, struct group *g, bool refers)
{
	if (g && refers)
		g->refs++;
	else if (g)
		cluster_put_group(c, g);
}

/* The groups of a profile, one reference for each time it names one. */
static void refer(struct cluster *c, struct profile *p, bool refers)
{
	refer_to(c, p->portless, refers);
	refer_to(c, p->endpoints, refers);
	for (size_t i = 0; i < p->entries.n; i++)
		refer_to(c, p->entries.v[i].group, refers);
}

struct profile *profile_get(struct cluster *c, struct profile *draft)
{
	struct definition d = {0};
	struct profile *p;

	profile_define(draft, &d);
	definition_name(&d, draft->name);
	definition_done(&d);
	HASH_FIND_STR(c->profiles, draft->name, p);
	if (!p) {
		p = mem_alloc(sizeof(*p));
		*p = *draft;
		refer(c, p, true);
		HASH_ADD_STR(c->profiles, name, p);
	} else {
		VEC_DONE(&draft->entries);
	}
	p->refs++;
	*draft = (struct profile){0};
	return p;
}

void profile_put(struct cluster *c, struct profile *p)
{
	if (!p || --p->refs || p->idle)
		return;
	p->idle = true;
	VEC_PUSH(&c->idle_profiles, p);
}

void cluster_take_unused_profiles(struct cluster *c, struct profile_list *ret)
{
	*ret = (struct profile_list){0};
	for (size_t i = 0; i < c->idle_profiles.n; i++) {
		struct profile *p = c->idle_profiles.v[i];

		p->idle = false;
		if (!p->refs)
			VEC_PUSH(ret, p);
	}
	c->idle_profiles.n = 0;
}

struct profile *cluster_profiles(struct cluster *c)
{
	return c->profiles;
}

void cluster_forget_profile(struct cluster *c, struct profile *p)
{
	if (p->refs)
		abort();
	HASH_DEL(c->profiles, p);
	refer(c, p, false);
	VEC_DONE(&p->entries);
	free(p);
}

bool profile_is_empty(const struct profile *p)
{
	return !p->open && !p->portless && !p->endpoints && !p->entries.n;
}

static const struct profile_entry *find_entry(const struct profile *p, uint8_t protocol, uint16_t port)
{
	size_t low = 0, high = p->entries.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct profile_entry *e = &p->entries.v[middle];

		if (protocol < e->protocol || (protocol == e->protocol && port < e->first))
			high = middle;
		else if (protocol > e->protocol || port > e->last)
			low = middle + 1;
		else
			return e;
	}
	return NULL;
}

/* The order of the kernel's chain: endpoints, the port's entry, then the peers of rules without ports. */
bool profile_allows(const struct profile *p, const struct addr *peer, uint8_t protocol, uint16_t port)
{
	struct member endpoint = {.addr = *peer, .protocol = protocol, .port = port};
	struct member address = {.addr = *peer};
	const struct profile_entry *entry;

	if (p->open || (p->endpoints && group_has(p->endpoints, &endpoint)))
		return true;
	entry = find_entry(p, protocol, port);
	if (entry)
		return !entry->group || group_has(entry->group, &address);
	return p->portless && group_has(p->portless, &address);
}

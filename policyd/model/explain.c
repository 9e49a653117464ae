/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/model/explain.h"

#include <string.h>

#include "moat/text.h"
#include "policyd/model/model.h"

/* A party that was looked up. */
struct party {
	struct subject *subject; /* NULL: no pod that is known here */
	const struct pod *pod;   /* of the subject's object */
	const struct local *local;
	struct addr addr;        /* family 0: none */
	bool is_peer;            /* groups hold the pod at addr */
};

/* The packet as one end sees it. */
struct view {
	const struct party *self, *peer;
	const struct explain_query *query;
	struct cluster *cluster;
	enum direction direction;
};

/* The address of s that goes with the other end's family (0: any). */
static struct addr choose_addr(const struct subject *s, uint8_t family)
{
	for (size_t i = 0; i < s->claims.n; i++)
		if (!family || s->claims.v[i].addr.family == family)
			return s->claims.v[i].addr;
	/* a hostNetwork pod claims nothing: it has its node's addresses */
	if (s->object && s->object->pod.host_network)
		for (size_t i = 0; i < s->object->pod.addrs.n; i++)
			if (!family || s->object->pod.addrs.v[i].family == family)
				return s->object->pod.addrs.v[i];
	return (struct addr){0};
}

/* Both families if it has them: then 0. */
static uint8_t only_family(const struct cluster *c, const struct explain_party *p)
{
	const struct subject *s;
	uint8_t family = 0;

	if (p->addr.family || !p->name)
		return p->addr.family;
	s = subject_find(c, p->ns, p->name);
	for (size_t i = 0; s && i < s->claims.n; i++) {
		if (family && family != s->claims.v[i].addr.family)
			return 0;
		family = s->claims.v[i].addr.family;
	}
	return family;
}

static struct subject *subject_at(const struct cluster *c, const struct addr *addr)
{
	struct owner *o;

	HASH_FIND(hh, c->owners, addr, sizeof(*addr), o);
	if (!o)
		return NULL;
	/* nobody's peer: a local attachment that is no pod of the source (yet) still says whose address it is */
	return o->peer ? o->peer : o->claims.v[0].subject;
}

static struct party look_up(const struct cluster *c, const struct explain_party *p, uint8_t family)
{
	struct party party = {.addr = p->addr};

	party.subject = p->name ? subject_find(c, p->ns, p->name) : subject_at(c, &p->addr);
	if (!party.subject)
		return party;
	if (!party.addr.family)
		party.addr = choose_addr(party.subject, family);
	party.pod = party.subject->object ? &party.subject->object->pod : NULL;
	for (size_t i = 0; i < party.subject->locals.n; i++) {
		const struct local *l = party.subject->locals.v[i];

		if (l->view && (!party.local || attachment_has_addr(l->attachment, &party.addr)))
			party.local = l;
	}
	for (size_t i = 0; i < party.subject->addrs.n; i++)
		party.is_peer = party.is_peer || addr_equal(&party.subject->addrs.v[i], &party.addr);
	return party;
}

static bool names_port(const struct pod *pod, const struct policy_port *port, uint16_t number)
{
	for (size_t i = 0; pod && i < pod->ports.n; i++)
		if (pod->ports.v[i].protocol == port->protocol && pod->ports.v[i].number == number &&
		    !strcmp(pod->ports.v[i].name, port->name))
			return true;
	return false;
}

static bool rule_has_port(const struct policy_rule *rule, const struct view *v)
{
	const struct party *destination = v->direction == INGRESS ? v->self : v->peer;

	if (rule->any_port)
		return true;
	for (size_t i = 0; i < rule->ports.n; i++) {
		const struct policy_port *port = &rule->ports.v[i];

		if (port->protocol != v->query->protocol)
			continue;
		if (!port->name ? v->query->port >= port->first && v->query->port <= port->last :
				  (v->direction == INGRESS || destination->is_peer) &&
					  names_port(destination->pod, port, v->query->port))
			return true;
	}
	return false;
}

static bool rule_has_peer(const struct cluster *c, const struct ruling_rule *rule, const struct party *peer)
{
	if (rule->rule->any_peer)
		return true;
	for (size_t i = 0; i < rule->terms.n; i++) {
		const struct term *t = rule->terms.v[i];

		if (term_has_addr(c, t, &peer->addr))
			return true;
		if (peer->is_peer && term_selects_space(t, peer->subject->space, peer->subject->space->object) &&
		    selector_matches(&t->pods, &peer->pod->labels))
			return true;
	}
	return false;
}

/* No namespace is called "the baseline". */
static struct explain_rule name_rule(const struct ruling *r, size_t index)
{
	return (struct explain_rule){.policy = r->baseline ? mem_printf("the baseline (%s)", r->object->name) :
							     mem_printf("%s/%s", r->object->ns, r->object->name),
				     .index = index};
}

static void judge_rules(const struct view *v, const struct ruling *r, struct explain_end *end)
{
	for (size_t i = 0; i < r->rules[v->direction].n; i++) {
		const struct ruling_rule *rule = &r->rules[v->direction].v[i];

		if (rule_has_port(rule->rule, v) && rule_has_peer(v->cluster, rule, v->peer))
			VEC_PUSH(&end->allowing, name_rule(r, i));
	}
}

static void judge_baseline(const struct view *v, struct explain_end *end)
{
	struct space *s = v->self->subject->space;

	space_make_standing(v->cluster, s);
	for (size_t i = 0; i < s->standing.n; i++) {
		const struct ruling *r = s->standing.v[i];

		if (ruling_holds_in(r, s) && selector_matches(&r->object->policy.pods, &v->self->pod->labels))
			judge_rules(v, r, end);
	}
	if (!s->locals.n)
		space_drop_standing(v->cluster, s); /* no pod here needs it; other nodes have the same baseline */
}

static void judge_policies(const struct view *v, struct explain_end *end)
{
	const struct subject *s = v->self->subject;

	for (const struct ruling *r = s->space->rulings; r; r = r->hh.next) {
		if (!r->object->policy.isolates[v->direction] || !selector_matches(&r->object->policy.pods, &v->self->pod->labels))
			continue;
		VEC_PUSH(&end->isolating, name_rule(r, 0));
		if (r->object->policy.excess && !end->excess)
			end->excess = mem_printf("NetworkPolicy %s %s", r->object->name, r->object->policy.excess);
		judge_rules(v, r, end);
	}
	judge_baseline(v, end);
}

static void set(struct explain_end *end, enum explain_verdict verdict, char *reason)
{
	end->verdict = verdict;
	end->reason = reason;
}

/* The isolating policies as a list; caller frees. */
static char *join(const struct explain_end *end)
{
	char *text = mem_strdup("");

	for (size_t i = 0; i < end->isolating.n; i++) {
		char *longer = mem_printf("%s%s%s", text, i ? ", " : "", TEXT(end->isolating.v[i].policy));

		free(text);
		text = longer;
	}
	return text;
}

/* Some rule, of a policy or of the baseline, does. */
static void judge_allowed(const struct view *v, struct explain_end *end)
{
	const struct explain_rule *first = &end->allowing.v[0];

	set(end, EXPLAIN_ALLOWED,
	    mem_printf("allowed by %s, %s[%zu]%s", TEXT(first->policy), direction_name(v->direction), first->index,
		       end->isolating.n ? "" : "; no policy selects it for that direction"));
}

/* What the policies say when there are some, and none allows. */
static void judge_selected(const struct view *v, struct explain_end *end, const char *traffic, const char *peer)
{
	CLEAN_FREE char *names = join(end);

	if (end->attached && end->mode == MODE_AUDIT)
		set(end, EXPLAIN_OBSERVED,
		    mem_printf("isolated by %s; none allows %s %s %s; mode audit lets it through and tells", names, traffic,
			       v->direction == INGRESS ? "from" : "to", peer));
	else
		set(end, EXPLAIN_DENIED,
		    mem_printf("isolated by %s; none allows %s %s %s", names, traffic,
			       v->direction == INGRESS ? "from" : "to", peer));
}

static void judge_unselected(const struct view *v, struct explain_end *end)
{
	const char *direction = direction_name(v->direction);
	const struct local_pod *local = v->self->local ? v->self->local->view : NULL;

	if (!local) {
		set(end, EXPLAIN_DEPENDS,
		    mem_printf("no policy selects it for %s; it is not attached here, and its node's mode decides", direction));
	} else if (local->mode == MODE_STRICT) {
		set(end, EXPLAIN_DENIED, mem_printf("no policy selects it for %s; mode strict denies", direction));
	} else if (local->mode != MODE_STANDARD) {
		set(end, EXPLAIN_OBSERVED, mem_printf("no policy selects it for %s; mode %s lets it through and tells",
						      direction, mode_name(local->mode)));
	} else if (local->profile[v->direction] && local->profile[v->direction]->open) {
		set(end, EXPLAIN_ALLOWED, mem_printf("no policy selects it for %s; mode standard allows", direction));
	} else {
		set(end, EXPLAIN_DENIED,
		    mem_printf("no policy that could be read selects it for %s; not everything could be read, and mode "
			       "standard opens nothing until then",
			       direction));
	}
}

/* Ends that policies are not asked for. Returns whether it was one. */
static bool judge_special(const struct view *v, struct explain_end *end)
{
	static const char *const why[] = {
		[POD_UNKNOWN] = "attached here, but no Pod of that name and UID is known",
		[POD_NAMESPACE_UNKNOWN] = "its Namespace is not known",
		[POD_NOT_KUBERNETES] = "its attachment names no pod",
	};
	const struct party *self = v->self;
	bool by_name;
	enum confirmation confirmation = self->local ? local_confirmation(self->local, &by_name) : POD_CONFIRMED;

	if (!self->subject) {
		set(end, EXPLAIN_NO_SAY, mem_strdup("no pod that is known has it: no policy isolates it"));
	} else if (self->subject == v->peer->subject) {
		set(end, EXPLAIN_ALLOWED, mem_strdup("a pod may always reach itself"));
	} else if (confirmation != POD_CONFIRMED) {
		bool isolated = self->local->view && self->local->view->selected[v->direction]; /* of before */
		bool observed = end->mode == MODE_AUDIT || (end->mode == MODE_PREVIEW && !isolated);

		set(end, observed ? EXPLAIN_OBSERVED : EXPLAIN_DENIED,
		    mem_printf("%s: %s", why[confirmation], observed ? "let through and told" : "closed"));
	} else if (!self->pod) {
		set(end, EXPLAIN_NO_SAY, mem_strdup("no Pod of that name is known"));
	} else if (self->pod->host_network) {
		set(end, EXPLAIN_NO_SAY, mem_strdup("hostNetwork: it is its node, and no policy isolates it"));
	} else if (!self->addr.family) {
		set(end, EXPLAIN_DENIED, mem_strdup(self->pod->finished ? "finished: it has given up its addresses" :
									 "it has no address of that family (yet)"));
	} else if (v->direction == INGRESS && v->peer->pod && v->peer->pod->host_network && v->peer->pod->node &&
		   self->pod->node && !strcmp(v->peer->pod->node, self->pod->node)) {
		set(end, EXPLAIN_ALLOWED, mem_strdup("a node may always reach its own pods"));
	} else {
		return false;
	}
	return true;
}

/* Beyond a bound of what tenants may write, whatever the policies say. */
static bool judge_excess(const struct view *v, struct explain_end *end)
{
	const struct local_pod *local = v->self->local ? v->self->local->view : NULL;
	const char *excess = local ? local->excess[v->direction] : end->excess;

	if (!excess)
		return false;
	if (end->attached && end->mode == MODE_AUDIT)
		set(end, EXPLAIN_OBSERVED, mem_printf("%s; mode audit lets it through and tells", excess));
	else
		set(end, EXPLAIN_DENIED, mem_printf("closed: %s", excess));
	return true;
}

static char *party_name(const struct party *p, const struct explain_party *asked)
{
	char addr[ADDR_TEXT_MAX];
	const char *text = p->addr.family ? addr_text(&p->addr, addr) : "no address";

	if (p->subject && *p->subject->space->name)
		return mem_printf("%s/%s (%s)", TEXT(p->subject->space->name), TEXT(p->subject->name), text);
	if (asked->name)
		return mem_printf("%s/%s (%s)", TEXT(asked->ns), TEXT(asked->name), text);
	return mem_strdup(text);
}

static void judge(const struct view *v, struct explain_end *end, const char *traffic, const char *peer)
{
	end->direction = v->direction;
	end->is_pod = v->self->subject != NULL;
	end->attached = v->self->local != NULL;
	if (end->attached)
		end->mode = v->self->local->view->mode;
	if (judge_special(v, end))
		return;
	judge_policies(v, end);
	if (judge_excess(v, end))
		return;
	if (end->allowing.n)
		judge_allowed(v, end);
	else if (end->isolating.n)
		judge_selected(v, end, traffic, peer);
	else
		judge_unselected(v, end);
}

void explain(struct cluster *c, const struct explain_query *query, struct explain_result *ret)
{
	struct party source = look_up(c, &query->source, only_family(c, &query->destination));
	struct party destination = look_up(c, &query->destination, source.addr.family);
	struct view out = {.self = &source, .peer = &destination, .query = query, .cluster = c, .direction = EGRESS};
	struct view in = {.self = &destination, .peer = &source, .query = query, .cluster = c, .direction = INGRESS};
	const char *protocol = protocol_name(query->protocol);

	memset(ret, 0, sizeof(*ret));
	ret->traffic = query->port ? mem_printf("%s/%u", protocol, query->port) : mem_strdup(protocol);
	ret->source.name = party_name(&source, &query->source);
	ret->destination.name = party_name(&destination, &query->destination);
	judge(&out, &ret->source, ret->traffic, ret->destination.name);
	judge(&in, &ret->destination, ret->traffic, ret->source.name);
	ret->verdict = ret->source.verdict > ret->destination.verdict ? ret->source.verdict : ret->destination.verdict;
	if (ret->verdict == EXPLAIN_NO_SAY)
		ret->verdict = EXPLAIN_ALLOWED;
}
